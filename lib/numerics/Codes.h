/// Weights as codes into a table per row, with a sparse rest: storage, layouts
/// and the product, as specs/dense-and-sparse.md, sections 5 and 7.1, define
/// them.
#ifndef SQ_NUMERICS_CODES_H
#define SQ_NUMERICS_CODES_H

#include <cstdint>
#include <vector>

namespace sq::numerics {

/// Words of a row of `k` codes of `bits` (2, 3 or 4): a bitstream, the least
/// significant bit first, padded to a multiple of 32 codes.
inline int64_t rowWords(int64_t k, int bits) { return (k + 31) / 32 * bits; }

/// Code `j` of a row of that layout. A code of 3 bits may lie in two words.
inline unsigned codeAt(const uint32_t *row, int bits, int64_t j) {
  int64_t bit = j * bits, word = bit / 32, shift = bit % 32;
  uint64_t both = row[word];
  if (shift + bits > 32)
    both |= uint64_t(row[word + 1]) << 32;
  return both >> shift & ((1u << bits) - 1);
}

/// Writes code `j`; its place must hold zero.
inline void putCode(uint32_t *row, int bits, int64_t j, unsigned code) {
  int64_t bit = j * bits, word = bit / 32, shift = bit % 32;
  row[word] |= code << shift;
  if (shift + bits > 32)
    row[word + 1] |= code >> (32 - shift);
}

/// Codes as kernels read them, in blocks of 16 words for 2 and 4 bits and of 48
/// for 3 (all lanes' first words, then the second and the third).
enum class CodeOrder {
  Lane16, // lane j of 16 holds the codes j, j + 16, ... of the block, as a
          // bitstream of its own
  Lane64, // lane j of 64 bytes holds the codes j, j + 64, ...; of 3 bits two in
          // the low bits of each of its three bytes, the last two in the high
          // bits
};

/// Codes of a block: 128 of 4 bits, 256 of 2, 512 of 3, in either order.
inline int64_t blockCodes(int bits) {
  return bits == 3 ? 512 : 16 * (32 / bits);
}
/// 32-bit words of a block.
inline int64_t blockWords(int bits) { return bits == 3 ? 48 : 16; }
inline int64_t blocksOf(int64_t k, int bits) {
  return (k + blockCodes(bits) - 1) / blockCodes(bits);
}

/// From the bitstream of a row to `blocksOf(k, bits)` blocks of that order;
/// codes past k are 0.
void orderCodes(const uint32_t *row, int64_t k, int bits, CodeOrder order,
                uint32_t *out);

/// A sparse matrix in rows (CSR): entries [rowPtr[r], rowPtr[r + 1]) are of row
/// r, columns ascending.
struct SparseRows {
  std::vector<uint32_t> rowPtr; // rows + 1
  std::vector<uint32_t> columns;
  std::vector<float> values; // exact in f16
};

/// W[n][k] = table[n][code] + the sparse rest, exactly as a product reads it:
/// in f32. `tables` has 2^bits entries a row. `sparse` may be null.
std::vector<float> decodeCodes(const uint32_t *codes, const float *tables,
                               int64_t n, int64_t k, int bits,
                               const SparseRows *sparse);

/// y[m][n] = sum_k x[m][k] W[n][k], W = table[n][code] + sparse, in float64:
/// what every kernel is compared with.
std::vector<double> codedProduct(const float *x, int64_t m,
                                 const uint32_t *codes, const float *tables,
                                 int64_t n, int64_t k, int bits,
                                 const SparseRows *sparse);

/// A table in 8 bits (section 7.1): entry i is `least + scale q[i]`, q =
/// round((t - least) / scale) to nearest even.
struct ByteTable {
  std::vector<uint8_t> q;
  float scale, least;
};
ByteTable roundTable(const float *table, int64_t entries);

/// Products of bytes: x per row as q = round(x / s), s = max |x| / 127, to
/// nearest even, tables as `roundTable`. y = s (scale sum q t + least sum q) +
/// the sparse rest by x itself; sums of integers are exact.
std::vector<float> codedByteProduct(const float *x, int64_t m,
                                    const uint32_t *codes, const float *tables,
                                    int64_t n, int64_t k, int bits,
                                    const SparseRows *sparse);

} // namespace sq::numerics

#endif
