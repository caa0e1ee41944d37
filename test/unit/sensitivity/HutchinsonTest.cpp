// The test vectors of spec mixed-precision.md sections 3 and 14, items 1 to 3.
#include "lib/sensitivity/Hutchinson.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "lib/sensitivity/Philox.h"

using namespace sq;
using namespace sq::sensitivity;

namespace {

/// A symmetric matrix and its products.
struct Matrix {
  size_t n;
  std::vector<double> elements;

  double quadratic(const std::vector<float> &v) const {
    double sum = 0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        sum += v[i] * elements[i * n + j] * v[j];
    return sum;
  }
  double trace() const {
    double sum = 0;
    for (size_t i = 0; i < n; ++i)
      sum += elements[i * n + i];
    return sum;
  }
};

Matrix randomMatrix(size_t n, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  Matrix m{n, std::vector<double>(n * n)};
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j)
      m.elements[i * n + j] = m.elements[j * n + i] =
          normal(generator) + (i == j ? 3 : 0);
  return m;
}

} // namespace

// Random123's known answers.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(sq::numerics::philox({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
                                     0x9b00dbd8}));
  EXPECT_EQ(sq::numerics::philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6,
                                     0x6d5451fd}));
  EXPECT_EQ(sq::numerics::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420,
                                     0x24126ea1}));
}

// Section 3: all sign vectors of H = [[4,1,0],[1,3,-1],[0,-1,2]].
TEST(Hutchinson, AllSigns) {
  Matrix h{3, {4, 1, 0, 1, 3, -1, 0, -1, 2}};
  const double expected[] = {9, 13, 9, 5, 5, 9, 13, 9};
  Trace trace;
  double squares = 0;
  std::multiset<double> seen, all(std::begin(expected), std::end(expected));
  for (int signs = 0; signs < 8; ++signs) {
    std::vector<float> v;
    for (int bit = 2; bit >= 0; --bit)
      v.push_back(signs >> bit & 1 ? -1.0f : 1.0f);
    double x = h.quadratic(v);
    seen.insert(x);
    trace.add(x);
    squares += (x - 9) * (x - 9);
  }
  EXPECT_EQ(seen, all);
  EXPECT_DOUBLE_EQ(trace.mean, 9);
  EXPECT_DOUBLE_EQ(trace.deviation, squares);
  EXPECT_DOUBLE_EQ(squares / 8, 8)
      << "2 (||H||^2 - sum of squared diagonal elements)";
  EXPECT_DOUBLE_EQ(trace.standardError(), std::sqrt(64.0 / 7 / 8));
}

// Section 14, item 1: within three standard errors in 99 % of 1000 seeds. (With
// 100 probes the quotient is Student's of 99 degrees of freedom, which stays
// within 3 in 99.66 %.)
TEST(Hutchinson, RandomMatrix) {
  Matrix h = randomMatrix(50, 7);
  int inside = 0;
  std::vector<float> v(h.n);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Trace trace;
    for (uint32_t probe = 0; probe < 100; ++probe) {
      rademacher(seed, 3, probe, v.data(), v.size());
      trace.add(h.quadratic(v));
    }
    inside += std::abs(trace.mean - h.trace()) <= 3 * trace.standardError();
  }
  EXPECT_GE(inside, 990);
}

TEST(Hutchinson, DiagonalHasNoVariance) {
  Matrix h{200, std::vector<double>(200 * 200)};
  for (size_t i = 0; i < h.n; ++i)
    h.elements[i * h.n + i] = double(i) - 60;
  std::vector<float> v(h.n);
  Trace trace;
  for (uint32_t probe = 0; probe < 20; ++probe) {
    rademacher(1, 0, probe, v.data(), v.size());
    trace.add(h.quadratic(v));
  }
  EXPECT_EQ(trace.mean, h.trace());
  EXPECT_EQ(trace.deviation, 0);
}

