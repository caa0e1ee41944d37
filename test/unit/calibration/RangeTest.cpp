#include "lib/calibration/Range.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::calibration;

namespace {

/// Counts rne(scale * density(x) * w) at the midpoints of 2048 bins over [0, extent].
template <typename Density>
std::vector<uint64_t> binsOf(double extent, double scale, Density density) {
  std::vector<uint64_t> bins(2048);
  double width = extent / bins.size();
  for (size_t k = 0; k < bins.size(); ++k)
    bins[k] = std::llrint(scale * density((k + 0.5) * width) * width);
  return bins;
}

double gauss(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double laplace(double x) { return std::exp(-x); }

double squaresOf(const std::vector<uint64_t> &bins, double extent, int bits) {
  return leastSquares(bins, false, extent, -extent, extent, (1 << bits) - 2);
}

TensorStats statsOf(const std::vector<float> &values, size_t channels = 0) {
  TensorStats stats(channels);
  stats.add(values.data(), values.size(), observe(values.data(), values.size(), channels));
  return stats;
}

RangeOptions options(Method method, bool symmetric = true) {
  RangeOptions o;
  o.method = method;
  o.symmetric = symmetric;
  return o;
}

} // namespace

// The anchors of specs/integer-only.md section 1.3.
TEST(Range, EntropyOfGaussAndLaplace) {
  EXPECT_EQ(entropyBins(binsOf(6, 2e6, gauss)), 1408u);
  EXPECT_EQ(entropyBins(binsOf(18, 1e6, laplace)), 1112u);
}

TEST(Range, LeastSquaresOfGaussAndLaplace) {
  // Finer bins than a step of 8 bits, and a tail that does not matter.
  const std::pair<int, double> gaussAnchors[] = {{2, 1.224}, {3, 1.953}, {4, 2.473}, {8, 3.926}};
  for (auto [bits, alpha] : gaussAnchors)
    EXPECT_NEAR(squaresOf(binsOf(6, 1e12, gauss), 6, bits), alpha, 0.01 * alpha) << bits;
  const std::pair<int, double> laplaceAnchors[] = {{2, 1.998}, {3, 3.482}, {4, 4.823}, {8, 9.878}};
  for (auto [bits, alpha] : laplaceAnchors)
    EXPECT_NEAR(squaresOf(binsOf(18, 1e12, laplace), 18, bits), alpha, 0.01 * alpha) << bits;
}

TEST(Range, EntropyOfFewBins) {
  EXPECT_EQ(entropyBins({1, 2, 3}), 3u);
  EXPECT_EQ(entropyBins(std::vector<uint64_t>(2048)), 2048u); // nothing to choose by
}

TEST(Range, Percentile) {
  std::vector<uint64_t> bins(100, 10);
  EXPECT_DOUBLE_EQ(percentileOf(bins, 0.5, 90), 45);
  EXPECT_DOUBLE_EQ(percentileOf(bins, 0.5, 90.01), 45.5);
  EXPECT_DOUBLE_EQ(percentileOf(bins, 0.5, 100), 50);
}

TEST(Range, MinMaxAndItsAffineForm) {
  TensorStats stats = statsOf({-0.25f, 3, 1});
  Range symmetric = chooseRange(stats, options(Method::MinMax));
  EXPECT_EQ(symmetric.min, -3);
  EXPECT_EQ(symmetric.max, 3);
  Range affine = chooseRange(stats, options(Method::MinMax, false));
  EXPECT_EQ(affine.min, -0.25);
  EXPECT_EQ(affine.max, 3);
  // Zero is always inside.
  Range positive = chooseRange(statsOf({2, 3}), options(Method::MinMax, false));
  EXPECT_EQ(positive.min, 0);
  EXPECT_EQ(positive.max, 3);
}

TEST(Range, NoMethodExceedsTheData) {
  std::vector<float> values;
  for (int i = 0; i < 10000; ++i)
    values.push_back(std::sin(i * 0.37f) * 1.37f + (i % 1000 == 0 ? 4 : 0));
  TensorStats stats = statsOf(values);
  for (Method method : {Method::MinMax, Method::MovingAverage, Method::Percentile, Method::Entropy, Method::Mse})
    for (bool symmetric : {true, false})
      for (int bits : {2, 4, 8, 12, 16}) {
        RangeOptions o = options(method, symmetric);
        o.bits = bits;
        Range range = chooseRange(stats, o);
        EXPECT_LE(range.max, stats.max);
        EXPECT_GE(range.min, symmetric ? -stats.max : stats.min);
        EXPECT_GT(range.max, 0.5 * 1.37 * (bits > 2));
        EXPECT_FALSE(range.isAllZero);
      }
}

TEST(Range, AllZeroHasAFloor) {
  for (Method method : {Method::MinMax, Method::MovingAverage, Method::Percentile, Method::Entropy, Method::Mse}) {
    Range range = chooseRange(statsOf({0, 0, -0.0f}), options(method, method != Method::Mse));
    EXPECT_TRUE(range.isAllZero);
    EXPECT_EQ(range.min, -kMinRange);
    EXPECT_EQ(range.max, kMinRange);
  }
  EXPECT_TRUE(chooseRange(TensorStats(), {}).isAllZero);
}

TEST(Range, Constant) {
  for (Method method : {Method::MinMax, Method::MovingAverage, Method::Percentile, Method::Entropy, Method::Mse}) {
    Range range = chooseRange(statsOf(std::vector<float>(100, 0.7f)), options(method));
    EXPECT_NEAR(range.max, 0.7, 0.001) << methodName(options(method));
  }
}

TEST(Range, Channels) {
  TensorStats stats = statsOf({1, -2, 0, 0.5f, 1, 0}, 3);
  EXPECT_EQ(channelRange(stats, 0, false).max, 1);
  EXPECT_EQ(channelRange(stats, 1).max, 2);
  EXPECT_EQ(channelRange(stats, 1, false).min, -2);
  EXPECT_TRUE(channelRange(stats, 2).isAllZero);
}

TEST(Range, MethodNames) {
  for (const char *name : {"minmax", "moving-average", "percentile=99.999", "entropy", "mse"})
    EXPECT_EQ(methodName(*parseMethod(name)), name);
  EXPECT_EQ(methodName(*parseMethod("percentile")), "percentile=99.99");
  for (const char *wrong : {"", "kl", "percentile=", "percentile=0", "percentile=101", "percentile=9x", "percentile=nan"})
    EXPECT_FALSE(parseMethod(wrong)) << wrong;
}
