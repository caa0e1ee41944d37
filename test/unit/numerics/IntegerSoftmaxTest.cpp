#include "lib/numerics/IntegerSoftmax.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace sq::numerics;
using Row = std::vector<int64_t>;

namespace {

int64_t sumOf(const Row &row) { return std::accumulate(row.begin(), row.end(), int64_t(0)); }

TEST(IntegerSoftmax, Vector) {
  IntegerExp exp = IntegerExp::of(0.05 * 0.05 / 8);
  Row q = {12000, 11000, 9000, 9000, 0, -20000, 12000, 5000};
  std::vector<bool> keep(8, true);
  keep[6] = false;
  Row e = integerExpRow(exp, q, keep);
  EXPECT_EQ(e, (Row{114357404, 83705404, 44852818, 44852818, 2691765, 5194, 0, 12855835}));
  EXPECT_EQ(sumOf(e), 303321238);
  EXPECT_EQ(probabilities(e), (Row{97, 71, 38, 38, 2, 0, 0, 11}));
  EXPECT_EQ(probabilitiesByDivision(e), probabilities(e));
  Row p = deferredProbabilities(exp, e);
  EXPECT_EQ(p, (Row{255, 187, 100, 100, 6, 0, 0, 29}));
  EXPECT_EQ(sumOf(p), 677);
  Row v = {10, -20, 30, -40, 50, -60, 70, -80};
  int64_t acc = std::inner_product(p.begin(), p.end(), v.begin(), int64_t(0));
  EXPECT_EQ(acc, -4210);
  EXPECT_EQ(normalizeContext(acc, 677), -407543);
}

TEST(IntegerSoftmax, EdgeRows) {
  IntegerExp exp = IntegerExp::of(3e-4);
  Row equal(6, 77);
  EXPECT_EQ(integerExpRow(exp, equal, {}), Row(6, exp.one));
  EXPECT_EQ(probabilities(integerExpRow(exp, equal, {})), Row(6, 43));
  // One kept element.
  Row q = {5, 900000, -3};
  EXPECT_EQ(probabilities(integerExpRow(exp, q, {true, false, false})), (Row{255, 0, 0}));
  EXPECT_EQ(deferredProbabilities(exp, integerExpRow(exp, q, {true, false, false})), (Row{255, 0, 0}));
  // None: zeros without a division, or as if there were no mask.
  std::vector<bool> none(3, false);
  EXPECT_EQ(probabilities(integerExpRow(exp, q, none)), (Row{0, 0, 0}));
  EXPECT_EQ(normalizeContext(0, 0), 0);
  EXPECT_EQ(integerExpRow(exp, q, none, FullyMasked::Uniform), integerExpRow(exp, q, {}));
  EXPECT_EQ(probabilities(integerExpRow(exp, {}, {})), Row());
  // Scores at their limits, 2^30 and those of int32.
  for (int64_t limit : {int64_t(1) << 30, int64_t(INT32_MAX)})
    for (double scale : {1e-8, 3e-4, 1.0}) {
      Row p = probabilities(integerExpRow(IntegerExp::of(scale), {-limit - 1, limit}, {}));
      EXPECT_EQ(p, scale == 1e-8 && limit == 1 << 30 ? p : (Row{0, 255})) << scale;
    }
}

// One division a row gives what one an element gives; e / sum e is within 1e-3 of float64's softmax
// of the same scores, what is rounded to 1/256 within half of that more.
TEST(IntegerSoftmax, Error) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    sq::test::Random random(seed);
    double scale = std::ldexp(1.0, -random.integer(2, 14)), sigma = 0.2 + 4 * (seed % 5);
    IntegerExp exp = IntegerExp::of(scale);
    Row q(random.integer(1, seed % 40 ? 300 : 20000));
    std::vector<bool> keep;
    for (int64_t &value : q) {
      value = std::llrint(random.real() * sigma / scale);
      keep.push_back(random.integer(0, 9) > 0);
    }
    keep[0] = true;
    double largest = -INFINITY, total = 0;
    for (size_t i = 0; i < q.size(); ++i)
      if (keep[i])
        largest = std::max(largest, scale * q[i]);
    for (size_t i = 0; i < q.size(); ++i)
      total += keep[i] ? std::exp(scale * q[i] - largest) : 0;
    Row e = integerExpRow(exp, q, keep), p = probabilities(e);
    EXPECT_EQ(p, probabilitiesByDivision(e)) << seed;
    double sum = sumOf(e);
    for (size_t i = 0; i < q.size(); ++i) {
      double exact = keep[i] ? std::exp(scale * q[i] - largest) / total : 0;
      EXPECT_NEAR(e[i] / sum, exact, 1e-3) << seed;
      EXPECT_NEAR(std::min(p[i] / 256.0, 1.0), std::min(exact, 255.0 / 256), 1e-3 + 1.0 / 512) << seed;
    }
  }
}

/// Relative root mean square error of the context of `length` scores N(0, sigma) and values
/// N(0.3, 1) of 8 bits, against float64 on the same integers.
double contextError(int64_t length, double sigma, bool deferred) {
  const double scale = 1e-3;
  IntegerExp exp = IntegerExp::of(scale);
  double error = 0, power = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    sq::test::Random random(seed);
    Row q(length);
    for (int64_t &value : q)
      value = std::llrint(random.real() * sigma / scale);
    Row e = integerExpRow(exp, q, {});
    Row p = deferred ? deferredProbabilities(exp, e) : probabilities(e);
    for (int column = 0; column < 8; ++column) {
      int64_t acc = 0, sum = 0;
      double exact = 0, total = 0;
      for (int64_t i = 0; i < length; ++i) {
        int64_t v = std::llrint(std::clamp((0.3 + random.real()) / 4 * 127, -127.0, 127.0));
        acc += p[i] * v;
        sum += p[i];
        exact += std::exp(scale * q[i]) * v;
        total += std::exp(scale * q[i]);
      }
      exact /= total;
      double own = deferred ? normalizeContext(acc, sum) / 65536.0 : acc / 256.0;
      error += (own - exact) * (own - exact);
      power += exact * exact;
    }
  }
  return std::sqrt(error / power);
}

// A fixed scale of 1/256 loses what long rows attend to.
TEST(IntegerSoftmax, LongRows) {
  EXPECT_LT(contextError(64, 1, true), 0.01);
  EXPECT_LT(contextError(512, 1, true), 0.01);
  EXPECT_LT(contextError(2048, 1, true), 0.01);
  EXPECT_GT(contextError(2048, 1, false), 0.5);
  Row even(513, 0);
  EXPECT_EQ(probabilities(integerExpRow(IntegerExp::of(1e-3), even, {})), Row(513, 0));
}

// The reciprocal is as good as a division: within 2^-29 of the result, and half a unit.
TEST(IntegerSoftmax, NormalizeContext) {
  sq::test::Random random(9);
  for (int i = 0; i < 200000; ++i) {
    int64_t sum = random.integer(255, i % 2 ? 2000 : 65793 * 255), acc = random.integer(-128 * sum, 127 * sum);
    double exact = acc * 65536.0 / sum;
    EXPECT_LE(std::fabs(normalizeContext(acc, sum) - exact), 0.5 + std::fabs(exact) * 0x1p-29) << sum;
    EXPECT_LE(std::abs(normalizeContext(acc, sum)), 1 << 23);
  }
}

} // namespace
