#include "lib/quantizer/Extraction.h"

#include "test/support/Random.h"
#include "test/unit/quantizer/SpecRow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace sq;
using namespace sq::quantizer;

static std::vector<int64_t> marked(const Extraction &e, uint8_t mark) {
  std::vector<int64_t> found;
  for (size_t i = 0; i < e.removed.size(); ++i)
    if (e.removed[i] == mark)
      found.push_back(i);
  return found;
}

// Specification 10.4: of 256 values 1 sensitive one and then 6 outliers.
TEST(Extraction, EntriesOfTheSpecification) {
  test::SpecRow row;
  Extraction e;
  ASSERT_TRUE(extract(row.w.data(), row.f.data(), 1, 256,
                      {100.0 / 256, 600.0 / 256, {}}, e)
                  .ok());
  EXPECT_EQ(marked(e, kSensitive), (std::vector<int64_t>{160}));
  EXPECT_EQ(marked(e, kOutlier),
            (std::vector<int64_t>{8, 98, 164, 165, 241, 245}));
}

TEST(Extraction, QuartilesOfTheSpecification) {
  test::SpecRow row;
  struct {
    double r, threshold;
    int64_t count;
  } cases[] = {{1.5, 0.0552021157, 34},
               {1.8, 0.0634583802, 28},
               {2.0, 0.0689625566, 24}};
  for (auto [r, threshold, count] : cases) {
    Extraction e;
    ASSERT_TRUE(extract(row.w.data(), nullptr, 1, 256, {0, 0, r}, e).ok());
    EXPECT_NEAR(e.threshold, threshold, 1e-9 * threshold * 10);
    EXPECT_EQ(e.outliers, count);
    EXPECT_EQ(int64_t(marked(e, kOutlier).size()), count);
  }
}

// Specification 11.3: exact counts, whatever is equal.
TEST(Extraction, CountsWithTies) {
  test::Random random(5);
  for (int trial = 0; trial < 300; ++trial) {
    int64_t n = random.integer(1, 9), k = random.integer(1, 40), count = n * k;
    std::vector<float> w(count), f(count);
    for (int64_t i = 0; i < count; ++i) {
      w[i] = random.integer(-2, 2);
      f[i] = random.integer(0, 2);
    }
    double sensitive = random.integer(0, 50), outliers = random.integer(0, 50);
    Extraction e;
    ASSERT_TRUE(
        extract(w.data(), f.data(), n, k, {sensitive, outliers, {}}, e).ok());
    std::vector<int64_t> s = marked(e, kSensitive), o = marked(e, kOutlier);
    ASSERT_EQ(int64_t(s.size()), int64_t(sensitive * count / 100));
    ASSERT_EQ(int64_t(o.size()), int64_t(outliers * count / 100));
    ASSERT_EQ(e.sensitive, int64_t(s.size()));
    ASSERT_EQ(e.outliers, int64_t(o.size()));
    // By (value descending, index ascending) there is one order.
    std::vector<int64_t> order(count);
    for (int64_t i = 0; i < count; ++i)
      order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return f[a] > f[b]; });
    std::vector<int64_t> expected(order.begin(), order.begin() + s.size()),
        rest(order.begin() + s.size(), order.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(s, expected) << "trial " << trial;
    std::sort(rest.begin(), rest.end());
    std::stable_sort(rest.begin(), rest.end(), [&](int64_t a, int64_t b) {
      return std::fabs(w[a]) > std::fabs(w[b]);
    });
    rest.resize(o.size());
    std::sort(rest.begin(), rest.end());
    ASSERT_EQ(o, rest) << "trial " << trial;
  }
}

// 0.05 and 0.40 are no numbers of double, 5000 and 40000 of ten million are
// wanted all the same.
TEST(Extraction, SharesOfRoundSizes) {
  std::vector<float> w(1000000), f(1000000, 1);
  for (size_t i = 0; i < w.size(); ++i)
    w[i] = i % 977;
  Extraction e;
  ASSERT_TRUE(
      extract(w.data(), f.data(), 1000, 1000, {0.05, 0.40, {}}, e).ok());
  EXPECT_EQ(e.sensitive, 500);
  EXPECT_EQ(e.outliers, 4000);
}

TEST(Extraction, NothingAndAll) {
  std::vector<float> w = {3, -1, 2, 0}, f = {1, 0, 0, 5};
  Extraction e;
  ASSERT_TRUE(extract(w.data(), nullptr, 2, 2, {}, e).ok());
  EXPECT_EQ(e.removed, std::vector<uint8_t>(4, 0));
  ASSERT_TRUE(extract(w.data(), f.data(), 2, 2, {50, 50, {}}, e).ok());
  EXPECT_EQ(e.removed, (std::vector<uint8_t>{1, 2, 2, 1}));
}

TEST(Extraction, Refused) {
  std::vector<float> w = {3, -1, 2, 0};
  Extraction e;
  for (ExtractionRule rule :
       {ExtractionRule{-1, 0, {}}, {0, 101, {}}, {60, 60, {}}, {NAN, 0, {}}})
    EXPECT_EQ(extract(w.data(), w.data(), 2, 2, rule, e).message,
              "sensitive values and outliers are shares of a weight in "
              "percent, from 0 to 100 together");
  EXPECT_EQ(
      extract(w.data(), w.data(), 2, 2, {0, 0, -1.0}, e).message,
      "the factor of the quartiles' distance is a number that is not below 0");
  w[2] = NAN;
  EXPECT_EQ(extract(w.data(), w.data(), 2, 2, {}, e).message,
            "the weight of row 1, column 0 is not finite; such a layer stays "
            "in float");
}
