/// A weight in few bits: codes, what they stand for, and what was taken out of
/// them.
#ifndef SQ_LIB_QUANTIZER_COMPRESSEDWEIGHT_H
#define SQ_LIB_QUANTIZER_COMPRESSEDWEIGHT_H

#include <cstdint>
#include <string>
#include <vector>

#include "lib/tensorio/Tensor.h"

namespace sq::quantizer {

/// What a code of a weight stands for.
enum class GridKind : uint8_t {
  Table,   // an entry of its row's table (SqueezeLLM, arXiv 2306.07629)
  Uniform, // minimum + scale * code, for each group of a row (RTN and GPTQ with
           // groups)
  Symmetric, // scale * (code - 2^(bits - 1)), for each group of a row (Q4_0 of
             // llama.cpp)
};

/// Of tables. Bytes have a scale for each row; an entry is f16(scale * byte),
/// so that kernels need to know tables of f16 only.
enum class EntryType : uint8_t { F16, I8 };

struct GridFormat {
  GridKind kind = GridKind::Table;
  int bits = 4;                       // 2 to 4
  EntryType entries = EntryType::F16; // of tables
  int64_t group = 0; // input channels that share a scale; a row's last group
                     // may be shorter. Tables have none
  bool operator==(const GridFormat &o) const {
    return kind == o.kind && bits == o.bits && entries == o.entries &&
           group == o.group;
  }
};

/// Rows of a sparse matrix one after the other; in each, columns ascend.
struct Csr {
  std::vector<uint32_t> starts; // [n + 1]; empty: there is no sparse part
  std::vector<uint32_t> columns;
  std::vector<uint16_t> values; // f16
  bool isEmpty() const { return columns.empty(); }
};

/// How much it takes, in bits.
struct BitCount {
  int64_t codes = 0;
  int64_t tables = 0; // with scales and minima
  int64_t sparse = 0; // with columns and row starts
  int64_t total() const { return codes + tables + sparse; }
};

/// A weight [n][k], n output channels with k input channels each.
struct CompressedWeight {
  GridFormat format;
  int64_t n = 0, k = 0;
  /// [n][k], one a byte; BitStream.h has them as they are stored.
  std::vector<uint8_t> codes;
  std::vector<uint16_t> table;  // of f16 entries: [n][2^bits], ascending
  std::vector<int8_t> entries;  // of bytes: [n][2^bits], ascending
  std::vector<uint16_t> scales; // f16: [n] of tables of bytes, [n][groups]
  std::vector<uint16_t> minima; // f16: [n][groups] of Uniform
  Csr sparse; // what is to be added to the levels of the codes

  /// Weights that were taken out, before what is 0 in f16 was dropped.
  int64_t sensitive = 0, outliers = 0;
  std::string sensitivity; // that decided: "none", "act2", "fisher"

  int levels() const { return 1 << format.bits; }
  /// Of a row: 1 for tables.
  int64_t groups() const {
    return format.kind == GridKind::Table ? 1
                                          : (k + groupSize() - 1) / groupSize();
  }
  int64_t groupSize() const {
    return format.kind == GridKind::Table || !format.group ? k : format.group;
  }

  /// Of tables: the entry that a code stands for, as bits of f16.
  uint16_t entryF16(int64_t row, int code) const;
  /// All levels of a group, ascending but for Symmetric with a negative scale,
  /// exact in f32 up to one rounding.
  void readLevels(int64_t row, int64_t group, float *levels) const;
  /// Rounds wanted levels to the format and makes them those of the group: the
  /// entries of a table, sorted, or the first and the last level of an even
  /// grid. What f16 cannot hold becomes its largest value.
  void writeLevels(int64_t row, int64_t group, const double *levels);
  /// No codes, no sparse part; levels all 0.
  static CompressedWeight make(GridFormat format, int64_t n, int64_t k);

  /// The weight again, [n][k]: the level, and where there is one the sparse
  /// value added to it in f32.
  void decode(float *to) const;
  /// Exactly what the specification counts (dense-and-sparse.md 5.3): bits of
  /// codes, 16 or 8 an entry, 16 a scale and a minimum; for each sparse value
  /// 16 and a column of 16 (k <= 65536) or 32, and 32 a row.
  BitCount bits() const;
  double bitsPerWeight() const {
    return n > 0 && k > 0 ? double(bits().total()) / double(n * k) : 0;
  }

  /// The code of each element of `wanted` [n][k]: that of the nearest level, of
  /// two equally near the lower.
  void assignNearest(const float *wanted);
  /// Takes what `removed` [n][k] marks into the sparse part: wanted - level,
  /// rounded to f16; dropped where that is 0. |decoded - wanted| is at most
  /// 2^-11 of the sparse value and a rounding in f32.
  void takeSparse(const float *wanted, const std::vector<uint8_t> &removed);
  /// Refused where the specification forbids something: codes, levels that are
  /// not finite or descend, columns.
  Status verify() const;
};

/// f16 bits of the nearest value, ties to even; beyond the largest finite one
/// that.
uint16_t toF16(double value);

} // namespace sq::quantizer

#endif
