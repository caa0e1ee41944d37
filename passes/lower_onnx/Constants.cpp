#include "passes/lower_onnx/Constants.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/APFloat.h"

#include <cstring>

using namespace mlir;
using namespace sq;

std::optional<std::vector<char>> sq::bytesOf(Lowering &l, Lowered *value) {
  ElementsAttr elements = value->constant;
  // (A number that was folded has no attribute yet.)
  if (!elements && (!staticCount(value->dims) || !matchPattern(l.tensor(value), m_Constant(&elements))))
    return std::nullopt;
  if (auto dense = dyn_cast<DenseElementsAttr>(elements)) {
    ArrayRef<char> raw = dense.getRawData();
    std::vector<char> bytes(raw.begin(), raw.end());
    if (dense.isSplat())
      for (int64_t i = 1; i < dense.getNumElements(); ++i)
        bytes.insert(bytes.end(), raw.begin(), raw.end());
    return bytes;
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(elements);
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob)
    return std::nullopt;
  return std::vector<char>(blob->getData().begin(), blob->getData().end());
}

float sq::floatAt(ArrayRef<char> bytes, Type type, int64_t i) {
  unsigned width = type.getIntOrFloatBitWidth() / 8;
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data() + i * width, width);
  APFloat value(cast<FloatType>(type).getFloatSemantics(), APInt(8 * width, bits));
  bool losesInfo;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &losesInfo);
  return value.convertToFloat();
}

std::optional<std::vector<float>> sq::floatsOf(Lowering &l, Lowered *value) {
  Type type = value->element;
  std::optional<std::vector<char>> bytes;
  if (type.isF32() || type.isF16() || type.isBF16())
    bytes = bytesOf(l, value);
  if (!bytes)
    return std::nullopt;
  std::vector<float> result(bytes->size() / (type.getIntOrFloatBitWidth() / 8));
  if (type.isF32())
    std::memcpy(result.data(), bytes->data(), result.size() * sizeof(float));
  else
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = floatAt(*bytes, type, i);
  return result;
}

std::optional<std::vector<int64_t>> sq::integersOf(Lowering &l, Lowered *value) {
  auto type = dyn_cast<IntegerType>(signless(value->element));
  if (!isa<IntegerType>(value->element) || !type || type.getWidth() < 8 || type.getWidth() > 32)
    return std::nullopt;
  std::optional<std::vector<char>> bytes = bytesOf(l, value);
  if (!bytes)
    return std::nullopt;
  unsigned width = type.getWidth() / 8;
  std::vector<int64_t> result(bytes->size() / width);
  for (size_t i = 0; i < result.size(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, bytes->data() + i * width, width);
    result[i] = value->isUnsigned() ? int64_t(bits) : llvm::SignExtend64(bits, 8 * width);
  }
  return result;
}
