#include "lib/quantizer/ErrorFeedback.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::quantizer;

namespace {

/// Second moments of `rows` random rows whose channels hang together.
std::vector<double> momentsOf(int64_t k, int64_t rows, sq::test::Random &random) {
  std::vector<double> moments(k * k), x(k);
  for (int64_t t = 0; t < rows; ++t) {
    double common = random.real();
    for (int64_t i = 0; i < k; ++i)
      x[i] = common * (i % 3) + random.real();
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j)
        moments[i * k + j] += x[i] * x[j] / rows;
  }
  return moments;
}

/// Sum over columns of e^T (moments + noise) e.
double costOf(const std::vector<double> &moments, const std::vector<double> &noise, const std::vector<float> &e, int64_t n) {
  int64_t k = noise.size();
  double sum = 0;
  for (int64_t c = 0; c < n; ++c)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j)
        sum += e[i * n + c] * (moments[i * k + j] + (i == j ? noise[i] : 0)) * e[j * n + c];
  return sum;
}

void toNearest(int64_t, const float *wanted, float *rounded, int64_t n) {
  for (int64_t c = 0; c < n; ++c)
    rounded[c] = std::nearbyint(wanted[c]);
}

/// The error of each weight, rounded to whole numbers with feedback.
std::vector<float> errorsWith(const ErrorFeedback &feedback, std::vector<float> weight, int64_t n) {
  feedback.round(weight.data(), n, [&](int64_t row, const float *wanted, float *rounded) { toNearest(row, wanted, rounded, n); });
  return weight;
}

std::vector<float> errorsWithout(const std::vector<float> &weight) {
  std::vector<float> errors;
  for (float w : weight)
    errors.push_back(w - std::nearbyint(w));
  return errors;
}

std::vector<float> randomWeight(int64_t count, sq::test::Random &random) {
  std::vector<float> weight(count);
  for (float &w : weight)
    w = 5 * random.real();
  return weight;
}

} // namespace

// More rows than a block has, and columns that fill no vector.
TEST(ErrorFeedback, CostsLessThanNearest) {
  for (int64_t k : {2, 17, 64, 150}) {
    sq::test::Random random(k);
    std::vector<double> moments = momentsOf(k, 4 * k, random), noise(k, 0.01);
    std::vector<float> weight = randomWeight(k * 13, random);
    ErrorFeedback feedback;
    ASSERT_TRUE(feedback.prepare(moments.data(), k, noise.data()));
    double with = costOf(moments, noise, errorsWith(feedback, weight, 13), 13);
    double without = costOf(moments, noise, errorsWithout(weight), 13);
    EXPECT_LE(with, k < 10 ? without : 0.8 * without) << k;
    // What errors uniform over a step make of what remains, 1 / 12 of it a column; and at most 1 / 4.
    double remaining = 0;
    for (double left : feedback.remaining())
      remaining += left;
    EXPECT_LE(with, 13 * remaining / 4 * 1.0001);
    if (k > 10) {
      EXPECT_NEAR(with, 13 * remaining / 12, 0.2 * 13 * remaining / 12);
    }
  }
}

// Each row gets what is best when those before it are taken as given: not always the best of all choices.
TEST(ErrorFeedback, NearTheBestOfAllChoices) {
  constexpr int64_t k = 4;
  int same = 0;
  for (int trial = 0; trial < 50; ++trial) {
    sq::test::Random random(100 + trial);
    std::vector<double> moments = momentsOf(k, 20, random), noise(k, 0.05);
    std::vector<float> weight = randomWeight(k, random);
    ErrorFeedback feedback;
    ASSERT_TRUE(feedback.prepare(moments.data(), k, noise.data()));
    double found = costOf(moments, noise, errorsWith(feedback, weight, 1), 1), best = INFINITY;
    for (int choice = 0; choice < 625; ++choice) {
      std::vector<float> errors(k);
      for (int64_t i = 0, rest = choice; i < k; ++i, rest /= 5)
        errors[i] = weight[i] - (std::nearbyint(weight[i]) + rest % 5 - 2);
      best = std::min(best, costOf(moments, noise, errors, 1));
    }
    // Babai 1986: at most 2^k times the least square.
    EXPECT_GE(found, best - 1e-5);
    EXPECT_LE(found, best * (1 << k));
    same += found < best + 1e-5;
  }
  EXPECT_GE(same, 25) << "of 50 are the best of all";
}

// Moments without any connection: each weight is rounded for itself.
TEST(ErrorFeedback, DiagonalIsNearest) {
  sq::test::Random random(7);
  std::vector<double> moments = {2, 0, 0, 0, 0, 0, 0, 0, 5}, noise(3, 0.5);
  std::vector<float> weight = randomWeight(3 * 8, random);
  ErrorFeedback feedback;
  ASSERT_TRUE(feedback.prepare(moments.data(), 3, noise.data()));
  EXPECT_EQ(errorsWith(feedback, weight, 8), errorsWithout(weight));
  EXPECT_NEAR(feedback.remaining()[1], 0.5, 1e-12) << "a channel that is always 0";
  EXPECT_NEAR(feedback.remaining()[2], 5.5, 1e-12);
}

// Fewer rows than channels: the noise makes up for what is missing.
TEST(ErrorFeedback, Degenerate) {
  sq::test::Random random(8);
  constexpr int64_t k = 40;
  std::vector<double> moments = momentsOf(k, 5, random), noise(k, 1e-3), none(k);
  std::vector<float> weight = randomWeight(k * 3, random);
  ErrorFeedback feedback;
  ASSERT_TRUE(feedback.prepare(moments.data(), k, noise.data()));
  EXPECT_LT(costOf(moments, noise, errorsWith(feedback, weight, 3), 3), 0.3 * costOf(moments, noise, errorsWithout(weight), 3));
  std::vector<double> zeros(k * k);
  EXPECT_FALSE(feedback.prepare(zeros.data(), k, none.data()));
  ASSERT_TRUE(feedback.prepare(zeros.data(), k, noise.data()));
  EXPECT_EQ(errorsWith(feedback, weight, 3), errorsWithout(weight));
  moments[3 * k + 5] = NAN;
  EXPECT_FALSE(feedback.prepare(moments.data(), k, noise.data()));
}

// The order is that of what varies most, and rows are named by channel.
TEST(ErrorFeedback, LargestFirst) {
  std::vector<double> moments = {1, 0.5, 0.1, 0.5, 9, 0.2, 0.1, 0.2, 4}, noise(3);
  std::vector<float> weight = {0.4f, 0.3f, 0.2f};
  ErrorFeedback feedback;
  ASSERT_TRUE(feedback.prepare(moments.data(), 3, noise.data()));
  std::vector<int64_t> rows;
  feedback.round(weight.data(), 1, [&](int64_t row, const float *wanted, float *rounded) {
    rows.push_back(row);
    rounded[0] = std::nearbyint(wanted[0]);
  });
  EXPECT_EQ(rows, (std::vector<int64_t>{1, 2, 0}));
}
