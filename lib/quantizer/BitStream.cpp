#include "lib/quantizer/BitStream.h"

using namespace sq;

static constexpr int64_t kWordBits = 32;

int64_t quantizer::wordsPerRow(int64_t k, int bits) {
  return (k + kWordBits - 1) / kWordBits * bits;
}

std::vector<uint32_t> quantizer::packCodes(const uint8_t *codes, int64_t n,
                                           int64_t k, int bits) {
  int64_t words = wordsPerRow(k, bits);
  std::vector<uint32_t> packed(n * words);
  uint64_t mask = (1u << bits) - 1;
  for (int64_t r = 0; r < n; ++r) {
    uint32_t *row = packed.data() + r * words;
    uint64_t waiting = 0;
    int64_t filled = 0, word = 0;
    for (int64_t c = 0; c < k; ++c) {
      waiting |= (codes[r * k + c] & mask) << filled;
      filled += bits;
      if (filled < kWordBits)
        continue;
      row[word++] = static_cast<uint32_t>(waiting);
      waiting >>= kWordBits;
      filled -= kWordBits;
    }
    if (filled > 0)
      row[word] = static_cast<uint32_t>(waiting);
  }
  return packed;
}

std::vector<uint8_t> quantizer::unpackCodes(const uint32_t *packed, int64_t n,
                                            int64_t k, int bits) {
  int64_t words = wordsPerRow(k, bits);
  std::vector<uint8_t> codes(n * k);
  uint64_t mask = (1u << bits) - 1;
  for (int64_t r = 0; r < n; ++r) {
    const uint32_t *row = packed + r * words;
    for (int64_t c = 0; c < k; ++c) {
      int64_t bit = c * bits, word = bit / kWordBits;
      uint64_t two = row[word];
      if (bit % kWordBits + bits > kWordBits)
        two |= uint64_t(row[word + 1]) << kWordBits;
      codes[r * k + c] = two >> (bit % kWordBits) & mask;
    }
  }
  return codes;
}