TEST(Hutchinson, ProbesDiffer) {
  std::vector<float> a(1000), b(1000), c(1000), again(1000);
  rademacher(1, 0, 0, a.data(), a.size());
  rademacher(1, 0, 1, b.data(), b.size());
  rademacher(1, 1, 0, c.data(), c.size());
  rademacher(1, 0, 0, again.data(), again.size());
  EXPECT_EQ(a, again);
  // Independent signs: five standard deviations.
  for (auto *other : {&b, &c})
    EXPECT_LE(std::abs(dot(a.data(), other->data(), 1000)),
              5 * std::sqrt(1000.0));
  for (float x : a)
    EXPECT_EQ(std::abs(x), 1);
}

TEST(Hutchinson, StopRule) {
  Trace sharp, wide;
  for (int i = 0; i < 15; ++i)
    sharp.add(10 + i % 2);
  EXPECT_FALSE(areConverged({sharp}, 0.05)) << "fewer than 16";
  sharp.add(11);
  EXPECT_TRUE(areConverged({sharp}, 0.05));
  for (int i = 0; i < 16; ++i)
    wide.add(i % 2 ? 10 : -9);
  EXPECT_FALSE(areConverged({sharp, wide}, 0.05));
}

TEST(Hutchinson, MergedIsAllAtOnce) {
  Trace all, a, b;
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal(5, 2);
  for (int i = 0; i < 50; ++i) {
    double x = normal(generator);
    all.add(x);
    (i < 20 ? a : b).add(x);
  }
  a.merge(b);
  EXPECT_EQ(a.probes, all.probes);
  EXPECT_NEAR(a.mean, all.mean, 1e-12);
  EXPECT_NEAR(a.deviation, all.deviation, 1e-10);
}

// Section 14, item 2: the difference of gradients of a quadratic is the
// product, and power iteration finds its greatest eigenvalue.
TEST(Hutchinson, QuadraticDifference) {
  Matrix h = randomMatrix(20, 9);
  std::vector<float> w(h.n), v(h.n);
  rademacher(5, 0, 0, v.data(), v.size());
  for (size_t i = 0; i < h.n; ++i)
    w[i] = 0.1f * float(i) - 1;
  double step = differenceStep(w.data(), w.size()), norm = 0;
  for (float x : w)
    norm += double(x) * x;
  EXPECT_NEAR(step, 1e-3 * std::sqrt(norm) / std::sqrt(20.0), 1e-12);
  auto gradient = [&](double sign, size_t i) {
    double sum = 0;
    for (size_t j = 0; j < h.n; ++j)
      sum += h.elements[i * h.n + j] * (w[j] + sign * step * v[j]);
    return sum;
  };
  double exact = h.quadratic(v), found = 0;
  for (size_t i = 0; i < h.n; ++i)
    found += v[i] * (gradient(1, i) - gradient(-1, i)) / (2 * step);
  EXPECT_NEAR(found, exact, 1e-4 * std::abs(exact));
}

TEST(Hutchinson, PowerIteration) {
  // No start of signs is an eigenvector of it.
  Matrix h{2, {2, 1, 1, 2.5}};
  auto product = [&](const std::vector<float> &v, std::vector<float> &hv) {
    for (size_t i = 0; i < 2; ++i)
      hv[i] = float(h.elements[2 * i] * v[0] + h.elements[2 * i + 1] * v[1]);
    return Status();
  };
  Eigenvalue top;
  ASSERT_TRUE(powerIteration(2, 1, 0, 1e-6, 100, product, top).ok());
  EXPECT_NEAR(top.value, 2.25 + std::sqrt(0.0625 + 1), 1e-4);
  EXPECT_LT(top.steps, 100u);
  h.elements = {-2, 1, 1, -2.5};
  ASSERT_TRUE(powerIteration(2, 1, 0, 1e-6, 100, product, top).ok());
  EXPECT_NEAR(top.value, -2.25 - std::sqrt(0.0625 + 1), 1e-4)
      << "of greatest magnitude, with its sign";
}
