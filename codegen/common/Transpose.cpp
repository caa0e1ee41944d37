#include "codegen/common/Transpose.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

/// Lanes of x and y by turns, `unit` lanes at a time, within each group of four
/// (vunpckl*, vunpckh*).
static Value unpack(ImplicitLocOpBuilder &b, Value x, Value y, int64_t unit, bool high) {
  int64_t n = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> mask;
  for (int64_t group = 0; group < n; group += 4)
    for (int64_t i = 0; i < 4; ++i) {
      int64_t within = i % unit + i / (2 * unit) * unit + (high ? 2 : 0);
      mask.push_back((i / unit % 2 ? n : 0) + group + within);
    }
  return vector::ShuffleOp::create(b, x, y, mask);
}

/// The even (odd) groups of four lanes of x, then those of y (vshuff32x4,
/// vperm2f128).
static Value takeGroups(ImplicitLocOpBuilder &b, Value x, Value y, bool odd) {
  int64_t n = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> mask;
  for (int64_t from : {int64_t(0), n})
    for (int64_t group = odd ? 4 : 0; group < n; group += 8)
      for (int64_t i = 0; i < 4; ++i)
        mask.push_back(from + group + i);
  return vector::ShuffleOp::create(b, x, y, mask);
}

// Two stages within groups of four lanes, the rest moves whole groups: every
// shuffle is one instruction without an index register.
void sq::emitTranspose(ImplicitLocOpBuilder &b, MutableArrayRef<Value> rows) {
  int64_t n = rows.size();
  for (int64_t r = 0; r < n; r += 4) {
    Value t[4];
    for (int64_t i = 0; i < 4; ++i)
      t[i] = unpack(b, rows[r + i / 2 * 2], rows[r + i / 2 * 2 + 1], 1, i % 2);
    for (int64_t i = 0; i < 4; ++i)
      rows[r + i] = unpack(b, t[i / 2], t[i / 2 + 2], 2, i % 2);
  }
  // Group g of rows[4 i + j] is now column 4 g + j of rows 4 i to 4 i + 3.
  for (int64_t j = 0; j < 4; ++j) {
    if (n == 8) {
      Value low = rows[j], high = rows[j + 4];
      for (int64_t g = 0; g < 2; ++g)
        rows[4 * g + j] = takeGroups(b, low, high, g);
      continue;
    }
    Value pairs[2][2]; // [odd groups][rows 0-7 or 8-15]
    for (int64_t odd = 0; odd < 2; ++odd)
      for (int64_t half = 0; half < 2; ++half)
        pairs[odd][half] = takeGroups(b, rows[8 * half + j], rows[8 * half + 4 + j], odd);
    for (int64_t g = 0; g < 4; ++g)
      rows[4 * g + j] = takeGroups(b, pairs[g % 2][0], pairs[g % 2][1], g / 2);
  }
}
