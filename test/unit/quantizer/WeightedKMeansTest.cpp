#include "lib/quantizer/WeightedKMeans.h"

#include "test/support/Random.h"
#include "test/unit/quantizer/SpecRow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace sq;
using namespace sq::quantizer;
using sq::test::Lcg;
using sq::test::SpecRow;

namespace {

double objectiveOf(const std::vector<float> &w, const std::vector<float> &f,
                   const std::vector<double> &centroids) {
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    double least = INFINITY;
    for (double c : centroids)
      least = std::min(least, (w[i] - c) * (w[i] - c));
    sum += f[i] * least;
  }
  return sum;
}

double cluster(const std::vector<float> &w, const std::vector<float> &f, int k,
               std::vector<double> &centroids,
               const std::vector<uint8_t> &removed = {}) {
  WeightedKMeans means;
  centroids.assign(k, NAN);
  return means.cluster(w.data(), f.empty() ? nullptr : f.data(),
                       removed.empty() ? nullptr : removed.data(), w.size(), k,
                       centroids.data());
}

/// The O(k n^2) dynamic program on sorted values.
double slowOptimum(const std::vector<float> &w, const std::vector<float> &f,
                   int k) {
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < w.size(); ++i)
    if (f[i] > 0)
      points.emplace_back(w[i], f[i]);
  std::sort(points.begin(), points.end());
  int n = points.size();
  std::vector<double> before(n + 1, INFINITY), now;
  before[0] = 0;
  for (int c = 0; c < k; ++c) {
    now = before; // fewer clusters may do
    for (int i = 0; i < n; ++i) {
      double mass = 0, mean = 0, cost = 0;
      for (int j = i; j < n; ++j) { // Welford
        auto [x, s] = points[j];
        mass += s;
        double delta = x - mean;
        mean += s / mass * delta;
        cost += s * delta * (x - mean);
        now[j + 1] = std::min(now[j + 1], before[i] + cost);
      }
    }
    before = now;
  }
  return before[n];
}

/// Lloyd's algorithm from sorted `centroids`; a point on a boundary goes low,
/// empty clusters stay.
double lloyd(const std::vector<float> &w, const std::vector<float> &f,
             std::vector<double> centroids) {
  std::vector<int> labels(w.size(), -1);
  for (bool changes = true; changes;) {
    changes = false;
    std::vector<double> mass(centroids.size()), sum(centroids.size());
    for (size_t i = 0; i < w.size(); ++i) {
      int label = 0;
      for (size_t c = 0; c + 1 < centroids.size(); ++c)
        label += w[i] > (centroids[c] + centroids[c + 1]) / 2;
      changes |= label != labels[i];
      labels[i] = label;
      mass[label] += f[i];
      sum[label] += double(f[i]) * w[i];
    }
    for (size_t c = 0; c < centroids.size(); ++c)
      if (mass[c] > 0)
        centroids[c] = sum[c] / mass[c];
  }
  double total = 0;
  for (size_t i = 0; i < w.size(); ++i)
    total +=
        f[i] * (w[i] - centroids[labels[i]]) * (w[i] - centroids[labels[i]]);
  return total;
}

} // namespace

// Specification 10.1.
TEST(WeightedKMeans, TheRowIsThatOfTheSpecification) {
  SpecRow row;
  test::Fnv fnv;
  for (int i = 0; i < 256; ++i) {
    fnv.add(row.w[i]);
    fnv.add(row.f[i]);
  }
  EXPECT_EQ(fnv.hash, 0xc5fbd116775ddfa8u);
  Lcg random{2024};
  EXPECT_EQ(random.next(), 1542980004u);
  double sum = 0;
  for (float f : row.f)
    sum += f;
  EXPECT_NEAR(sum, 11364.2316287, 1e-6);
}

// Specification 10.2.
TEST(WeightedKMeans, SmallCase) {
  std::vector<float> w = {-3, -3, -1, 0, 0, 1, 2, 2, 5, 9},
                     f = {1, 2, 0, 4, 0, 1, 3, 1, 0, 2};
  std::vector<double> c;
  EXPECT_NEAR(cluster(w, f, 1, c), 1280.0 / 7, 1e-12);
  EXPECT_NEAR(c[0], 9.0 / 7, 1e-15);
  EXPECT_NEAR(cluster(w, f, 2, c), 44, 1e-12);
  EXPECT_NEAR(c[0], 0, 1e-15);
  EXPECT_NEAR(c[1], 9, 1e-15);
  EXPECT_NEAR(cluster(w, f, 3, c), 8, 1e-12);
  EXPECT_NEAR(c[0], -3, 1e-14);
  EXPECT_NEAR(c[1], 1, 1e-14);
  EXPECT_NEAR(c[2], 9, 1e-14);
  EXPECT_NEAR(cluster(w, f, 4, c), 0.8, 1e-12);
  EXPECT_NEAR(objectiveOf(w, f, c), 0.8, 1e-12) << "there are two optima";
  EXPECT_EQ(cluster(w, f, 5, c), 0);
  EXPECT_EQ(c, (std::vector<double>{-3, 0, 1, 2, 9}));
  EXPECT_EQ(cluster(w, f, 8, c), 0);
  EXPECT_EQ(c, (std::vector<double>{-3, 0, 1, 2, 9, 9, 9, 9}));
  // Without any weight each counts as one.
  std::vector<float> none(10, 0), ones(10, 1);
  std::vector<double> d;
  EXPECT_EQ(cluster(w, none, 3, c), cluster(w, ones, 3, d));
  EXPECT_EQ(c, d);
}

