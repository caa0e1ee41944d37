#include "dialects/sq/IR/SqOps.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

#include "dialects/sq/IR/ConstantBytes.h"
#include "dialects/sq/IR/ShapeChecks.h"

using namespace mlir;
using namespace sq;

std::optional<ConstantBytes> sq::constantBytes(Value value) {
  ElementsAttr attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  ShapedType type = attr.getShapedType();
  if (!type.getElementType().isIntOrFloat() ||
      type.getElementTypeBitWidth() % 8)
    return std::nullopt;
  int64_t width = type.getElementTypeBitWidth() / 8,
          size = type.getNumElements() * width;
  ConstantBytes result;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || int64_t(blob->getData().size()) != size)
      return std::nullopt;
    result.bytes = blob->getData();
    return result;
  }
  auto dense = dyn_cast<DenseIntOrFPElementsAttr>(attr);
  if (!dense)
    return std::nullopt;
  result.bytes = dense.getRawData();
  if (!dense.isSplat())
    return result;
  for (int64_t i = 0; i < size; ++i)
    result.storage.push_back(result.bytes[i % width]);
  result.bytes = result.storage;
  return result;
}

/// Of a table of 2^b entries; 0 if it is none.
static int64_t bitsOf(ShapedType table) {
  int64_t entries = table.getRank() == 2 ? table.getDimSize(1) : 0;
  return entries == 4 || entries == 8 || entries == 16 ? llvm::Log2_64(entries)
                                                       : 0;
}

int64_t LutMatmulOp::getBits() { return bitsOf(shaped(getTable())); }
int64_t DenseAndSparseMatmulOp::getBits() { return bitsOf(shaped(getTable())); }

/// Equal leading dims of x and outs.
static LogicalResult verifyRows(Operation *op, Value xValue, Value yValue) {
  ShapedType x = shaped(xValue), y = shaped(yValue);
  if (x.getRank() < 1 || x.getRank() != y.getRank() ||
      !llvm::all_of(
          llvm::zip(x.getShape().drop_back(), y.getShape().drop_back()),
          [](auto p) { return dimsAgree(std::get<0>(p), std::get<1>(p)); }))
    return op->emitOpError("needs equal leading dimensions, got ")
           << x << " and " << y;
  return success();
}

static LogicalResult verifyCodes(Operation *op, Value x, Value codesValue,
                                 Value tableValue, Value y) {
  ShapedType codes = shaped(codesValue), table = shaped(tableValue);
  int64_t k = shaped(x).getShape().back(), n = shaped(y).getShape().back(),
          bits = bitsOf(table);
  if (!bits)
    return op->emitOpError("needs a table [n, 4], [n, 8] or [n, 16], got ")
           << table;
  if (codes.getRank() != 2 || !dimsAgree(codes.getDimSize(0), n) ||
      !dimsAgree(table.getDimSize(0), n) ||
      (!ShapedType::isDynamic(k) &&
       !dimsAgree(codes.getDimSize(1),
                  int64_t(llvm::divideCeil(k, 32)) * bits)))
    return op->emitOpError("needs codes [n, ")
           << bits << " ceil(k / 32)] and a table [n, " << (1 << bits)
           << "] for x " << shaped(x) << " and outs " << shaped(y) << ", got "
           << codes << " and " << table;
  return success();
}

static LogicalResult verifyTable(Operation *op, Value table) {
  std::optional<ConstantBytes> bytes = constantBytes(table);
  if (!bytes)
    return success();
  int64_t entries = shaped(table).getDimSize(1);
  for (auto [i, bits] : llvm::enumerate(bytes->as<uint16_t>())) {
    float entry = halfToFloat(bits);
    if (!std::isfinite(entry))
      return op->emitOpError("needs a table of finite entries, got ")
             << entry << " at [" << i / entries << ", " << i % entries << "]";
    if (i % entries && halfToFloat(bytes->as<uint16_t>()[i - 1]) > entry)
      return op->emitOpError("needs tables that do not decrease, got ")
             << halfToFloat(bytes->as<uint16_t>()[i - 1]) << " before " << entry
             << " in row " << i / entries
             << "; sort the entries and number the codes anew";
  }
  return success();
}

static LogicalResult verifySparse(Operation *op, Value x, Value weight,
                                  Value y) {
  ShapedType w = shaped(weight);
  if (w.getRank() != 2 ||
      !dimsAgree(w.getDimSize(0), shaped(y).getShape().back()) ||
      !dimsAgree(w.getDimSize(1), shaped(x).getShape().back()))
    return op->emitOpError("needs a sparse weight [n, k] for x ")
           << shaped(x) << " and outs " << shaped(y) << ", got " << w;
  return success();
}

LogicalResult LutMatmulOp::verify() {
  // lut_matmul_c2
  if (failed(verifyRows(*this, getX(), getOuts())))
    return failure();
  // lut_matmul_c1
  if (failed(verifyCodes(*this, getX(), getCodes(), getTable(), getOuts())))
    return failure();
  // lut_matmul_c3
  return verifyTable(*this, getTable());
}

