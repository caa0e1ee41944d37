#include "lib/numerics/Codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace sq::numerics;

/// A lane of three bytes holds eight codes of 3 bits: two in the low bits of
/// each byte, the last two in the highest bits of all. So six of them are a
/// shift and a mask, which byte vectors have.
static void laneBytes(const unsigned (&code)[8], uint8_t (&bytes)[3]) {
  bytes[0] = code[0] | code[1] << 3 | (code[6] & 3) << 6;
  bytes[1] = code[2] | code[3] << 3 | (code[6] >> 2) << 6 | (code[7] >> 2) << 7;
  bytes[2] = code[4] | code[5] << 3 | (code[7] & 3) << 6;
}

void sq::numerics::orderCodes(const uint32_t *row, int64_t k, int bits,
                              CodeOrder order, uint32_t *out) {
  int64_t inBlock = blockCodes(bits), words = blockWords(bits),
          blocks = blocksOf(k, bits);
  std::fill(out, out + blocks * words, 0u);
  for (int64_t block = 0; block < blocks; ++block, out += words) {
    auto code = [&](int64_t i) -> unsigned {
      int64_t j = block * inBlock + i;
      return j < k ? codeAt(row, bits, j) : 0;
    };
    if (order == CodeOrder::Lane16) {
      // Word w of lane j lies at 16 w + j.
      for (int64_t lane = 0; lane < 16; ++lane) {
        uint32_t own[3] = {};
        for (int64_t i = 0; i < inBlock / 16; ++i)
          putCode(own, bits, i, code(16 * i + lane));
        for (int64_t w = 0; w < words / 16; ++w)
          out[16 * w + lane] = own[w];
      }
      continue;
    }
    auto *bytes = reinterpret_cast<uint8_t *>(out);
    for (int64_t lane = 0; lane < 64; ++lane) {
      if (bits != 3) {
        for (int64_t i = 0; i < 8 / bits; ++i)
          bytes[lane] |= code(64 * i + lane) << (bits * i);
        continue;
      }
      unsigned own[8];
      uint8_t packed[3];
      for (int64_t i = 0; i < 8; ++i)
        own[i] = code(64 * i + lane);
      laneBytes(own, packed);
      for (int64_t w = 0; w < 3; ++w)
        bytes[64 * w + lane] = packed[w];
    }
  }
}

std::vector<float> sq::numerics::decodeCodes(const uint32_t *codes,
                                             const float *tables, int64_t n,
                                             int64_t k, int bits,
                                             const SparseRows *sparse) {
  std::vector<float> w(n * k);
  int64_t words = rowWords(k, bits), entries = int64_t(1) << bits;
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t j = 0; j < k; ++j)
      w[r * k + j] = tables[r * entries + codeAt(codes + r * words, bits, j)];
    if (sparse)
      for (uint32_t e = sparse->rowPtr[r]; e < sparse->rowPtr[r + 1]; ++e)
        w[r * k + sparse->columns[e]] += sparse->values[e];
  }
  return w;
}

std::vector<double> sq::numerics::codedProduct(const float *x, int64_t m,
                                               const uint32_t *codes,
                                               const float *tables, int64_t n,
                                               int64_t k, int bits,
                                               const SparseRows *sparse) {
  std::vector<double> y(m * n);
  int64_t words = rowWords(k, bits), entries = int64_t(1) << bits;
  for (int64_t r = 0; r < n; ++r)
    for (int64_t i = 0; i < m; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += double(x[i * k + j]) *
               tables[r * entries + codeAt(codes + r * words, bits, j)];
      if (sparse)
        for (uint32_t e = sparse->rowPtr[r]; e < sparse->rowPtr[r + 1]; ++e)
          sum += double(x[i * k + sparse->columns[e]]) * sparse->values[e];
      y[i * n + r] = sum;
    }
  return y;
}

ByteTable sq::numerics::roundTable(const float *table, int64_t entries) {
  auto [least, greatest] = std::minmax_element(table, table + entries);
  ByteTable result{{}, (*greatest - *least) / 255, *least};
  for (int64_t i = 0; i < entries; ++i) {
    float q = result.scale > 0
                  ? std::nearbyint((table[i] - *least) / result.scale)
                  : 0;
    result.q.push_back(static_cast<uint8_t>(std::min(q, 255.0f)));
  }
  return result;
}

std::vector<float>
sq::numerics::codedByteProduct(const float *x, int64_t m, const uint32_t *codes,
                               const float *tables, int64_t n, int64_t k,
                               int bits, const SparseRows *sparse) {
  std::vector<float> y(m * n);
  int64_t words = rowWords(k, bits), entries = int64_t(1) << bits;
  std::vector<ByteTable> rounded;
  for (int64_t r = 0; r < n; ++r)
    rounded.push_back(roundTable(tables + r * entries, entries));
  std::vector<int> q(k);
  for (int64_t i = 0; i < m; ++i) {
    float largest = 0;
    for (int64_t j = 0; j < k; ++j)
      largest = std::max(largest, std::fabs(x[i * k + j]));
    float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
    int64_t total = 0;
    for (int64_t j = 0; j < k; ++j)
      total += q[j] = static_cast<int>(std::nearbyint(x[i * k + j] * inverse));
    for (int64_t r = 0; r < n; ++r) {
      int64_t sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += int64_t(q[j]) * rounded[r].q[codeAt(codes + r * words, bits, j)];
      float value = scale * (rounded[r].scale * float(sum) +
                             rounded[r].least * float(total));
      if (sparse)
        for (uint32_t e = sparse->rowPtr[r]; e < sparse->rowPtr[r + 1]; ++e)
          value += x[i * k + sparse->columns[e]] * sparse->values[e];
      y[i * n + r] = value;
    }
  }
  return y;
}