// Specification 10.3: the optima, and centroids of k = 8.
TEST(WeightedKMeans, ObjectivesOfTheSpecification) {
  SpecRow row;
  std::vector<double> c;
  std::pair<int, double> expected[] = {
      {4, 5.19581624776}, {8, 1.10813269304}, {16, 0.130582238373}};
  for (auto [k, objective] : expected) {
    EXPECT_NEAR(cluster(row.w, row.f, k, c), objective, 1e-9 * objective);
    EXPECT_NEAR(objectiveOf(row.w, row.f, c), objective, 1e-9 * objective);
  }
  std::pair<int, double> unweighted[] = {
      {4, 10.7654737209}, {8, 1.98355376503}, {16, 0.345656304260}};
  for (auto [k, objective] : unweighted) {
    cluster(row.w, {}, k, c);
    EXPECT_NEAR(objectiveOf(row.w, row.f, c), objective, 1e-9 * objective);
  }
  cluster(row.w, row.f, 8, c);
  double centroids[] = {-0.307341213,  -0.0995863533, -0.0346899812,
                        0.00142080672, 0.0274094732,  0.0763915259,
                        0.379585845,   0.788369017};
  for (int i = 0; i < 8; ++i)
    EXPECT_NEAR(c[i], centroids[i], 1e-8 * std::fabs(centroids[i]));
}

// Specification 10.3: the seeds of Lloyd's algorithm, none of which finds the
// optimum of k = 8.
TEST(WeightedKMeans, RestartsOfTheSpecification) {
  SpecRow row;
  std::vector<double> c;
  double optimum = cluster(row.w, row.f, 8, c), best = INFINITY;
  int reached = 0;
  for (int seed = 1; seed <= 1000; ++seed) {
    Lcg random{uint64_t(seed)};
    std::vector<int> index(256);
    for (int i = 0; i < 256; ++i)
      index[i] = i;
    std::vector<double> start;
    for (int j = 0; j < 8; ++j) {
      std::swap(index[j],
                index[j + (uint64_t(random.next()) * (256 - j) >> 32)]);
      start.push_back(row.w[index[j]]);
    }
    std::sort(start.begin(), start.end());
    double found = lloyd(row.w, row.f, start);
    best = std::min(best, found);
    reached += found <= optimum * (1 + 1e-9);
    if (seed == 1) {
      EXPECT_NEAR(found, 1.67256377933, 1e-9);
    }
    if (seed == 2) {
      EXPECT_NEAR(found, 1.91037936596, 1e-9);
    }
    if (seed == 380) {
      EXPECT_NEAR(found, 1.13519694771, 1e-9);
    }
  }
  EXPECT_EQ(reached, 0);
  EXPECT_NEAR(best, 1.13519694771, 1e-9);
}

// All partitions of short rows, by trying them.
TEST(WeightedKMeans, BruteForce) {
  test::Random random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    int n = random.integer(1, 9), k = random.integer(1, 5);
    std::vector<float> w(n), f(n);
    for (int i = 0; i < n; ++i) {
      w[i] = random.integer(-4, 4);
      f[i] = random.integer(0, 3);
    }
    if (std::all_of(f.begin(), f.end(), [](float x) { return x == 0; }))
      f.assign(n, 1);
    double best = INFINITY;
    std::vector<int> label(n);
    int choices = std::pow(k, n);
    for (int choice = 0; choice < std::min(choices, 20000); ++choice) {
      std::vector<double> mass(k), sum(k);
      for (int i = 0, rest = choice; i < n; ++i, rest /= k) {
        label[i] = rest % k;
        mass[label[i]] += f[i];
        sum[label[i]] += f[i] * w[i];
      }
      double cost = 0;
      for (int i = 0; i < n; ++i)
        if (f[i] > 0)
          cost += f[i] * std::pow(w[i] - sum[label[i]] / mass[label[i]], 2);
      best = std::min(best, cost);
    }
    std::vector<double> c;
    double found = cluster(w, f, k, c);
    if (choices <= 20000) {
      ASSERT_NEAR(found, best, 1e-9) << "trial " << trial;
    } else {
      ASSERT_LE(found, best + 1e-9) << "trial " << trial;
    }
    ASSERT_NEAR(objectiveOf(w, f, c), found, 1e-9);
    ASSERT_TRUE(std::is_sorted(c.begin(), c.end()));
  }
}

