#include "lib/numerics/Groups.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::numerics;

namespace {

TEST(Groups, StoredAreVectorsAndBlocks) {
  EXPECT_EQ(storedGroups(2048, 4, 32), 64); // nothing to pad
  EXPECT_EQ(storedGroups(40, 4, 16), 8);    // a block of 128 codes has eight
  EXPECT_EQ(storedGroups(896, 4, 32), 32);  // 28 are no vectors of 16
  EXPECT_EQ(storedGroups(300, 4, 128), 4);  // of few, the next power of 2
  EXPECT_EQ(storedGroups(600, 3, 16), 64);  // 512 codes have 32
  EXPECT_EQ(storedGroups(40, 4, 64), 1);    // all of a row
  EXPECT_EQ(storedGroups(1, 4, 16), 1);
}

// Row 0: codes 0 to 4, groups of 2. W is exact in f32 here.
TEST(Groups, Decodes) {
  std::vector<uint32_t> codes(4);
  for (int j = 0; j < 5; ++j)
    putCode(codes.data(), 4, j, j);
  float scales[] = {0.5, 2, -1}, minima[] = {1, 0, 0.25};
  uint8_t zeros[] = {1, 0, 20};
  GroupedWeight w{1, 5, 4, 2, 8, codes.data(), scales};
  EXPECT_EQ(decodeGroups(w), (std::vector<float>{-4, -3.5, -12, -10, 4}));
  w.zeros = zeros;
  EXPECT_EQ(decodeGroups(w), (std::vector<float>{-0.5, 0, 4, 6, 16}));
  w.zeros = nullptr;
  w.minima = minima;
  EXPECT_EQ(decodeGroups(w), (std::vector<float>{1, 1.5, 4, 6, -3.75}));
  float x[] = {1, 2, 3, 4, 5};
  EXPECT_EQ(groupedProduct(x, 1, w),
            std::vector<double>{1 + 3 + 12 + 24 - 18.75});
}

// Rounding x costs what steps of max / 127 do: a twelfth of their square each.
TEST(Groups, BytesAreNear) {
  sq::test::Random random(7);
  int64_t n = 8, k = 640, group = 64;
  std::vector<uint32_t> codes(n * rowWords(k, 3));
  std::vector<float> scales, minima, x;
  for (int64_t r = 0; r < n; ++r)
    for (int64_t j = 0; j < k; ++j)
      putCode(&codes[r * rowWords(k, 3)], 3, j, random.integer(0, 7));
  for (int64_t i = 0; i < n * k / group; ++i) {
    scales.push_back(random.integer(1, 100) / 1000.0f);
    minima.push_back(-3.5f * scales.back());
  }
  for (int64_t i = 0; i < 3 * k; ++i)
    x.push_back(random.integer(-1000, 1000) / 1000.0f);
  GroupedWeight w{
      n, k, 3, group, 0, codes.data(), scales.data(), minima.data()};
  std::vector<double> exact = groupedProduct(x.data(), 3, w),
                      rounded = groupedByteProduct(x.data(), 3, w);
  double error = 0, power = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += (exact[i] - rounded[i]) * (exact[i] - rounded[i]);
    power += exact[i] * exact[i];
  }
  EXPECT_GT(error, 0);
  EXPECT_LT(error / power, 1e-4);
}

} // namespace
