/// MaxUnpool: the partial inverse of MaxPool.

#include "passes/lower_onnx/Windows.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace sq;

namespace {

/// The size along each spatial dim that MaxPool had, if its windows left
/// nothing out.
FailureOr<Dims> unpooledDims(Lowering &l, Operation *op, Lowered *x) {
  size_t spatial = x->rank() - 2;
  if (!l.intsAttr(op, "kernel_shape"))
    return l.fail(op, "kernel_shape is missing");
  auto kernel = perAxis(l, op, "kernel_shape", spatial, 1, 1);
  auto strides = perAxis(l, op, "strides", spatial, 1, 1);
  auto pads = perAxis(l, op, "pads", 2 * spatial, 0, 0);
  if (failed(kernel) || failed(strides) || failed(pads))
    return failure();
  Scalars s = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type();
  Dims dims = {x->dims[0], x->dims[1]};
  for (size_t d = 0; d < spatial; ++d) {
    int64_t more = (*kernel)[d] - (*pads)[d] - (*pads)[spatial + d];
    Value steps = s.sub(l.i64Value(x->dims[2 + d]), s.integer(i64, 1));
    Value size = s.add(s.mul(steps, s.integer(i64, (*strides)[d])), s.integer(i64, more));
    FailureOr<OpFoldResult> dim =
        sizeFrom(l, op, size, "the size of spatial dimension " + Twine(d));
    if (failed(dim))
      return failure();
    dims.push_back(*dim);
  }
  return dims;
}

/// Each element goes to the place that `indices` give, a flat index into the
/// tensor that MaxPool read; all else is 0. Each element of the result looks
/// for what goes there (the last one counts) in its channel, the only one that
/// MaxPool's indices of it point into: no two iterations write one place.
LogicalResult lowerMaxUnpool(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *indices = l.operand(op, 1);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  if (failed(requireSpatial(l, op, x)))
    return failure();
  if (!indices->isInteger() || indices->rank() != x->rank())
    return l.fail(op, "the indices are not integers of the input's shape");
  for (int64_t d = 0; d < x->rank(); ++d)
    if (failed(l.unify(op, x->dims[d], indices->dims[d], "dimension " + Twine(d))))
      return failure();
  FailureOr<Dims> pooled = unpooledDims(l, op, x);
  if (failed(pooled))
    return failure();
  Dims dims = *pooled;
  int64_t rank = x->rank();
  if (l.operand(op, 2)) {
    FailureOr<SmallVector<Value>> shape = l.knownElements(op, 2, "output_shape");
    if (failed(shape))
      return failure();
    if (static_cast<int64_t>(shape->size()) != rank)
      return l.fail(op, "output_shape has " + Twine(shape->size()) + " elements; expected " +
                            Twine(rank));
    for (int64_t d = 0; d < rank; ++d) {
      FailureOr<OpFoldResult> dim = sizeFrom(l, op, (*shape)[d], "output_shape " + Twine(d));
      if (failed(dim) ||
          (d < 2 && failed(dim = l.unify(op, x->dims[d], *dim, "dimension " + Twine(d)))))
        return failure();
      dims[d] = *dim;
    }
    FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
    if (failed(declared))
      return failure();
    dims = *declared;
  }

  // The indices within their channel.
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type(), index = l.builder.getIndexType();
  Value plane = l.i64Value(l.product(ArrayRef<OpFoldResult>(*pooled).drop_front(2)));
  Value channels = l.indexValue(x->dims[1]);
  std::string message = nodeName(op) + ": an index points out of its channel";
  Value places =
      pointwise(l, loc, Input{l.tensor(indices), identityMap(l, rank)}, x->dims, i64,
                [&](Scalars &s, ValueRange args) {
                  Value channel = s.add(s.mul(loopIndex(s, 0), s.bring(channels)), loopIndex(s, 1));
                  Value flat = convertInteger(s, args[0], i64, indices->isUnsigned());
                  Value place = s.sub(flat, s.mul(s.toI64(channel), s.bring(plane)));
                  Value isInside = s.compare(arith::CmpIPredicate::ult, place, s.bring(plane));
                  cf::AssertOp::create(s.builder, s.loc, isInside, message);
                  return place;
                });

  // Loops: the dims of the result, then the spatial dims of the input.
  int64_t loops = 2 * rank - 2;
  SmallVector<AffineExpr> exprs = {l.builder.getAffineDimExpr(0), l.builder.getAffineDimExpr(1)};
  SmallVector<int64_t> reduced;
  SmallVector<Value> sizes;
  for (int64_t d = rank; d < loops; ++d) {
    exprs.push_back(l.builder.getAffineDimExpr(d));
    reduced.push_back(d);
    sizes.push_back(l.indexValue((*pooled)[d - rank + 2]));
  }
  AffineMap map = AffineMap::get(loops, 0, exprs, l.builder.getContext());
  Value zeros = l.filledTensor(loc, dims, l.scalars(loc).number(x->element, 0));
  Value y = generic(
      l, loc, {{l.tensor(x), map}, {places, map}}, Input{zeros, mapWithout(l, loops, reduced)},
      reduced, [&](Scalars &s, ValueRange args) {
        // Outside of what MaxPool read there is nothing.
        Value place = s.integer(index, 0), hit = s.boolean(true);
        for (auto [d, size] : llvm::enumerate(sizes)) {
          Value i = loopIndex(s, 2 + d);
          place = s.add(s.mul(place, s.bring(size)), i);
          hit = s.make<arith::AndIOp>(hit, s.compare(arith::CmpIPredicate::ult, i, s.bring(size)));
        }
        Value isHere = s.compare(arith::CmpIPredicate::eq, s.toI64(place), args[1]);
        hit = s.make<arith::AndIOp>(hit, isHere);
        return SmallVector<Value>{s.select(hit, args[0], args[2])};
      })[0];
  l.setTensor(op, 0, y, dims, x->element);
  return success();
}

} // namespace

void sq::registerUnpooling(LoweringTable &table) { table.add("MaxUnpool", 2, lowerMaxUnpool); }
