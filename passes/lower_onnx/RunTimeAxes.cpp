#include "passes/lower_onnx/RunTimeAxes.h"

using namespace mlir;
using namespace sq;

/// Checked and counted from the front.
static Value normalAxis(Lowering &l, Operation *op, Value axis, int64_t rank) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = s.builder.getI64Type();
  using P = arith::CmpIPredicate;
  Value size = s.integer(i64, rank);
  l.assertTrue(op,
               s.make<arith::AndIOp>(s.compare(P::sge, axis, s.integer(i64, -rank)),
                                     s.compare(P::slt, axis, size)),
               "an axis is outside the rank " + Twine(rank));
  return s.select(s.compare(P::slt, axis, s.integer(i64, 0)), s.add(axis, size), axis);
}

SmallVector<Value> sq::axisFlags(Lowering &l, Operation *op, ArrayRef<Value> axes, int64_t rank) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = s.builder.getI64Type();
  SmallVector<Value> normal;
  for (Value axis : axes)
    normal.push_back(normalAxis(l, op, axis, rank));
  for (size_t i = 0; i < normal.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      l.assertTrue(op, s.compare(arith::CmpIPredicate::ne, normal[i], normal[j]),
                   "an axis is given twice");
  SmallVector<Value> flags;
  for (int64_t d = 0; d < rank; ++d) {
    Value flag = s.boolean(false);
    for (Value axis : normal)
      flag = s.make<arith::OrIOp>(
          flag, s.compare(arith::CmpIPredicate::eq, axis, s.integer(i64, d)));
    flags.push_back(flag);
  }
  return flags;
}

OpFoldResult sq::selectDim(Lowering &l, Value condition, OpFoldResult a, OpFoldResult b) {
  Scalars s = l.scalars(condition.getLoc());
  return l.toDim(s.select(condition, l.i64Value(a), l.i64Value(b)));
}

Dims sq::withoutFlagged(Lowering &l, ArrayRef<OpFoldResult> dims, ArrayRef<Value> flags,
                        int64_t count) {
  Scalars s = l.scalars(l.builder.getUnknownLoc());
  Type i64 = s.builder.getI64Type();
  Value one = s.integer(i64, 1), zero = s.integer(i64, 0);
  // Where each dim goes; among the flagged ones nowhere.
  SmallVector<Value> places;
  Value next = zero;
  for (Value flag : flags) {
    places.push_back(s.select(flag, s.integer(i64, -1), next));
    next = s.add(next, s.select(flag, zero, one));
  }
  Dims result;
  for (int64_t i = 0, rank = dims.size() - count; i < rank; ++i) {
    OpFoldResult dim = l.indexAttr(1);
    // The dim at place i is one of i .. i + count.
    for (int64_t d = i; d <= i + count; ++d)
      dim = selectDim(l, s.compare(arith::CmpIPredicate::eq, places[d], s.integer(i64, i)),
                      dims[d], dim);
    result.push_back(dim);
  }
  return result;
}

Dims sq::withOnesAt(Lowering &l, ArrayRef<OpFoldResult> dims, ArrayRef<Value> flags) {
  Scalars s = l.scalars(l.builder.getUnknownLoc());
  Type i64 = s.builder.getI64Type();
  int64_t count = flags.size() - dims.size();
  Value taken = s.integer(i64, 0); // of `dims`, before this position
  Dims result;
  for (auto [i, flag] : llvm::enumerate(flags)) {
    OpFoldResult dim = l.indexAttr(1);
    int64_t last = std::min<int64_t>(i, dims.size() - 1);
    for (int64_t d = std::max<int64_t>(0, int64_t(i) - count); d <= last; ++d)
      dim = selectDim(l, s.compare(arith::CmpIPredicate::eq, taken, s.integer(i64, d)), dims[d],
                      dim);
    result.push_back(selectDim(l, flag, l.indexAttr(1), dim));
    taken = s.add(taken, s.select(flag, s.integer(i64, 0), s.integer(i64, 1)));
  }
  return result;
}

Dims sq::splitAround(Lowering &l, Operation *op, ArrayRef<OpFoldResult> dims, Value axis) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = s.builder.getI64Type();
  Value normal = normalAxis(l, op, axis, dims.size());
  OpFoldResult before = l.indexAttr(1), at = before, behind = before;
  for (int64_t d = 0; d < int64_t(dims.size()); ++d) {
    Value here = s.integer(i64, d);
    auto times = [&](OpFoldResult &product, arith::CmpIPredicate predicate) {
      product = l.multiply(product, selectDim(l, s.compare(predicate, here, normal), dims[d],
                                              l.indexAttr(1)));
    };
    times(before, arith::CmpIPredicate::slt);
    times(at, arith::CmpIPredicate::eq);
    times(behind, arith::CmpIPredicate::sgt);
  }
  return {before, at, behind};
}
