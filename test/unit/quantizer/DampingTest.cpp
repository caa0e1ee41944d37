#include "lib/quantizer/Damping.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace sq::quantizer;

namespace {

constexpr int64_t kN = 40, kK = 60;

/// Mean squares of gradients: by row, by column, and `own` of each element (the
/// deviation of its logarithm).
std::vector<double> truth(double own, unsigned seed) {
  sq::test::Random random(seed);
  std::vector<double> row(kN), column(kK), f;
  for (double &x : row)
    x = std::exp(random.real());
  for (double &x : column)
    x = std::exp(2 * random.real());
  for (double r : row)
    for (double c : column)
      f.push_back(1e-9 * r * c * std::exp(own * random.real()));
  return f;
}

/// Sums of squares of `samples` gradients of these.
std::vector<float> sampled(const std::vector<double> &f, int64_t samples,
                           unsigned seed) {
  sq::test::Random random(seed);
  std::vector<float> sums(f.size());
  for (size_t i = 0; i < f.size(); ++i)
    for (int64_t s = 0; s < samples; ++s) {
      double g = random.real();
      sums[i] += f[i] * g * g;
    }
  return sums;
}

/// Squared distance of `sums` over samples from `f`, by what row and column
/// have in common.
double distance(const std::vector<float> &sums, int64_t samples,
                const std::vector<double> &f) {
  std::vector<double> row(kN), column(kK);
  double all = 0, sum = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    row[i / kK] += f[i];
    column[i % kK] += f[i];
    all += f[i];
  }
  for (size_t i = 0; i < f.size(); ++i)
    sum += std::pow(sums[i] / double(samples) - f[i], 2) /
           (row[i / kK] * column[i % kK] / all);
  return sum / all;
}

} // namespace

TEST(Damping, FewSamplesAreDampedMore) {
  std::vector<double> f = truth(0.5, 1);
  double before = 1;
  for (int64_t samples : {2, 8, 32, 512}) {
    std::vector<float> raw = sampled(f, samples, 2), damped = raw;
    double gone = dampSensitivities(damped.data(), kN, kK, samples, 0);
    EXPECT_GT(gone, 0);
    EXPECT_LE(gone, before) << samples;
    before = gone;
    double was = distance(raw, samples, f), is = distance(damped, samples, f);
    EXPECT_LE(is, was) << samples;
    if (samples <= 8)
      EXPECT_LT(is, 0.8 * was) << samples;
  }
  EXPECT_LT(before, 0.05) << "512 samples say nearly all";
}

TEST(Damping, NothingButRowsAndColumns) {
  std::vector<double> f = truth(0, 3);
  std::vector<float> sums(f.begin(), f.end()), damped = sums;
  EXPECT_EQ(dampSensitivities(damped.data(), kN, kK, 64, 0), 1)
      << "all the distance there is, is noise";
  for (size_t i = 0; i < sums.size(); ++i)
    EXPECT_NEAR(damped[i], sums[i], 1e-5 * sums[i]);
}

TEST(Damping, LeastAndZeros) {
  std::vector<float> sums = {4, 0, 0, 0, 0, 4}, damped = sums;
  EXPECT_EQ(dampSensitivities(damped.data(), 2, 3, 1 << 20, 0.5), 0.5);
  // Rows have 4 each, columns 4, 0, 4: 2 is expected where a column has any.
  EXPECT_EQ(damped, (std::vector<float>{3, 0, 1, 1, 0, 3}));
  damped = sums;
  EXPECT_EQ(dampSensitivities(damped.data(), 2, 3, 1, 0), 1)
      << "one sample says nothing of an element";
  EXPECT_EQ(damped, (std::vector<float>{2, 0, 2, 2, 0, 2}));
  std::vector<float> none(6);
  EXPECT_EQ(dampSensitivities(none.data(), 2, 3, 4, 1), 0);
  EXPECT_EQ(none, std::vector<float>(6));
}
