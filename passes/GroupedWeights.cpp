//===-- GroupedWeights.cpp - weights of codes in groups
//-----------------------===//

#include "passes/GroupedWeights.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/ConstantBytes.h"
#include "dialects/sq/IR/ShapeChecks.h"
#include "lib/numerics/Groups.h"

using namespace mlir;
using namespace sq;

namespace {

/// Scales, or offsets, of constants.
struct GroupNumbers {
  ConstantBytes bytes;
  Type element;
  int64_t groups = 0; // of a row

  bool read(Value value) {
    std::optional<ConstantBytes> found = constantBytes(value);
    if (!found)
      return false;
    bytes = std::move(*found);
    if (!bytes.storage.empty()) // moving it may have moved its elements
      bytes.bytes = bytes.storage;
    element = getElementTypeOrSelf(value.getType());
    groups = shaped(value).getDimSize(1);
    return true;
  }
  bool areBytes() const { return element.isInteger(8); }
  float at(int64_t i) const {
    return areBytes()        ? bytes.as<uint8_t>()[i]
           : element.isF16() ? halfToFloat(bytes.as<uint16_t>()[i])
                             : bytes.as<float>()[i];
  }
  int64_t count() const {
    return bytes.bytes.size() / (areBytes() ? 1 : element.isF16() ? 2 : 4);
  }
  std::vector<float> all() const {
    std::vector<float> values(count());
    for (int64_t i = 0; i < count(); ++i)
      values[i] = at(i);
    return values;
  }
  bool areHalves() const {
    for (int64_t i = 0; i < count(); ++i)
      if (static_cast<float>(static_cast<_Float16>(at(i))) != at(i))
        return false;
    return true;
  }

  template <typename T>
  Value padded(OpBuilder &b, Location loc, int64_t stored, Type type,
               StringRef name) const {
    int64_t n = groups ? count() / groups : 0;
    std::vector<T> values(n * stored, T(0));
    for (int64_t r = 0; r < n; ++r)
      for (int64_t g = 0; g < groups; ++g)
        values[r * stored + g] = static_cast<T>(at(r * groups + g));
    return largeConstant<T>(b, loc, {n, stored}, type, values, name);
  }
};

/// The constants of `op`; an error there when some are not.
struct ConstantGroups {
  ElementsAttr codes;
  ConstantBytes codeBytes;
  GroupNumbers scales, offsets;

  LogicalResult read(GroupedMatmulOp op) {
    ShapedType x = shaped(op.getX()), y = shaped(op.getOuts());
    if (ShapedType::isDynamic(x.getShape().back()) ||
        ShapedType::isDynamic(y.getShape().back()))
      return op.emitOpError("needs static k and n, got ") << x << " and " << y;
    std::optional<ConstantBytes> bytes = constantBytes(op.getCodes());
    if (!bytes || !matchPattern(op.getCodes(), m_Constant(&codes)) ||
        !scales.read(op.getScales()) ||
        (op.getOffsets() && !offsets.read(op.getOffsets())))
      return op.emitOpError("needs constant codes, scales and offsets");
    codeBytes = std::move(*bytes);
    if (!codeBytes.storage.empty())
      codeBytes.bytes = codeBytes.storage;
    return success();
  }
};

} // namespace

LogicalResult sq::decodeGroups(GroupedMatmulOp op) {
  ConstantGroups constants;
  if (failed(constants.read(op)))
    return failure();
  std::vector<float> scales = constants.scales.all(), minima;
  numerics::GroupedWeight w;
  w.n = shaped(op.getOuts()).getShape().back();
  w.k = shaped(op.getX()).getShape().back();
  w.bits = op.getBits();
  w.group = op.getGroupSize();
  w.zeroPoint = op.getZeroPoint();
  w.codes = constants.codeBytes.as<uint32_t>().data();
  w.scales = scales.data();
  if (op.getOffsets() && constants.offsets.areBytes()) {
    w.zeros = constants.offsets.bytes.as<uint8_t>().data();
  } else if (op.getOffsets()) {
    minima = constants.offsets.all();
    w.minima = minima.data();
  }
  OpBuilder b(op);
  Value weight = largeConstant<float>(b, op.getCodes().getLoc(), {w.n, w.k},
                                      b.getF32Type(), numerics::decodeGroups(w),
                                      "decoded");
  Type element = getElementTypeOrSelf(op.getX().getType());
  if (!element.isF32())
    return op.emitOpError("is decoded for x of f32 only, got ")
           << op.getX().getType();
  auto linear =
      LinearOp::create(b, op.getLoc(), op.getOuts().getType(), op.getX(),
                       weight, /*bias=*/Value(), op.getOuts(),
                       /*transpose_weight=*/true);
  op->replaceAllUsesWith(linear);
  op->erase();
  return success();
}

