#include "passes/analysis/BufferDims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;

FailureOr<Value> sq::dimWithoutBuffer(ImplicitLocOpBuilder &b, Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return Value(arith::ConstantIndexOp::create(b, type.getDimSize(dim)));
  Operation *op = memref.getDefiningOp();
  if (!op)
    return Value(memref::DimOp::create(b, memref, dim));
  if (auto alloc = dyn_cast<memref::AllocOp>(op))
    return alloc.getDynamicSizes()[type.getDynamicDimIndex(dim)];
  if (auto output = dyn_cast<sq::OutputOp>(op))
    return output.getSizes()[type.getDynamicDimIndex(dim)];
  if (auto flat = dyn_cast<memref::ReinterpretCastOp>(op))
    if (auto value = dyn_cast<Value>(flat.getMixedSizes()[dim]))
      return value;
  if (auto expand = dyn_cast<memref::ExpandShapeOp>(op))
    return expand.getOutputShape()[type.getDynamicDimIndex(dim)];
  if (auto collapse = dyn_cast<memref::CollapseShapeOp>(op)) {
    Value result;
    // A name of its own: the list is a temporary, which a loop over an element
    // of it would not keep alive.
    ReassociationIndices group = collapse.getReassociationIndices()[dim];
    for (int64_t source : group) {
      FailureOr<Value> extent = dimWithoutBuffer(b, collapse.getSrc(), source);
      if (failed(extent))
        return failure();
      result = result ? b.createOrFold<arith::MulIOp>(result, *extent) : *extent;
    }
    return result;
  }
  if (auto part = dyn_cast<sq::PartOp>(op))
    return dim == 0 ? FailureOr<Value>(part.getLength()) : dimWithoutBuffer(b, part.getSource(), dim);
  if (auto cast = dyn_cast<memref::CastOp>(op))
    return dimWithoutBuffer(b, cast.getSource(), dim);
  if (auto view = dyn_cast<memref::SubViewOp>(op)) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    int64_t kept = -1;
    for (auto [i, size] : llvm::enumerate(view.getMixedSizes()))
      if (!dropped.test(i) && ++kept == dim)
        if (auto value = dyn_cast<Value>(size))
          return value;
  }
  return failure();
}


Value sq::denseView(ImplicitLocOpBuilder &b, Value buffer, MemRefType type,
                    ArrayRef<OpFoldResult> sizes) {
  auto asValue = [&](OpFoldResult r) -> Value {
    if (auto v = dyn_cast<Value>(r))
      return v;
    return arith::ConstantIndexOp::create(b, *getConstantIntValue(r));
  };
  SmallVector<OpFoldResult> strides(sizes.size());
  OpFoldResult stride = b.getIndexAttr(1);
  for (int64_t d = static_cast<int64_t>(sizes.size()) - 1; d >= 0; --d) {
    strides[d] = stride;
    if (d == 0)
      break;
    auto known = getConstantIntValue(stride), extent = getConstantIntValue(sizes[d]);
    if (known && extent)
      stride = b.getIndexAttr(*known * *extent);
    else
      stride = b.createOrFold<arith::MulIOp>(asValue(stride), asValue(sizes[d]));
  }
  return memref::ReinterpretCastOp::create(b, type, buffer, b.getIndexAttr(0), sizes, strides);
}
