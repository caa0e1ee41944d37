#include "lib/calibration/TensorStats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace sq::calibration;

namespace {

std::vector<float> normal(size_t count, unsigned seed, float scale = 1) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> draw(0, scale);
  std::vector<float> values(count);
  for (float &x : values)
    x = draw(bits);
  return values;
}

void add(TensorStats &stats, const std::vector<float> &values) {
  stats.add(values.data(), values.size(), observe(values.data(), values.size(), stats.channels()));
}

/// The definition, in double.
std::vector<uint64_t> directCounts(const std::vector<float> &values, int exponent) {
  std::vector<uint64_t> counts(2 * Histogram::kBins);
  double width = std::ldexp(1.0 / Histogram::kBins, exponent);
  for (float x : values) {
    int k = static_cast<int>(std::floor(std::fabs(double(x)) / width));
    ++counts[std::signbit(x) ? Histogram::kBins - 1 - k : Histogram::kBins + k];
  }
  return counts;
}

} // namespace

TEST(Histogram, DoublingIsExact) {
  // Each part is larger than the one before: the range doubles again and again. Both paths of add:
  // few values and many.
  for (size_t count : {size_t(1000), size_t(30001)}) {
    Histogram histogram;
    std::vector<float> all;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> part = normal(count, i, std::ldexp(1e-3f, i));
      float maxAbs = 0;
      for (float x : part)
        maxAbs = std::max(maxAbs, std::fabs(x));
      histogram.add(part.data(), part.size(), maxAbs);
      all.insert(all.end(), part.begin(), part.end());
    }
    EXPECT_EQ(histogram.counts, directCounts(all, histogram.exponent));
  }
}

TEST(Histogram, PowersOfTwoAndZeros) {
  // A power of two lies in the upper of two bins, at every width.
  std::vector<float> values = {1, 2, 0.5f, -1, -2, -0.5f, 0, -0.0f, 1e-30f, -1e-30f};
  Histogram histogram;
  for (float x : values)
    histogram.add(&x, 1, std::fabs(x));
  EXPECT_EQ(histogram.exponent, 2);
  EXPECT_EQ(histogram.counts, directCounts(values, 2));
  EXPECT_EQ(histogram.magnitudes()[0], 4u);
}

TEST(Histogram, ExtremesOfFloat) {
  std::vector<float> values = {3.4028235e38f, -3.4028235e38f, 1e-45f, 0};
  Histogram histogram;
  histogram.add(values.data() + 2, 2, 1e-45f);
  histogram.add(values.data(), 2, 3.4028235e38f);
  EXPECT_EQ(histogram.exponent, Histogram::kMaxExponent);
  EXPECT_EQ(histogram.counts, directCounts(values, histogram.exponent));
}

TEST(TensorStats, Channels) {
  TensorStats stats(3);
  add(stats, {1, -2, 0, 3, 4, 0});
  add(stats, {-1, 5, 0});
  EXPECT_EQ(stats.channelMin, (std::vector<float>{-1, -2, 0}));
  EXPECT_EQ(stats.channelMax, (std::vector<float>{3, 5, 0}));
  EXPECT_DOUBLE_EQ(stats.channelMean(0), 1);
  EXPECT_DOUBLE_EQ(stats.channelMean(1), 7.0 / 3);
  EXPECT_EQ(stats.elements, 9u);
  EXPECT_EQ(stats.runs, 2u);
  EXPECT_EQ(stats.maxAbs(), 5);
}

TEST(TensorStats, MovingAverage) {
  TensorStats stats;
  add(stats, {-1, 1});
  EXPECT_EQ(stats.averageMax, 1);
  add(stats, {-3, 11});
  EXPECT_DOUBLE_EQ(stats.averageMin, -1.1);
  EXPECT_DOUBLE_EQ(stats.averageMax, 1.5);
}

TEST(TensorStats, NotFinite) {
  for (float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    std::vector<float> values = normal(100, 1);
    values[63] = bad;
    EXPECT_FALSE(observe(values.data(), values.size(), 10).isFinite);
    EXPECT_FALSE(observe(values.data(), values.size(), 0).isFinite);
  }
  EXPECT_TRUE(observe(nullptr, 0, 0).isFinite);
}

TEST(TensorStats, MergeIsAllAtOnce) {
  for (size_t channels : {0, 24}) {
    TensorStats whole(channels), first(channels), second(channels), third(channels);
    for (int i = 0; i < 30; ++i) {
      std::vector<float> values = normal(24 * 50, i, i % 7 + 0.5f);
      add(whole, values);
      add(i < 11 ? first : i < 12 ? second : third, values);
    }
    TensorStats left = first, right = second;
    ASSERT_TRUE(left.merge(second) && left.merge(third));
    ASSERT_TRUE(right.merge(third) && first.merge(right));
    for (const TensorStats *merged : {&left, &first}) {
      EXPECT_EQ(merged->elements, whole.elements);
      EXPECT_EQ(merged->runs, whole.runs);
      EXPECT_EQ(merged->min, whole.min);
      EXPECT_EQ(merged->max, whole.max);
      EXPECT_EQ(merged->firstMax, whole.firstMax);
      EXPECT_NEAR(merged->averageMin, whole.averageMin, 1e-12);
      EXPECT_NEAR(merged->averageMax, whole.averageMax, 1e-12);
      EXPECT_EQ(merged->channelMin, whole.channelMin);
      EXPECT_EQ(merged->channelMax, whole.channelMax);
      for (size_t i = 0; i < channels; ++i) {
        EXPECT_NEAR(merged->channelSum[i], whole.channelSum[i], 1e-9);
        EXPECT_NEAR(merged->channelSquares[i], whole.channelSquares[i], 1e-9 * whole.channelSquares[i]);
      }
      EXPECT_EQ(merged->histogram.exponent, whole.histogram.exponent);
      EXPECT_EQ(merged->histogram.counts, whole.histogram.counts);
    }
  }
}

TEST(TensorStats, MergeWithNothing) {
  TensorStats stats, empty;
  add(stats, {1, 2});
  EXPECT_TRUE(stats.merge(empty));
  EXPECT_EQ(stats.averageMax, 2);
  EXPECT_TRUE(empty.merge(stats));
  EXPECT_EQ(empty.averageMax, 2);
  EXPECT_FALSE(stats.merge(TensorStats(4)));
}
