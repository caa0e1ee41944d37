#include "lib/calibration/Moments.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::calibration;
using sq::Status;

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
      EXPECT_EQ(once.product(i, j), often.product(i, j));
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

// More channels than a panel has, in memory and in a file.
TEST(Moments, Panels) {
  for (int64_t channels : {127, 128, 129, 300}) {
    constexpr int64_t kRows = 3;
    std::vector<float> x = rowsOf(kRows, channels, 3);
    Moments memory(channels), file(channels);
    ASSERT_TRUE(file.moveToFile(testing::TempDir()).ok());
    for (Moments *moments : {&memory, &file}) {
      moments->add(x.data(), kRows, kRows, 0);
      moments->flush();
    }
    std::vector<double> found = memory.secondMoments();
    EXPECT_EQ(found, file.secondMoments());
    for (int64_t i = 0; i < channels; ++i)
      for (int64_t j = i; j < channels; ++j) {
        double expected = 0;
        for (int64_t t = 0; t < kRows; ++t)
          expected += double(x[t * channels + i]) * x[t * channels + j] / kRows;
        ASSERT_NEAR(found[i * channels + j], expected, 1e-5) << i << " " << j; // three products of about 10
        ASSERT_EQ(memory.product(i, j), file.product(i, j));
      }
    // Nothing but zeros left of the diagonal: the bytes of a file depend on the moments alone.
    size_t zeros = 0, stored = Moments::storedElements(channels);
    for (size_t i = 0; i < stored; ++i)
      zeros += memory.stored()[i] == 0;
    size_t used = channels * (channels + 1) / 2;
    EXPECT_EQ(zeros, stored - used);
  }
}

TEST(Moments, CopiesAreTheirOwn) {
  std::vector<float> x = {1, 2, 3};
  Moments first(3);
  first.add(x.data(), 1, 1, 0);
  first.flush();
  Moments second = first;
  second.merge(first);
  EXPECT_EQ(first.product(1, 2), 6);
  EXPECT_EQ(second.product(1, 2), 12);
  EXPECT_EQ(second.rows, 2u);
}

TEST(Moments, NoSuchFolder) {
  Moments moments(5);
  Status s = moments.moveToFile("/nowhere/at/all");
  EXPECT_EQ(s.code, sq::ExitCode::Lacking);
  EXPECT_NE(s.message.find("cannot make a file of 100 bytes in '/nowhere/at/all'"), std::string::npos) << s.message;
}

TEST(Moments, WithoutRows) {
  Moments moments(2);
  moments.add(nullptr, 0, 32, 0.5);
  moments.flush();
  EXPECT_TRUE(moments.isEmpty());
  EXPECT_EQ(moments.covariance(), std::vector<double>(4, 0.0));
}
