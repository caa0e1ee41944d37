#include "lib/quantizer/BitStream.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::quantizer;

// Specification 10.3, the last lines.
TEST(BitStream, WordsOfTheSpecification) {
  std::vector<uint8_t> codes(32);
  for (int i = 0; i < 32; ++i)
    codes[i] = (5 * i + 3) % 8;
  EXPECT_EQ(packCodes(codes.data(), 1, 32, 3),
            (std::vector<uint32_t>{0x43c67543, 0x7543c675, 0xc67543c6}));
  for (int i = 0; i < 32; ++i)
    codes[i] = i % 8;
  EXPECT_EQ(packCodes(codes.data(), 1, 32, 3),
            (std::vector<uint32_t>{0x88fac688, 0xc688fac6, 0xfac688fa}));
}

// Codes 10 and 21 of 32 lie across words.
TEST(BitStream, CodesAcrossWords) {
  std::vector<uint8_t> codes(32);
  codes[10] =
      5; // 101: bits 30 and 31 of the first word have 01, bit 0 of the second 1
  codes[21] =
      6; // 110: bit 31 of the second has 0, bits 0 and 1 of the third 11
  EXPECT_EQ(packCodes(codes.data(), 1, 32, 3),
            (std::vector<uint32_t>{0x40000000, 1, 3}));
}

TEST(BitStream, RoundTrip) {
  sq::test::Random random(4);
  for (int bits : {2, 3, 4})
    for (int64_t k : {1, 31, 32, 33, 100, 511, 512, 513, 1000})
      for (int64_t n : {1, 3, 129}) {
        std::vector<uint8_t> codes(n * k);
        for (uint8_t &code : codes)
          code = random.integer(0, (1 << bits) - 1);
        std::vector<uint32_t> words = packCodes(codes.data(), n, k, bits);
        ASSERT_EQ(int64_t(words.size()), n * ((k + 31) / 32) * bits);
        ASSERT_EQ(unpackCodes(words.data(), n, k, bits), codes)
            << bits << " bits, " << n << "x" << k;
        // What is behind the last code of a row is 0.
        for (int64_t r = 0; r < n; ++r)
          for (int64_t bit = k * bits; bit < wordsPerRow(k, bits) * 32; ++bit)
            ASSERT_EQ(
                words[r * wordsPerRow(k, bits) + bit / 32] >> bit % 32 & 1, 0u);
      }
}