// Specification 11.1: the quadratic dynamic program, and Lloyd from many
// starts.
TEST(WeightedKMeans, RandomRows) {
  test::Random random(2);
  for (int trial = 0; trial < 1000; ++trial) {
    int n = random.integer(1, trial % 10 == 0 ? 512 : 120),
        k = random.integer(2, 16);
    bool rough = random.integer(0, 1), spread = random.integer(0, 3) == 0;
    std::vector<float> w(n), f(n);
    for (int i = 0; i < n; ++i) {
      w[i] = rough ? random.integer(-20, 20)
                   : random.real() * std::exp(random.real());
      f[i] = random.integer(0, 4) == 0 ? 0
             : spread                  ? std::exp(8 * random.real())
                                       : std::fabs(random.real());
    }
    if (std::all_of(f.begin(), f.end(), [](float x) { return x == 0; }))
      continue;
    std::vector<double> c;
    double found = cluster(w, f, k, c), slow = slowOptimum(w, f, k);
    double total = 0;
    for (int i = 0; i < n; ++i)
      total += double(f[i]) * w[i] * w[i];
    ASSERT_NEAR(found, slow, 1e-11 * total + 1e-9 * slow)
        << "trial " << trial << ", n " << n << ", k " << k;
    for (int restart = 0; restart < 3; ++restart) {
      std::vector<double> start;
      for (int j = 0; j < k; ++j)
        start.push_back(w[random.integer(0, n - 1)]);
      std::sort(start.begin(), start.end());
      ASSERT_LE(found, lloyd(w, f, start) + 1e-11 * total) << "trial " << trial;
    }
  }
}

// Specification 11.2.
TEST(WeightedKMeans, DegenerateRows) {
  std::vector<double> c;
  EXPECT_EQ(cluster({5, 5, 5, 5}, {1, 2, 3, 4}, 4, c), 0);
  EXPECT_EQ(c, (std::vector<double>(4, 5)));
  EXPECT_EQ(cluster({}, {}, 4, c), 0);
  EXPECT_EQ(c, (std::vector<double>(4, 0)));
  EXPECT_EQ(cluster({0, 0, 0}, {0, 0, 0}, 4, c), 0);
  EXPECT_EQ(c, (std::vector<double>(4, 0)));
  // Distinct values that are no longer than the table come out to the bit.
  std::vector<float> few = {0.1f, 1e-20f, 3e4f, -7.7f};
  cluster(few, {}, 4, c);
  EXPECT_EQ(c, (std::vector<double>{-7.7f, 1e-20f, 0.1f, 3e4f}));
  // One huge value has a centroid of its own, and does not spoil the others.
  test::Random random(3);
  std::vector<float> w(1000), f(1000, 1);
  for (float &x : w)
    x = random.real();
  w[17] = 1e7;
  cluster(w, f, 8, c);
  EXPECT_NEAR(c[7], 1e7, 1e-6);
  std::vector<uint8_t> removed(1000);
  removed[17] = 1;
  std::vector<double> others;
  double without = cluster(w, f, 7, others, removed);
  w.erase(w.begin() + 17);
  f.pop_back();
  EXPECT_NEAR(objectiveOf(w, f, {c.begin(), c.begin() + 7}), without,
              1e-3 * without)
      << "sums of squares of 1e7 cancel";
  // Weights of any size: a factor changes nothing.
  for (float factor : {1e-30f, 1e30f, 1e-44f}) {
    std::vector<float> scaled(f.size(), factor);
    std::vector<double> same;
    cluster(w, f, 8, c);
    EXPECT_GE(cluster(w, scaled, 8, same), 0);
    EXPECT_EQ(same, c) << factor;
  }
  // Of weights that span all of float's range the small ones do not disappear.
  std::vector<float> values = {1, 2, 3, 4, 100, 101},
                     wide = {1e-38f, 1e-38f, 1e-38f, 1e-38f, 1e38f, 1e38f};
  cluster(values, wide, 3, c);
  EXPECT_NEAR(c[1], 100, 1e-9);
  EXPECT_NEAR(c[2], 101, 1e-9);
  EXPECT_GE(c[0], 1);
  EXPECT_LE(c[0], 4);
  // Removed values have no say even where no weight is left.
  EXPECT_EQ(cluster({-9, 1, 1}, {0, 0, 0}, 2, c, {1, 0, 0}), 0);
  EXPECT_EQ(c, (std::vector<double>{1, 1}));
}

TEST(WeightedKMeans, RefusesSensitivities) {
  std::vector<float> f = {1, 2, 0, 3, 1, 1};
  EXPECT_TRUE(checkSensitivities(f.data(), 2, 3, "fisher.npy").ok());
  std::pair<float, const char *> wrong[] = {{NAN, "NaN"},
                                            {-1, "negative"},
                                            {INFINITY, "infinite"},
                                            {-INFINITY, "negative"}};
  for (auto [value, kind] : wrong) {
    f[4] = value;
    EXPECT_EQ(
        checkSensitivities(f.data(), 2, 3, "fisher.npy").message,
        std::string("fisher.npy: the sensitivity of row 1, column 1 is ") +
            kind + "; sums of squared gradients are finite and not below 0");
  }
}