LogicalResult GroupedMatmulOp::verify() {
  int64_t bits = getBits(), group = getGroupSize(), zero = getZeroPoint();
  // grouped_matmul_c1
  if (bits < 2 || bits > 4)
    return emitOpError("needs codes of 2, 3 or 4 bits, got ") << bits;
  if (group < 1)
    return emitOpError("needs a group_size of 1 or more, got ") << group;
  if (zero < 0 || zero >= 1 << bits)
    return emitOpError("needs a zero_point from 0 to ")
           << (1 << bits) - 1 << ", got " << zero;
  if (zero && getOffsets())
    return emitOpError("has a zero_point of ")
           << zero << " and offsets; put it into these";
  // grouped_matmul_c3
  if (failed(verifyRows(*this, getX(), getOuts())))
    return failure();
  // grouped_matmul_c2
  ShapedType x = shaped(getX()), y = shaped(getOuts()),
             codes = shaped(getCodes());
  int64_t k = x.getShape().back(), n = y.getShape().back();
  bool isKnown = !ShapedType::isDynamic(k);
  if (codes.getRank() != 2 || !dimsAgree(codes.getDimSize(0), n) ||
      (isKnown && !dimsAgree(codes.getDimSize(1),
                             int64_t(llvm::divideCeil(k, 32)) * bits)))
    return emitOpError("needs codes [n, ")
           << bits << " ceil(k / 32)] for x " << x << " and outs " << y
           << ", got " << codes;
  for (Value each : {getScales(), getOffsets()}) {
    if (!each)
      continue;
    ShapedType type = shaped(each);
    if (type.getRank() != 2 || !dimsAgree(type.getDimSize(0), n) ||
        (isKnown &&
         !dimsAgree(type.getDimSize(1), int64_t(llvm::divideCeil(k, group)))))
      return emitOpError("needs scales and offsets [n, ceil(k / ")
             << group << ")] for x " << x << " and outs " << y << ", got "
             << type;
  }
  // grouped_matmul_c4
  for (Value each : {getScales(), getOffsets()}) {
    if (!each || !isa<FloatType>(shaped(each).getElementType()))
      continue;
    std::optional<ConstantBytes> bytes = constantBytes(each);
    if (!bytes)
      continue;
    bool isHalf = shaped(each).getElementType().isF16();
    int64_t groups = shaped(each).getDimSize(1),
            count = shaped(each).getNumElements();
    for (int64_t i = 0; i < count; ++i) {
      float value = isHalf ? halfToFloat(bytes->as<uint16_t>()[i])
                           : bytes->as<float>()[i];
      if (!std::isfinite(value))
        return emitOpError("needs finite scales and least values, got ")
               << value << " at [" << i / groups << ", " << i % groups << "]";
    }
  }
  return success();
}

LogicalResult CsrOp::verify() {
  ShapedType rows = shaped(getRowPtr()), columns = shaped(getColumns()),
             values = shaped(getValues()), w = shaped(getResult());
  // csr_c1
  if (w.getRank() != 2 || !dimsAgree(rows.getDimSize(0), w.getDimSize(0) + 1) ||
      !dimsAgree(columns.getDimSize(0), values.getDimSize(0)))
    return emitOpError("needs row_ptr [n + 1] and as many columns as values "
                       "for a matrix [n, k], got ")
           << rows << ", " << columns << " and " << values << " for " << w;
  // csr_c2
  std::optional<ConstantBytes> rowBytes = constantBytes(getRowPtr()),
                               columnBytes = constantBytes(getColumns());
  int64_t n = w.getDimSize(0), k = w.getDimSize(1),
          entries = columns.getDimSize(0);
  if (rowBytes) {
    ArrayRef<uint32_t> ptr = rowBytes->as<uint32_t>();
    if (ptr.front() != 0 ||
        (!ShapedType::isDynamic(entries) && ptr.back() != entries))
      return emitOpError("needs a row_ptr from 0 to the number of entries, ")
             << entries << ", got " << ptr.front() << " to " << ptr.back();
    for (int64_t r = 0; r < n; ++r)
      if (ptr[r + 1] < ptr[r])
        return emitOpError("needs a row_ptr that does not decrease, got ")
               << ptr[r] << " before " << ptr[r + 1] << " at row " << r;
  }
  // csr_c3
  if (rowBytes && columnBytes) {
    ArrayRef<uint32_t> ptr = rowBytes->as<uint32_t>();
    bool isShort = columns.getElementType().isInteger(16);
    auto column = [&](int64_t e) -> int64_t {
      return isShort ? columnBytes->as<uint16_t>()[e]
                     : columnBytes->as<uint32_t>()[e];
    };
    for (int64_t r = 0; r < n; ++r)
      for (int64_t e = ptr[r]; e < int64_t(ptr[r + 1]); ++e) {
        if (column(e) >= k)
          return emitOpError("has column ")
                 << column(e) << " in row " << r << " of a matrix of " << k
                 << " columns";
        if (e > ptr[r] && column(e) <= column(e - 1))
          return emitOpError("needs columns that ascend, got ")
                 << column(e - 1) << " before " << column(e) << " in row " << r;
      }
  }
  // csr_c4
  if (std::optional<ConstantBytes> bytes = constantBytes(getValues()))
    for (auto [e, bits] : llvm::enumerate(bytes->as<uint16_t>()))
      if (!std::isfinite(halfToFloat(bits)))
        return emitOpError("needs finite values, got ")
               << halfToFloat(bits) << " at entry " << e;
  return success();
}

LogicalResult CsrMatmulOp::verify() {
  // csr_matmul_c2
  if (failed(verifyRows(*this, getX(), getOuts())))
    return failure();
  // csr_matmul_c1
  return verifySparse(*this, getX(), getWeight(), getOuts());
}

LogicalResult DenseAndSparseMatmulOp::verify() {
  // dense_and_sparse_matmul_c2
  if (failed(verifyRows(*this, getX(), getOuts())))
    return failure();
  // dense_and_sparse_matmul_c1
  if (failed(verifyCodes(*this, getX(), getCodes(), getTable(), getOuts())))
    return failure();
  // dense_and_sparse_matmul_c3
  if (failed(verifyTable(*this, getTable())))
    return failure();
  // dense_and_sparse_matmul_c4
  return verifySparse(*this, getX(), getSparse(), getOuts());
}
