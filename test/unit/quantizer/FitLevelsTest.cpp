#include "lib/quantizer/FitLevels.h"

#include "test/support/Random.h"
#include "test/unit/quantizer/SpecRow.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq;
using namespace sq::quantizer;

static std::vector<float> decoded(const CompressedWeight &weight) {
  std::vector<float> to(weight.n * weight.k);
  weight.decode(to.data());
  return to;
}

// Specification 10.3: round to nearest between the extremes. Its figures are of
// scales in double; ours are of f16, whose steps are 2^-11 of a scale and a
// minimum.
TEST(FitLevels, UniformOfTheSpecification) {
  test::SpecRow row;
  std::pair<int, double> cases[] = {
      {2, 22.0379013395}, {3, 15.2264887043}, {4, 7.32620616603}};
  for (auto [bits, error] : cases) {
    CompressedWeight weight = CompressedWeight::make(
        {GridKind::Uniform, bits, EntryType::F16, 256}, 1, 256);
    fitUniform(weight, row.w.data(), nullptr, false, 1);
    weight.assignNearest(row.w.data());
    EXPECT_NEAR(test::weightedError(row.w, row.f, decoded(weight)), error,
                0.01 * error);
  }
}

TEST(FitLevels, GroupsAndTails) {
  test::Random random(8);
  for (GridKind kind : {GridKind::Uniform, GridKind::Symmetric})
    for (int64_t k : {1, 31, 32, 33, 100}) {
      int64_t n = 3;
      std::vector<float> w(n * k);
      for (float &x : w)
        x = random.real();
      CompressedWeight weight =
          CompressedWeight::make({kind, 4, EntryType::F16, 32}, n, k);
      fitUniform(weight, w.data(), nullptr, false, 2);
      weight.assignNearest(w.data());
      ASSERT_TRUE(weight.verify().ok());
      std::vector<float> got = decoded(weight);
      for (int64_t r = 0; r < n; ++r)
        for (int64_t first = 0; first < k; first += 32) {
          float least = 0, most = 0, largest = 0;
          bool isFirst = true;
          for (int64_t c = first; c < std::min(k, first + 32); ++c) {
            float x = w[r * k + c];
            least = isFirst ? x : std::min(least, x);
            most = isFirst ? x : std::max(most, x);
            largest = std::max(largest, std::fabs(x));
            isFirst = false;
          }
          // Half a step; the value opposite to the largest is up to a whole one
          // beyond the last level.
          double step =
              kind == GridKind::Uniform ? (most - least) / 15 : largest / 8;
          for (int64_t c = first; c < std::min(k, first + 32); ++c)
            ASSERT_LE(std::fabs(got[r * k + c] - w[r * k + c]),
                      step * (kind == GridKind::Uniform ? 0.5 : 1) +
                          0.01 * largest + 1e-6)
                << k << ", row " << r << ", column " << c;
        }
    }
}

// A group that is constant, or all 0, has a step of 0.
TEST(FitLevels, ConstantGroups) {
  std::vector<float> w = {2, 2, 2, 2, 0, 0, 0, 0};
  for (GridKind kind : {GridKind::Uniform, GridKind::Symmetric}) {
    CompressedWeight weight =
        CompressedWeight::make({kind, 3, EntryType::F16, 4}, 1, 8);
    fitUniform(weight, w.data(), nullptr, true, 1);
    weight.assignNearest(w.data());
    EXPECT_EQ(decoded(weight), w);
  }
}

// Narrower grids cost less where few values are large.
TEST(FitLevels, SearchCostsLess) {
  test::Random random(9);
  int64_t n = 4, k = 256;
  std::vector<float> w(n * k);
  std::vector<double> channels(k);
  for (float &x : w)
    x = random.real();
  for (double &c : channels)
    c = std::exp(random.real());
  double error[2];
  for (bool search : {false, true}) {
    CompressedWeight weight = CompressedWeight::make(
        {GridKind::Uniform, 3, EntryType::F16, 128}, n, k);
    fitUniform(weight, w.data(), channels.data(), search, 1);
    weight.assignNearest(w.data());
    std::vector<float> got = decoded(weight);
    error[search] = 0;
    for (int64_t i = 0; i < n * k; ++i)
      error[search] += channels[i % k] * std::pow(double(got[i]) - w[i], 2);
  }
  EXPECT_LT(error[1], 0.9 * error[0]);
}

// The same bytes for any number of threads; importance by channel is that of
// its elements.
TEST(FitLevels, TablesByThreadsAndChannels) {
  test::Random random(10);
  int64_t n = 37, k = 90;
  std::vector<float> w(n * k), elements(n * k);
  std::vector<double> channels(k);
  for (float &x : w)
    x = random.real();
  for (double &c : channels)
    c = std::fabs(float(random.real()));
  double largest = *std::max_element(channels.begin(), channels.end());
  for (int64_t i = 0; i < n * k; ++i)
    elements[i] = float(channels[i % k] / largest);
  CompressedWeight one = CompressedWeight::make({GridKind::Table, 3}, n, k),
                   two = one, three = one;
  fitTables(one, w.data(), {channels.data(), nullptr}, {}, 1);
  fitTables(two, w.data(), {channels.data(), nullptr}, {}, 4);
  fitTables(three, w.data(), {nullptr, elements.data()}, {}, 1);
  EXPECT_EQ(one.table, two.table);
  EXPECT_EQ(one.table, three.table);
}
