#include "lib/numerics/Codes.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::numerics;

namespace {

std::vector<uint32_t> packed(int bits, const std::vector<unsigned> &codes) {
  std::vector<uint32_t> words(rowWords(codes.size(), bits));
  for (size_t j = 0; j < codes.size(); ++j)
    putCode(words.data(), bits, j, codes[j]);
  return words;
}

// specs/dense-and-sparse.md, section 10.3.
TEST(Codes, PublishedWords) {
  std::vector<unsigned> a, b;
  for (unsigned i = 0; i < 32; ++i) {
    a.push_back((5 * i + 3) % 8);
    b.push_back(i % 8);
  }
  EXPECT_EQ(packed(3, a), (std::vector<uint32_t>{0x43c67543, 0x7543c675, 0xc67543c6}));
  EXPECT_EQ(packed(3, b), (std::vector<uint32_t>{0x88fac688, 0xc688fac6, 0xfac688fa}));
  EXPECT_EQ(packed(3, {3, 3, 4, 2, 4, 3, 4, 5, 0, 3, 4, 3, 2, 3, 3, 1, 2, 3, 4, 1, 3, 4, 2, 4, 3, 3, 3, 3, 3, 3, 3, 0}),
            (std::vector<uint32_t>{0x18b1c51b, 0x331a2da7, 0x0db6db8a}));
}

TEST(Codes, RoundTrip) {
  sq::test::Random random(3);
  for (int bits : {2, 3, 4})
    for (int64_t k : {1, 10, 11, 22, 31, 32, 33, 100, 128, 500, 512, 513, 1025}) {
      std::vector<unsigned> codes;
      for (int64_t j = 0; j < k; ++j)
        codes.push_back(random.integer(0, (1 << bits) - 1));
      std::vector<uint32_t> row = packed(bits, codes);
      for (int64_t j = 0; j < k; ++j)
        ASSERT_EQ(codeAt(row.data(), bits, j), codes[j]) << bits << " bits, code " << j << " of " << k;
    }
}

// In either order every code is there once, where kernels look for it.
TEST(Codes, Orders) {
  sq::test::Random random(4);
  for (int bits : {2, 3, 4})
    for (int64_t k : {5, 130, 700, 1100}) {
      std::vector<unsigned> codes;
      for (int64_t j = 0; j < k; ++j)
        codes.push_back(random.integer(0, (1 << bits) - 1));
      std::vector<uint32_t> row = packed(bits, codes);
      int64_t words = blockWords(bits), inBlock = blockCodes(bits), blocks = blocksOf(k, bits);
      std::vector<uint32_t> lanes(blocks * words), bytes(blocks * words);
      orderCodes(row.data(), k, bits, CodeOrder::Lane16, lanes.data());
      orderCodes(row.data(), k, bits, CodeOrder::Lane64, bytes.data());
      for (int64_t j = 0; j < blocks * inBlock; ++j) {
        unsigned code = j < k ? codes[j] : 0;
        int64_t block = j / inBlock, i = j % inBlock;
        uint32_t lane[3] = {};
        for (int64_t w = 0; w < words / 16; ++w)
          lane[w] = lanes[block * words + 16 * w + i % 16];
        ASSERT_EQ(codeAt(lane, bits, i / 16), code) << bits << " bits, code " << j << " of " << k << " in 16 lanes";
        auto *byte = reinterpret_cast<const uint8_t *>(&bytes[block * words]) + i % 64;
        int64_t s = i / 64;
        unsigned found = bits != 3 ? byte[0] >> (bits * s)
                         : s < 6   ? byte[64 * (s / 2)] >> (3 * (s % 2))
                         : s == 6  ? byte[0] >> 6 | (byte[64] >> 6 & 1) << 2
                                   : byte[128] >> 6 | byte[64] >> 7 << 2;
        ASSERT_EQ(found & ((1u << bits) - 1), code) << bits << " bits, code " << j << " of " << k << " in 64 lanes";
      }
    }
}

TEST(Codes, SparseRestIsAdded) {
  std::vector<uint32_t> row = packed(2, {0, 1, 2, 3, 0});
  float table[] = {-1, 0, 0.5f, 2};
  SparseRows sparse{{0, 2}, {1, 4}, {10, 20}};
  EXPECT_EQ(decodeCodes(row.data(), table, 1, 5, 2, &sparse), (std::vector<float>{-1, 10, 0.5f, 2, 19}));
  float x[] = {1, 2, 3, 4, 5};
  EXPECT_EQ(codedProduct(x, 1, row.data(), table, 1, 5, 2, &sparse).front(), -1 + 20 + 1.5 + 8 + 95);
  EXPECT_EQ(codedProduct(x, 1, row.data(), table, 1, 5, 2, nullptr).front(), -1 + 1.5 + 8 - 5);
}

TEST(Codes, ByteTables) {
  float table[] = {-1, 0, 0.5f, 1};
  ByteTable rounded = roundTable(table, 4);
  EXPECT_EQ(rounded.q, (std::vector<uint8_t>{0, 127, 191, 255}));
  EXPECT_FLOAT_EQ(rounded.scale, 2.0f / 255);
  EXPECT_EQ(rounded.least, -1);
  float equal[] = {3, 3, 3, 3}; // no steps, no division by zero
  EXPECT_EQ(roundTable(equal, 4).q, (std::vector<uint8_t>{0, 0, 0, 0}));
  EXPECT_EQ(roundTable(equal, 4).least, 3);
}

} // namespace