std::string sq::whyNoGroupKernel(GroupedMatmulOp op) {
  auto isF32 = [](Value v) {
    return getElementTypeOrSelf(v.getType()).isF32();
  };
  if (!isF32(op.getX()) || !isF32(op.getOuts()))
    return "there are kernels for f32 only";
  int64_t k = shaped(op.getX()).getShape().back(), group = op.getGroupSize();
  if (group < k && (group < 16 || !llvm::isPowerOf2_64(group)))
    return "groups of " + std::to_string(group) +
           " have no kernel; powers of 2 from 16 on and whole rows have";
  return "";
}

LogicalResult sq::packGroups(GroupedMatmulOp op, bool bytes) {
  ConstantGroups constants;
  if (failed(constants.read(op)))
    return failure();
  OpBuilder b(op);
  Location loc = op.getCodes().getLoc();
  int64_t k = shaped(op.getX()).getShape().back(),
          n = shaped(op.getOuts()).getShape().back(), bits = op.getBits(),
          group = op.getGroupSize(), zero = op.getZeroPoint();
  if (group >= k) // the verifier knows no others
    group = std::max<int64_t>(group, 16);
  int64_t stored = numerics::storedGroups(k, bits, group);
  auto floats = [&](Value value, const GroupNumbers &numbers,
                    StringRef name) -> Value {
    bool isHalf = numbers.areHalves();
    if (numbers.groups == stored && isHalf == numbers.element.isF16())
      return value;
    return isHalf
               ? numbers.padded<_Float16>(b, loc, stored, b.getF16Type(), name)
               : numbers.padded<float>(b, loc, stored, b.getF32Type(), name);
  };
  SmallVector<Value> lut = {floats(op.getScales(), constants.scales, "scales")};
  const GroupNumbers &offsets = constants.offsets;
  if (op.getOffsets() && offsets.areBytes()) {
    int first = offsets.count() ? int(offsets.at(0)) : 0;
    bool isOne = first < 1 << bits;
    for (int64_t i = 0; isOne && i < offsets.count(); ++i)
      isOne = offsets.at(i) == first;
    if (isOne)
      zero = first;
    else
      lut.push_back(offsets.groups == stored
                        ? op.getOffsets()
                        : offsets.padded<uint8_t>(b, loc, stored, b.getI8Type(),
                                                  "zero_points"));
  } else if (op.getOffsets()) {
    lut.push_back(floats(op.getOffsets(), offsets, "minima"));
  }
  auto type = RankedTensorType::get(
      {n, numerics::blocksOf(k, bits), bits == 3 ? 3 : 1, bytes ? 64 : 16},
      bytes ? b.getI8Type() : b.getI32Type());
  auto weight = WeightOp::create(b, loc, type, constants.codes, /*pack=*/0,
                                 /*transpose=*/false, /*offset=*/nullptr,
                                 /*wide_offset=*/nullptr, /*widened=*/false,
                                 /*codes=*/bits);
  auto product = PackedMatmulOp::create(
      b, op.getLoc(), op.getOuts().getType(), op.getX(), weight.getResult(),
      lut, /*extras=*/ValueRange(), op.getOuts(), bits, group, zero);
  Block *body =
      b.createBlock(&product.getEpilogue(), {}, b.getF32Type(), op.getLoc());
  YieldOp::create(b, op.getLoc(), body->getArgument(0));
  op->replaceAllUsesWith(product);
  op->erase();
  return success();
}
