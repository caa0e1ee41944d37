#include "lib/calibration/Moments.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::calibration;

namespace {

std::vector<float> rowsOf(int64_t count, int64_t channels, uint64_t seed) {
  sq::test::Random random(seed);
  std::vector<float> rows(count * channels);
  for (float &x : rows)
    x = random.real() + 3;
  return rows;
}

} // namespace

TEST(Moments, CovarianceOfAllRows) {
  constexpr int64_t kRows = 700, kChannels = 37;
  std::vector<float> x = rowsOf(kRows, kChannels, 1);
  Moments moments(kChannels);
  moments.add(x.data(), kRows, kRows, 0.5);
  moments.flush();
  ASSERT_EQ(moments.rows, uint64_t(kRows));
  std::vector<double> found = moments.covariance(), raw = moments.secondMoments(), mean(kChannels);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t i = 0; i < kChannels; ++i)
      mean[i] += x[t * kChannels + i] / double(kRows);
  for (int64_t i = 0; i < kChannels; ++i)
    for (int64_t j = i; j < kChannels; ++j) {
      double expected = 0;
      for (int64_t t = 0; t < kRows; ++t)
        expected += (x[t * kChannels + i] - mean[i]) * (x[t * kChannels + j] - mean[j]) / kRows;
      // A sum of 700 products of about 10 in floats, some 1e-7 of it lost with each.
      EXPECT_NEAR(found[i * kChannels + j], expected, 1e-4);
      EXPECT_NEAR(raw[i * kChannels + j], expected + mean[i] * mean[j], 1e-4);
    }
}

TEST(Moments, WhenToFlushChangesNothing) {
  constexpr int64_t kRows = 45, kChannels = 19;
  std::vector<float> x = rowsOf(kRows, kChannels, 2);
  Moments once(kChannels), often(kChannels);
  once.add(x.data(), kRows, kRows, 0);
  once.flush();
  for (int64_t t = 0; t < kRows; ++t) {
    often.add(x.data() + t * kChannels, 1, 1, 0);
    if (t % 7 == 3 || t == kRows - 1)
      often.flush();
  }
  EXPECT_EQ(once.rows, often.rows);
  EXPECT_EQ(once.sums, often.sums);
  for (int64_t i = 0; i < kChannels; ++i)
    for (int64_t j = i; j < kChannels; ++j)
      EXPECT_EQ(once.products[i * kChannels + j], often.products[i * kChannels + j]);
}

TEST(Moments, RowsAreSpreadEvenly) {
  std::vector<float> x = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (auto [phase, sum] : {std::pair(0.0, 0.0 + 3 + 6), std::pair(0.5, 1.0 + 5 + 8), std::pair(0.999, 3.0 + 6 + 9)}) {
    Moments moments(1);
    moments.add(x.data(), 10, 3, phase);
    moments.flush();
    EXPECT_EQ(moments.rows, 3u);
    EXPECT_EQ(moments.sums[0], sum) << phase;
  }
}

TEST(Moments, WithoutRows) {
  Moments moments(2);
  moments.add(nullptr, 0, 32, 0.5);
  moments.flush();
  EXPECT_TRUE(moments.isEmpty());
  EXPECT_EQ(moments.covariance(), std::vector<double>(4, 0.0));
}
