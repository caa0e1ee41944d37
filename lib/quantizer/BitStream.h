/// Codes of 2, 3 or 4 bits as they are stored: specification
/// dense-and-sparse.md 5.1, layout `row`.
#ifndef SQ_LIB_QUANTIZER_BITSTREAM_H
#define SQ_LIB_QUANTIZER_BITSTREAM_H

#include <cstdint>
#include <vector>

namespace sq::quantizer {

/// Words of 32 bits that a row of `k` codes takes: k is rounded up to a
/// multiple of 32, with codes of 0.
int64_t wordsPerRow(int64_t k, int bits);

/// Rows of `k` codes, one a byte, to rows of words: code j is bits [bits j,
/// bits j + bits) of its row, the lowest bits of the first word coming first.
/// Codes of 3 bits go across words. Higher bits of a byte are ignored.
std::vector<uint32_t> packCodes(const uint8_t *codes, int64_t n, int64_t k,
                                int bits);
/// And back, [n][k].
std::vector<uint8_t> unpackCodes(const uint32_t *words, int64_t n, int64_t k,
                                 int bits);

} // namespace sq::quantizer

#endif
