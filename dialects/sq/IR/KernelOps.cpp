#include "dialects/sq/IR/SqOps.h"

#include "lib/numerics/Groups.h"

using namespace mlir;
using namespace sq;

std::pair<int64_t, int64_t> WeightOp::matrixSize() {
  auto type = cast<ShapedType>(getValue().getType());
  return getTranspose() ? std::pair(type.getDimSize(1), type.getDimSize(0))
                        : std::pair(type.getDimSize(0), type.getDimSize(1));
}

std::optional<MemRefType> WeightOp::widenedType() {
  constexpr int64_t kColumns = 48; // a panel of f32, as codegen/host/HostTarget.h has it
  auto type = cast<ShapedType>(getResult().getType());
  if (type.getRank() != 4 || !type.getElementType().isBF16() || !getPack())
    return std::nullopt;
  auto [k, n] = matrixSize();
  return MemRefType::get({int64_t(llvm::divideCeil(n, kColumns)), k, kColumns}, Float32Type::get(getContext()));
}

int64_t WeightOp::storedBytes() {
  auto type = cast<ShapedType>(getResult().getType());
  Type element = type.getElementType();
  int64_t count = type.getNumElements(), size = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  return getBits() ? llvm::divideCeil(count * int64_t(getBits()), 8) : count * size;
}

LogicalResult WeightOp::verify() {
  auto type = cast<ShapedType>(getResult().getType());
  if (getBits() && (getBits() < 2 || getBits() > 7 || !type.getElementType().isInteger(8) || getCodes()))
    return emitOpError("is stored in 2 to 7 bits as bytes only, got ") << getBits() << " bits for " << type;
  return success();
}

bool PackedMatmulOp::isOfBytes() {
  return !isCoded() && cast<ShapedType>(getWeight().getType()).getElementType().isInteger(8);
}

bool PackedMatmulOp::hasByteCodes() {
  return isCoded() && cast<ShapedType>(getWeight().getType()).getElementType().isInteger(8);
}

/// packed_matmul_c5
static LogicalResult verifyGrouped(PackedMatmulOp op) {
  auto shaped = [](Value v) { return cast<ShapedType>(v.getType()); };
  ShapedType x = shaped(op.getX()), w = shaped(op.getWeight()), y = shaped(op.getOuts());
  int64_t k = x.getRank() ? x.getShape().back() : 0, n = y.getRank() ? y.getShape().back() : 0;
  int64_t bits = op.getBits(), group = op.getGroupSize();
  if (bits < 2 || bits > 4 || op.getZeroPoint() < 0 || op.getZeroPoint() >= 1 << bits)
    return op.emitOpError("needs groups of codes of 2, 3 or 4 bits, and a zero point that is one, got ") << bits << " bits and " << op.getZeroPoint();
  if (group < 16 || (group < k && !llvm::isPowerOf2_64(group)))
    return op.emitOpError("needs a group_size that is a power of 2 from 16 on, or all of k, got ") << group;
  bool bytes = op.hasByteCodes();
  int64_t blocks = k > 0 ? numerics::blocksOf(k, bits) : 0;
  if (x.getRank() != y.getRank() || k < 1 || !x.getElementType().isF32() || !(bytes || w.getElementType().isInteger(32)) || !w.hasStaticShape() ||
      w.getShape() != ArrayRef<int64_t>({n, blocks, bits == 3 ? 3 : 1, bytes ? 64 : 16}))
    return op.emitOpError("needs ") << bits << "-bit codes i32 [n, " << blocks << ", " << (bits == 3 ? 3 : 1)
           << ", 16] or i8 [.., 64] and x of f32 for x " << x << " and outs " << y << ", got " << w;
  int64_t stored = numerics::storedGroups(k, bits, group);
  for (auto [i, value] : llvm::enumerate(op.getLut())) {
    Type element = shaped(value).getElementType();
    if (i > 1 || !(element.isF16() || element.isF32() || (i == 1 && element.isInteger(8))) || !shaped(value).hasStaticShape() ||
        shaped(value).getShape() != ArrayRef<int64_t>({n, stored}))
      return op.emitOpError("needs scales of f16 or f32 and perhaps offsets of f16, f32 or i8, [n, ") << stored << "] each, for outs " << y << ", got "
             << value.getType();
  }
  return success();
}

