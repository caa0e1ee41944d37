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
enum class Form { Fixed, Deferred, Octave };
double contextError(int64_t length, double sigma, Form form) {
  const double scale = 1e-3;
  IntegerExp exp = IntegerExp::of(scale);
  OctaveExp octave = OctaveExp::of(scale);
  double error = 0, power = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    sq::test::Random random(seed);
    Row q(length);
    for (int64_t &value : q)
      value = std::llrint(random.real() * sigma / scale);
    Row e = integerExpRow(exp, q, {});
    Row p = form == Form::Octave ? octaveExpRow(octave, q, {}) : form == Form::Deferred ? deferredProbabilities(exp, e) : probabilities(e);
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
      double own = form != Form::Fixed ? normalizeContext(acc, sum) / 65536.0 : acc / 256.0;
      error += (own - exact) * (own - exact);
      power += exact * exact;
    }
  }
  return std::sqrt(error / power);
}

// A fixed scale of 1/256 loses what long rows attend to.
TEST(IntegerSoftmax, LongRows) {
  // The table of an octave is as good as the polynomial, but for short rows, where 8 bits do not hide its steps.
  for (int64_t length : {64, 512, 2048})
    for (double sigma : {1.0, 3.0}) {
      double deferred = contextError(length, sigma, Form::Deferred), octave = contextError(length, sigma, Form::Octave);
      if (sigma == 1)
        EXPECT_LT(std::max(deferred, octave), 0.01) << length;
      EXPECT_LT(octave, deferred * (length == 64 ? 1.3 : 1.1)) << length << " " << sigma;
    }
  EXPECT_GT(contextError(2048, 1, Form::Fixed), 0.5);
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

// Against float64, over all distances at which something is left, for scales from the coarsest to those of which 32 bits
// are not enough; never more for a larger distance.
TEST(OctaveExp, Error) {
  EXPECT_EQ(OctaveExp::entry(0), 255 * 128);
  for (double scale : {1e9, 30.0, 0.7, 0.05, 3.125e-4, 1e-6, 3e-9, 1e-13, 1e-17}) {
    OctaveExp exp = OctaveExp::of(scale);
    EXPECT_EQ(exp.apply(0), 255) << scale;
    int64_t most = std::min(8 / scale, 4294967296.0), before = 255;
    for (int64_t i = 0; i <= 10000; ++i) {
      int64_t d = most < 10000 ? std::min(i, most) : i * (most / 10000);
      double exact = 255 * std::exp(-scale * d);
      int64_t p = exp.apply(d);
      EXPECT_NEAR(p, exact, 0.5 + 0.015 * exact) << scale << " " << d;
      EXPECT_LE(p, before) << scale << " " << d;
      before = p;
    }
    EXPECT_EQ(exp.apply(INT64_C(1) << 32), scale < 1e-9 ? exp.apply(INT64_C(1) << 32) : 0) << scale;
  }
  EXPECT_THROW(OctaveExp::of(0), Error);
  EXPECT_THROW(OctaveExp::of(NAN), Error);
}

// One product for division and scale: within 2^-29 of the result, and half a unit.
TEST(ContextFactor, Error) {
  sq::test::Random random(19);
  for (int i = 0; i < 200000; ++i) {
    double ratio = std::ldexp(1 + std::fabs(random.real()), random.integer(-9, 20));
    Dyadic out = contextScale(ratio);
    int64_t sum = random.integer(1, i % 2 ? 2000 : 65793 * 255), acc = random.integer(-128 * sum, 127 * sum);
    double exact = double(acc) * out.m / sum / std::exp2(out.e);
    int64_t y = ContextFactor::of(out, sum).apply(acc);
    EXPECT_LE(std::fabs(y - exact), 0.5 + std::fabs(exact) * 0x1p-29) << sum << " " << ratio;
    EXPECT_LE(std::abs(y), 1 << 30);
    if (ratio > 0x1p-8)
      EXPECT_NEAR(std::ldexp(out.m, -out.e), ratio, ratio * 0x1p-30);
  }
  EXPECT_EQ(ContextFactor::of(contextScale(1), 0).apply(0), 0);
  EXPECT_EQ(contextScale(1e30).e, 8);
  EXPECT_EQ(contextScale(1e-30).m, 0);
}

} // namespace
