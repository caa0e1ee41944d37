/// TensorScatter (opset 24): writes new keys or values into a cache, each row of the batch
/// at a place of its own.
#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace sq;

/// Where each row starts, one i64 per row, all inside: [0, size) when circular, else so
/// that the update fits.
static Value checkedStarts(Lowering &l, Operation *op, Lowered *starts, OpFoldResult size,
                           OpFoldResult length, bool isCircular) {
  Type i64 = l.builder.getI64Type();
  Value last = l.i64Value(size), zero, one;
  {
    Scalars s = l.scalars(op->getLoc());
    zero = s.integer(i64, 0);
    one = s.integer(i64, 1);
    last = s.sub(last, isCircular ? one : l.i64Value(length));
  }
  std::string message = nodeName(op) + ": write index out of range";
  AffineMap row = AffineMap::getMultiDimIdentityMap(1, op->getContext());
  return pointwise(l, op->getLoc(), Input{l.tensor(starts), row}, starts->dims, i64,
                   [&](Scalars &s, ValueRange args) {
                     Value start = convertInteger(s, args[0], i64, starts->isUnsigned());
                     // Unsigned: negative numbers are large.
                     Value isInside = s.compare(arith::CmpIPredicate::ule, start, s.bring(last));
                     cf::AssertOp::create(s.builder, s.loc, isInside, message);
                     return s.max(s.min(start, s.bring(last)), s.bring(zero));
                   });
}

/// past_cache [B, .., size, ..], update [B, .., length, ..], write_indices [B].
static LogicalResult lowerTensorScatter(Lowering &l, Operation *op) {
  Lowered *cache = l.operand(op, 0), *update = l.operand(op, 1), *starts = l.operand(op, 2);
  std::string mode = l.stringAttr(op, "mode", "linear");
  bool isCircular = mode == "circular";
  if (!isCircular && mode != "linear")
    return l.fail(op, "mode is '" + mode + "'; it can be linear or circular");
  int64_t rank = cache->rank();
  if (update->rank() != rank || update->element != cache->element)
    return l.fail(op, "past_cache and update differ in rank or element type");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", -2), rank);
  if (failed(axis))
    return failure();
  if (*axis == 0)
    return l.fail(op, "the axis is that of the batch");
  Dims dims = cache->dims;
  for (int64_t d = 0; d < rank; ++d) {
    if (d == *axis)
      continue;
    FailureOr<OpFoldResult> dim = l.unify(op, dims[d], update->dims[d], "dimension " + Twine(d));
    if (failed(dim))
      return failure();
    dims[d] = *dim;
  }
  OpFoldResult size = dims[*axis], length = update->dims[*axis];
  if (std::optional<int64_t> whole = staticDim(size), part = staticDim(length);
      whole && part && *part > *whole)
    return l.fail(op, "an update of " + Twine(*part) + " does not fit a cache of " + Twine(*whole));
  if (starts && (starts->rank() != 1 || !starts->isInteger() ||
                 failed(l.unify(op, starts->dims[0], dims[0], "the number of write indices"))))
    return l.fail(op, "write_indices are not one integer per row");
  assertNotEmpty(l, op, {length}, dims);
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type();
  AffineMap all = AffineMap::getMultiDimIdentityMap(rank, op->getContext());
  SmallVector<Input> inputs = {{l.tensor(cache), all}};
  if (starts)
    inputs.push_back({checkedStarts(l, op, starts, size, length, isCircular),
                      AffineMap::get(rank, 0, l.builder.getAffineDimExpr(0))});
  Value source = l.tensor(update), sizeValue = l.i64Value(size), lengthValue = l.i64Value(length);
  Value y = pointwise(l, loc, inputs, dims, signless(cache->element), [&](Scalars &s, ValueRange args) {
    Value zero = s.integer(i64, 0), place = s.toI64(loopIndex(s, *axis));
    Value offset = starts ? s.sub(place, args[1]) : place;
    if (isCircular) {
      Value isBefore = s.compare(arith::CmpIPredicate::slt, offset, zero);
      offset = s.select(isBefore, s.add(offset, s.bring(sizeValue)), offset);
    }
    // Unsigned: negative numbers are large.
    Value isWritten = s.compare(arith::CmpIPredicate::ult, offset, s.bring(lengthValue));
    SmallVector<Value> at;
    for (int64_t d = 0; d < rank; ++d)
      at.push_back(d == *axis ? s.toIndex(s.select(isWritten, offset, zero)) : loopIndex(s, d));
    return s.select(isWritten, extract(s, source, at), args[0]);
  });
  l.setTensor(op, 0, y, dims, cache->element);
  return success();
}

void sq::registerTensorScatter(LoweringTable &table) {
  table.add("TensorScatter", 2, lowerTensorScatter);
}