/// packed_matmul_c4
static LogicalResult verifyCoded(PackedMatmulOp op) {
  if (op.isGrouped())
    return verifyGrouped(op);
  auto shaped = [](Value v) { return cast<ShapedType>(v.getType()); };
  ShapedType x = shaped(op.getX()), w = shaped(op.getWeight()), y = shaped(op.getOuts()), table = shaped(op.getLut().front());
  int64_t k = x.getRank() ? x.getShape().back() : 0, n = y.getRank() ? y.getShape().back() : 0;
  bool bytes = table.getElementType().isInteger(8);
  auto isOf = [](ShapedType type, ArrayRef<int64_t> shape) { return type.hasStaticShape() && type.getShape() == shape; };
  int64_t entries = table.getRank() == 2 ? table.getDimSize(1) : 0;
  int64_t bits = entries == 4 || entries == 8 || entries == 16 ? llvm::Log2_64(entries) : 0;
  if (!bits || !isOf(table, {n, entries}) || !(bytes || table.getElementType().isF16()))
    return op.emitOpError("needs tables of f16 or i8, [n, 4], [n, 8] or [n, 16], for outs ") << y << ", got " << table;
  if (x.getRank() != y.getRank() || !x.getElementType().isF32() || ShapedType::isDynamic(k) || !w.getElementType().isInteger(bytes ? 8 : 32) ||
      !isOf(w, {n, numerics::blocksOf(k, bits), bits == 3 ? 3 : 1, bytes ? 64 : 16}))
    return op.emitOpError("needs ") << bits << "-bit codes i" << (bytes ? "8" : "32") << " [n, " << numerics::blocksOf(k, bits) << ", "
           << (bits == 3 ? 3 : 1) << ", " << (bytes ? 64 : 16) << "] and x of f32 for x " << x << " and outs " << y << ", got " << w;
  ValueRange rest = ValueRange(op.getLut()).drop_front();
  if (bytes && (rest.empty() || !isOf(shaped(rest.front()), {n, 2}) || !shaped(rest.front()).getElementType().isF32()))
    return op.emitOpError("needs f32 [n, 2] behind tables of i8");
  rest = rest.drop_front(bytes);
  if (rest.empty())
    return success();
  if (rest.size() != 2 || !isOf(shaped(rest[0]), {n + 1}) || !shaped(rest[0]).getElementType().isInteger(32) ||
      shaped(rest[1]).getRank() != 1 || !shaped(rest[1]).getElementType().isInteger(k > 65536 ? 64 : 32))
    return op.emitOpError("needs a sparse matrix as i32 [n + 1] and i") << (k > 65536 ? 64 : 32) << " [entries]";
  return success();
}

