//===-- QuantizedTables.cpp - tables of embeddings in bytes -------------------===//

#include "passes/QuantizedWeight.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace {

constexpr float kLevels = sq::QuantizedWeight::kLevels;

/// A row's largest magnitude is the last level: clipping saves little where a row has a scale of its own.
float storeRow(ArrayRef<float> row, int8_t *stored) {
  float most = 0;
  for (float x : row)
    most = std::max(most, std::fabs(x));
  float scale = most / kLevels;
  // (The reciprocal of the smallest floats is infinite: such rows are 0.)
  float inverse = scale > 1e-30f ? 1 / scale : 0;
  for (auto [x, q] : llvm::zip(row, MutableArrayRef(stored, row.size())))
    q = int8_t(std::lrintf(std::min(std::max(x * inverse, -kLevels), kLevels)));
  return inverse ? scale : 0;
}

template <typename T> Value constantOf(ImplicitLocOpBuilder &b, Location loc, RankedTensorType type, ArrayRef<T> values) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
      ArrayRef(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)), /*align=*/64);
  return arith::ConstantOp::create(b, loc, DenseResourceElementsAttr::get(type, "table", std::move(blob)));
}

} // namespace

void sq::quantizeTables(EmbeddingOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  SmallVector<Value> tables, scales;
  auto given = op.getScales().begin();
  for (Value table : op.getTables()) {
    auto type = dyn_cast<RankedTensorType>(table.getType());
    if (type && type.getElementType().isInteger(8))
      scales.push_back(*given++);
    // A row of a few elements is as large with its scale.
    bool isWide = type && type.hasStaticShape() && type.getElementType().isF32() && type.getDimSize(1) >= 8;
    std::vector<float> values = isWide ? floatsOf(table) : std::vector<float>();
    if (values.empty()) {
      tables.push_back(table);
      continue;
    }
    int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
    std::vector<int8_t> stored(values.size());
    std::vector<float> factors(rows);
    for (int64_t r = 0; r < rows; ++r)
      factors[r] = storeRow(ArrayRef(values).slice(r * columns, columns), stored.data() + r * columns);
    Location loc = table.getLoc();
    tables.push_back(constantOf<int8_t>(b, loc, type.clone(b.getI8Type()), stored));
    scales.push_back(constantOf<float>(b, loc, RankedTensorType::get({rows}, b.getF32Type()), factors));
  }
  op.getTablesMutable().assign(tables);
  op.getScalesMutable().assign(scales);
}
