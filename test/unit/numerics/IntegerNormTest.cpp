#include "lib/numerics/IntegerNorm.h"

#include "lib/numerics/IntegerSqrt.h"
#include "lib/numerics/Tensor.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::numerics;
using Row = std::vector<int64_t>;
using Reals = std::vector<double>;

namespace {

//===----------------------------------------------------------------------===//
// Square root
//===----------------------------------------------------------------------===//

TEST(IntegerSqrt, Vectors) {
  uint64_t vectors[][2] = {{0, 0}, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {15, 3}, {16, 4}, {17, 4}, {99, 9},
                           {2147483647, 46340}, {4294967295, 65535}, {1000000000000, 1000000},
                           {INT64_MAX, 3037000499}, {UINT64_MAX, 4294967295}};
  for (auto [n, root] : vectors)
    EXPECT_EQ(integerSqrt(n), root) << n;
}

void check(uint64_t n, int mostUpdates) {
  int updates;
  uint64_t x = integerSqrt(n, &updates);
  EXPECT_LE(updates, mostUpdates) << n;
  unsigned __int128 next = x + 1;
  EXPECT_TRUE(x * x <= n && next * next > n) << n;
}

// 5 updates are enough for 32 bits, 4 (as the paper has it) are not: 16785408 is the least n that
// needs them. 6 are enough for 64 bits.
TEST(IntegerSqrt, Updates) {
  int updates;
  EXPECT_EQ(integerSqrt(16785408, &updates), 4096u);
  EXPECT_EQ(updates, 5);
  for (uint64_t k = 1; k < 65536; ++k)
    for (uint64_t n : {k * k - 1, k * k, k * k + 1})
      check(n, 5);
  sq::test::Random random(1);
  for (int i = 0; i < 300000; ++i) {
    uint64_t n = uint64_t(random.integer(0, INT64_MAX)) * 2 + random.integer(0, 1);
    check(n >> random.integer(0, 63), 6);
    uint64_t k = random.integer(1, UINT32_MAX);
    for (uint64_t near : {k * k - 1, k * k, k * k + 1})
      check(near, 6);
  }
  for (int bits = 0; bits < 64; ++bits)
    for (int64_t d : {-1, 0, 1})
      check((uint64_t(1) << bits) + d, 6);
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

TEST(IntegerNorm, Vectors) {
  IntegerNorm n = IntegerNorm::of(4, true, 16, .01, 1e-5);
  EXPECT_EQ(n.shift, 14);
  EXPECT_EQ(n.normalize({100, 100, 100, 100}), Row(4, 0));
  EXPECT_EQ(n.normalize({100, 101, 100, 101}), (Row{-453738736, 453738736, -453738736, 453738736}));
  IntegerNorm none = IntegerNorm::of(4, true, 16, .01, 0);
  EXPECT_EQ(none.normalize({100, 101, 100, 101}), (Row{-536870912, 536870912, -536870912, 536870912}));
  EXPECT_EQ(none.normalize({100, 100, 100, 100}), Row(4, 0));
  IntegerNorm eight = IntegerNorm::of(8, true, 16, .05, 1e-5);
  EXPECT_EQ(eight.shift, 14);
  EXPECT_EQ(eight.normalize({-3, 7, 12, -20, 5, 0, 1, -2}),
            (Row{-128130226, 298970527, 512520903, -854201504, 213550376, 0, 42710075, -85420150}));
}

TEST(IntegerNorm, Shifts) {
  EXPECT_EQ(IntegerNorm::of(768, true, 22, 1e-5, 1e-12).shift, 4);
  EXPECT_EQ(IntegerNorm::of(1024, true, 22, 1e-5, 1e-12).shift, 4);
  EXPECT_EQ(IntegerNorm::of(4096, true, 22, 1e-5, 1e-12).shift, 3);
  EXPECT_EQ(IntegerNorm::of(768, true, 16, 1e-5, 1e-12).shift, 10);
  EXPECT_EQ(IntegerNorm::of(4096, true, 16, 1e-5, 1e-12).shift, 9);
  EXPECT_EQ(IntegerNorm::of(768, false, 22, 1e-5, 1e-12).shift, 0);
  EXPECT_EQ(IntegerNorm::of(768, true, 22, 1e-9, 1e-4).shift, 2); // epsilon fits 61 bits so
  EXPECT_THROW(IntegerNorm::of(768, true, 22, 1e-12, 1e-4), Error);
  EXPECT_THROW(IntegerNorm::of(768, true, 31, 1e-5, 1e-5), Error);
  EXPECT_THROW(IntegerNorm::of(0, true, 16, 1e-5, 1e-5), Error);
  EXPECT_THROW(IntegerNorm::of(8, true, 16, 1e-5, NAN), Error);
  EXPECT_THROW(IntegerNorm::of(8, true, 16, 0, 1e-5), Error);
}

/// The same in float64 on the same integers.
Reals exact(const Row &q, bool centred, double scale, double epsilon) {
  double mean = 0, square = 0, n = q.size();
  for (int64_t value : q)
    mean += centred ? scale * value / n : 0;
  for (int64_t value : q)
    square += (scale * value - mean) * (scale * value - mean) / n;
  Reals y;
  for (int64_t value : q)
    y.push_back((scale * value - mean) / std::sqrt(square + epsilon));
  return y;
}

TEST(IntegerNorm, Error) {
  for (int64_t channels : {768, 1024, 4096})
    for (bool centred : {true, false})
      for (bool low : {false, true})
        for (unsigned seed = 0; seed < 20; ++seed) {
          sq::test::Random random(seed);
          double alpha = low ? 40 : 8, scale = alpha / ((1 << 21) - 1), sigma = low ? 1e-3 : 1;
          Row q;
          for (int64_t j = 0; j < channels; ++j)
            q.push_back(std::llrint((0.3 * centred + random.real()) * sigma / scale));
          IntegerNorm n = IntegerNorm::of(channels, centred, 22, scale, 1e-5);
          Row y = n.normalize(q);
          Reals reference = exact(q, centred, scale, 1e-5);
          // Rows of a small variance are limited by the rounding of their mean.
          double bound = 2.5e-6 + centred * std::ldexp(scale, -(n.shift + 1)) /
                                      std::sqrt(sigma * sigma * 0.8 + 1e-5);
          for (int64_t j = 0; j < channels; ++j)
            EXPECT_NEAR(y[j] * std::sqrt(double(channels)) * 0x1p-30, reference[j], bound);
        }
}

// gamma = 0, gamma < 0, a large beta and epsilon-dominated rows, into 8 bits: what float64 rounds
// to, but for values within 1e-4 of a tie.
TEST(IntegerNorm, Affine) {
  IntegerRange int8 = IntegerRange::of(8);
  const int64_t channels = 384;
  const double scale = 1e-5, resultScale = 4.0 / 127;
  for (unsigned seed = 0; seed < 40; ++seed) {
    sq::test::Random random(seed);
    Reals gamma, beta;
    Row q;
    for (int64_t j = 0; j < channels; ++j) {
      gamma.push_back(1 + 0.2 * random.real());
      beta.push_back(0.3 * random.real());
      q.push_back(std::llrint(random.real() * (seed % 4 ? 1 : 1e-4) / scale));
    }
    gamma[0] = 0;
    gamma[1] = -0.7;
    beta[2] = 5;
    beta[3] = -1e4;
    IntegerNorm n = IntegerNorm::of(channels, true, 22, scale, 1e-5);
    Row y = IntegerAffine::of(gamma, beta, resultScale).apply(n.normalize(q), int8);
    Reals reference = exact(q, true, scale, 1e-5);
    for (int64_t j = 0; j < channels; ++j) {
      double wanted = (reference[j] * gamma[j] + beta[j]) / resultScale;
      if (std::fabs(std::fabs(wanted - std::floor(wanted)) - 0.5) > 1e-4 * (seed % 4 ? 1 : 100))
        EXPECT_EQ(y[j], int8.clamp(std::llrint(wanted))) << seed << " " << j;
    }
  }
  // A row of zeros is beta, of no scale at all zero.
  IntegerAffine a = IntegerAffine::of({1, 1}, {0.5, -0.5}, 0.25);
  EXPECT_EQ(a.apply(IntegerNorm::of(2, true, 8, 0.1, 1e-5).normalize({0, 0}), int8), (Row{2, -2}));
  EXPECT_EQ(IntegerAffine::of({0, 0}, {}, 0.25).apply({1 << 30, -(1 << 30)}, int8), (Row{0, 0}));
  EXPECT_THROW(IntegerAffine::of({NAN}, {}, 1), Error);
  EXPECT_THROW(IntegerAffine::of({1, 1}, {1}, 1), Error);
  EXPECT_THROW(IntegerAffine::of({1e30}, {}, 1), Error);
  EXPECT_THROW(IntegerAffine::of({1}, {1e30}, 1), Error);
}

// The largest rows that are accepted do not overflow (the sanitizers of a build with them say so).
TEST(IntegerNorm, Extremes) {
  for (int bits : {8, 16, 22, 26})
    for (int64_t channels : {1, 2, 3, 64, 257})
      for (bool centred : {true, false}) {
        IntegerRange range = IntegerRange::of(bits);
        IntegerNorm n = IntegerNorm::of(channels, centred, bits, 1, 0);
        Row q(channels, range.lo);
        for (int64_t j = 0; j < channels; j += 2)
          q[j] = range.hi;
        for (int64_t value : n.normalize(q))
          EXPECT_LE(std::abs(value), 1 << 30);
      }
}

} // namespace
