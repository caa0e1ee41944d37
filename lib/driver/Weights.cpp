#include "lib/driver/Weights.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <cstring>

#include "lib/numerics/Codes.h"
#include "passes/analysis/SymbolicSize.h"

using namespace mlir;
using namespace sq;

std::vector<WeightPiece> sq::collectWeights(ModuleOp module) {
  std::map<uint64_t, WeightPiece> pieces;
  module.walk([&](WeightOp op) {
    uint64_t size = op.storedBytes();
    uint64_t offset = op.getOffset().value_or(0);
    if (size)
      pieces.try_emplace(offset, WeightPiece{offset, size, op});
  });
  std::vector<WeightPiece> result;
  for (auto &[offset, piece] : pieces)
    result.push_back(piece);
  return result;
}

/// The elements of `value` in row-major order, one after the other without
/// padding; points into the attribute where it can, else into `storage`.
static FailureOr<ArrayRef<char>> elementBytes(WeightOp op, ElementsAttr value,
                                              SmallVectorImpl<char> &storage) {
  ShapedType type = value.getShapedType();
  int64_t count = type.getNumElements(), width = bytesPerElement(type.getElementType());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || static_cast<int64_t>(blob->getData().size()) != count * width)
      return op.emitOpError("refers to a resource of ")
             << (blob ? blob->getData().size() : 0) << " bytes, needs " << count * width;
    return blob->getData();
  }
  auto dense = dyn_cast<DenseIntOrFPElementsAttr>(value);
  if (!dense)
    return op.emitOpError("holds elements of a kind that cannot be written: ") << type;
  if (type.getElementType().isInteger(1)) {
    for (bool b : dense.getValues<bool>())
      storage.push_back(b);
    return ArrayRef<char>(storage);
  }
  ArrayRef<char> raw = dense.getRawData();
  if (!dense.isSplat())
    return raw;
  storage.resize(count * width);
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(storage.data() + i * width, raw.data(), width);
  return ArrayRef<char>(storage);
}

/// Round to nearest even; a NaN stays one.
static uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (value != value)
    return (bits | 0x400000) >> 16;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static uint16_t toF16(float value) {
  auto half = static_cast<_Float16>(value); // to nearest even
  uint16_t bits;
  std::memcpy(&bits, &half, sizeof(bits));
  return bits;
}

/// Panels [ceil(n / N)][k][N] of 16-bit floats, the rest zero (as `out` is).
static LogicalResult writeNarrow(WeightOp op, const float *source, uint16_t *out) {
  auto type = cast<ShapedType>(op.getResult().getType());
  auto [depth, columns] = op.matrixSize();
  int64_t width = type.getShape()[2];
  int64_t stepK = op.getTranspose() ? 1 : columns, stepN = op.getTranspose() ? depth : 1;
  auto *convert = type.getElementType().isF16() ? toF16 : toBf16;
  for (int64_t n = 0; n < columns; ++n)
    for (int64_t k = 0; k < depth; ++k)
      out[(n / width * depth + k) * width + n % width] = convert(source[k * stepK + n * stepN]);
  return success();
}

/// bf16 [ceil(n / N)][16 ceil(k / 32)][N][2], the rest zero (as `out` is).
static LogicalResult writePairs(WeightOp op, const float *source, uint16_t *out) {
  ArrayRef<int64_t> packed = cast<ShapedType>(op.getResult().getType()).getShape();
  auto [depth, columns] = op.matrixSize();
  int64_t width = packed[2], perPanel = packed[1] * width * 2;
  int64_t stepK = op.getTranspose() ? 1 : columns, stepN = op.getTranspose() ? depth : 1;
  for (int64_t n = 0; n < columns; ++n) {
    uint16_t *to = out + n / width * perPanel + n % width * 2;
    for (int64_t k = 0; k < depth; ++k)
      to[k / 2 * width * 2 + k % 2] = toBf16(source[k * stepK + n * stepN]);
  }
  return success();
}

/// i8 [ceil(n / 16)][16 ceil(k / 64)][16 columns][4], the rest zero.
static void writeQuads(WeightOp op, const char *source, char *out) {
  constexpr int64_t kColumns = 16, kRow = 4 * kColumns;
  int64_t rows = cast<ShapedType>(op.getResult().getType()).getDimSize(1);
  auto [depth, columns] = op.matrixSize();
  int64_t stepK = op.getTranspose() ? 1 : columns, stepN = op.getTranspose() ? depth : 1;
  std::memset(out, 0, llvm::divideCeil(columns, kColumns) * rows * kRow);
  for (int64_t n = 0; n < columns; ++n) {
    char *to = out + n / kColumns * rows * kRow + n % kColumns * 4;
    for (int64_t k = 0; k < depth; ++k)
      to[k / 4 * kRow + k % 4] = source[k * stepK + n * stepN];
  }
}