LogicalResult PackedMatmulOp::verify() {
  auto shaped = [](Value v) { return cast<ShapedType>(v.getType()); };
  ShapedType x = shaped(getX()), w = shaped(getWeight()), y = shaped(getOuts());
  // packed_matmul_c1
  bool pairs = w.getRank() == 4 && w.getElementType().isBF16() && w.getShape().back() == 2;
  int64_t k = x.getRank() ? x.getShape().back() : 0, n = y.getRank() ? y.getShape().back() : 0;
  if (!isGrouped() && (getBits() || getZeroPoint()))
    return emitOpError("has bits or a zero_point, which are of groups, and no group_size");
  if (isGrouped() && !isCoded())
    return emitOpError("has a group_size and no scales in lut");
  if (isCoded()) {
    if (failed(verifyCoded(*this)))
      return failure();
  } else if (isOfBytes()) {
    constexpr int64_t kColumns = 16, kRow = 64, kDepth = 64;
    if (w.getRank() != 3 || !w.hasStaticShape() || w.getDimSize(2) != kRow || k % 4 != 0 ||
        !x.getElementType().isInteger(8) || y.getRank() != x.getRank() ||
        w.getDimSize(1) != int64_t(llvm::divideCeil(k, kDepth)) * 16 ||
        w.getDimSize(0) != int64_t(llvm::divideCeil(n, kColumns)))
      return emitOpError("needs a weight [ceil(n / 16), 16 ceil(k / 64), 64] and x of i8 whose k is a multiple of 4 for x ")
             << x << " and outs " << y << ", got " << w;
  } else if (!isa<FloatType>(w.getElementType()) || !isa<FloatType>(x.getElementType())) {
    return emitOpError("multiplies floats, or i8 by i8, got ") << x << " and " << w;
  } else if ((w.getRank() != 3 && !pairs) || !w.hasStaticShape() || x.getRank() < 1 || y.getRank() != x.getRank() ||
      w.getDimSize(1) != (pairs ? int64_t(llvm::divideCeil(k, 32)) * 16 : k) ||
      w.getDimSize(0) != (n + w.getDimSize(2) - 1) / w.getDimSize(2))
    return emitOpError("needs a weight [ceil(n / N), k, N] or bf16 [ceil(n / N), 16 ceil(k / 32), N, 2] for x ")
           << x << " and outs " << y << ", got " << w;
  // packed_matmul_c2
  for (Value e : getExtras()) {
    ShapedType t = shaped(e);
    bool fits = t.getRank() == 0 || (t.getRank() == 1 && t.getDimSize(0) == n) ||
                (t.getRank() == y.getRank() && (t.getShape().back() == 1 || t.getShape().back() == n));
    if (!fits)
      return emitOpError("needs extras [], [n], or shaped like outs ") << y << ", got " << t;
  }
  // packed_matmul_c3
  Block &body = getEpilogue().front();
  auto yielded = cast<YieldOp>(body.getTerminator()).getValues();
  if (body.getNumArguments() != 1 + getExtras().size() || yielded.size() != 1)
    return emitOpError("needs an epilogue of ") << 1 + getExtras().size() << " arguments and one result";
  Builder b(getContext());
  if (body.getArgument(0).getType() != (isOfBytes() ? Type(b.getI32Type()) : Type(b.getF32Type())) ||
      yielded[0].getType() != y.getElementType())
    return emitOpError("needs an epilogue from ") << (isOfBytes() ? "i32" : "f32") << " to " << y.getElementType();
  for (auto [extra, argument] : llvm::zip(getExtras(), body.getArguments().drop_front()))
    if (shaped(extra).getElementType() != argument.getType())
      return emitOpError("hands elements of ") << extra.getType() << " to an epilogue that takes " << argument.getType();
  return success();
}

void ParallelOp::build(OpBuilder &b, OperationState &state, StringRef name, Value count,
                       Value grain,
                       function_ref<void(OpBuilder &, Location, ValueRange)> body) {
  state.addOperands({count, grain});
  state.getOrAddProperties<Properties>().name = b.getStringAttr(name);
  OpBuilder::InsertionGuard guard(b);
  Type index = count.getType();
  Block *block = b.createBlock(state.addRegion(), {}, {index, index, index},
                               {state.location, state.location, state.location});
  body(b, state.location, block->getArguments());
  YieldOp::create(b, state.location);
}

LogicalResult ParallelOp::verify() {
  // parallel_c1
  Block &entry = getBody().front();
  if (entry.getNumArguments() != 3 ||
      llvm::any_of(entry.getArgumentTypes(), [](Type t) { return !t.isIntOrIndex(); }))
    return emitOpError("needs a region with three integers (begin, end, thread), got ")
           << entry.getNumArguments() << " arguments";
  return success();
}

LogicalResult OutputOp::verify() {
  // output_c1
  int64_t dynamic = cast<MemRefType>(getResult().getType()).getNumDynamicDims();
  if (static_cast<int64_t>(getSizes().size()) != dynamic)
    return emitOpError("needs ") << dynamic << " sizes for " << getResult().getType() << ", got "
                                 << getSizes().size();
  return success();
}

Value PartOp::getViewSource() { return getSource(); }

LogicalResult PartOp::verify() {
  // part_c1
  auto type = cast<MemRefType>(getSource().getType());
  if (type.getRank() == 0 || !type.isDynamicDim(0) || !type.getLayout().isIdentity())
    return emitOpError("needs a dense source whose first dim is unknown, got ") << type;
  return success();
}

#define GET_OP_CLASSES
#include "dialects/sq/IR/SqOps.cpp.inc"