/// The low bits of bytes, one after the other (manifest.fbs: Unpacked).
static LogicalResult writeBits(WeightOp op, ArrayRef<char> bytes, char *out) {
  int bits = op.getBits(), held = 0, low = -(1 << (bits - 1));
  uint32_t word = 0;
  for (char byte : bytes) {
    int value = static_cast<signed char>(byte);
    if (value < low || value >= -low)
      return op.emitOpError("has the element ") << value << ", which " << bits << " bits do not hold";
    word |= (static_cast<uint32_t>(value) & ((1u << bits) - 1)) << held;
    for (held += bits; held >= 8; held -= 8, word >>= 8)
      *out++ = static_cast<char>(word);
  }
  if (held)
    *out = static_cast<char>(word);
  return success();
}

/// Codes in the order that kernels read.
static void writeCodes(WeightOp op, const uint32_t *source, uint32_t *out) {
  auto from = cast<ShapedType>(op.getValue().getType()), to = cast<ShapedType>(op.getResult().getType());
  int bits = op.getCodes();
  int64_t words = from.getDimSize(1), k = words / bits * 32, perRow = to.getDimSize(1) * numerics::blockWords(bits);
  auto order = to.getElementType().isInteger(8) ? numerics::CodeOrder::Lane64 : numerics::CodeOrder::Lane16;
  for (int64_t n = 0; n < from.getDimSize(0); ++n)
    numerics::orderCodes(source + n * words, k, bits, order, out + n * perRow);
}

LogicalResult sq::writeWeight(const WeightPiece &piece, char *out) {
  WeightOp op = piece.op;
  ElementsAttr value = op.getValue();
  SmallVector<char, 0> storage;
  FailureOr<ArrayRef<char>> bytes = elementBytes(op, value, storage);
  if (failed(bytes))
    return failure();
  if (op.getCodes()) {
    writeCodes(op, reinterpret_cast<const uint32_t *>(bytes->data()), reinterpret_cast<uint32_t *>(out));
    return success();
  }
  if (op.getPack() == 0) {
    if (bytes->size() != piece.size)
      return op.emitOpError("is ") << bytes->size() << " bytes long, its place " << piece.size;
    std::memcpy(out, bytes->data(), bytes->size());
    return success();
  }
  if (cast<ShapedType>(op.getResult().getType()).getElementType().isInteger(8)) {
    if (!op.getBits()) {
      writeQuads(op, bytes->data(), out);
      return success();
    }
    SmallVector<char, 0> quads(cast<ShapedType>(op.getResult().getType()).getNumElements());
    writeQuads(op, bytes->data(), quads.data());
    return writeBits(op, quads, out);
  }
  if (op.widenedType())
    return writePairs(op, reinterpret_cast<const float *>(bytes->data()), reinterpret_cast<uint16_t *>(out));
  if (cast<ShapedType>(op.getResult().getType()).getElementTypeBitWidth() == 16)
    return writeNarrow(op, reinterpret_cast<const float *>(bytes->data()), reinterpret_cast<uint16_t *>(out));
  // Panels of N columns: [ceil(n / N)][k][N].
  ArrayRef<int64_t> packed = cast<ShapedType>(op.getResult().getType()).getShape();
  int64_t depth = packed[1], width = packed[2];
  bool transposed = op.getTranspose();
  int64_t columns = value.getShapedType().getDimSize(transposed ? 0 : 1);
  const char *source = bytes->data();
  for (int64_t panel = 0; panel < packed[0]; ++panel) {
    int64_t first = panel * width, valid = std::min(width, columns - first);
    char *to = out + panel * depth * width * 4;
    if (!transposed) {
      for (int64_t k = 0; k < depth; ++k, to += width * 4) {
        std::memcpy(to, source + (k * columns + first) * 4, valid * 4);
        std::memset(to + valid * 4, 0, (width - valid) * 4);
      }
      continue;
    }
    // Column n of the panel is row first + n of the source.
    if (valid < width)
      std::memset(to, 0, depth * width * 4);
    for (int64_t n = 0; n < valid; ++n) {
      const char *row = source + (first + n) * depth * 4;
      for (int64_t k = 0; k < depth; ++k)
        std::memcpy(to + (k * width + n) * 4, row + k * 4, 4);
    }
  }
  return success();
}
