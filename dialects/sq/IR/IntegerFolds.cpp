#include "dialects/sq/IR/IntegerOps.h"
#include "dialects/sq/IR/SqOps.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace sq;

/// On tensors, when the result is of the type of `x`, it is `x`.
static LogicalResult foldToInput(Value x, ResultRange results, SmallVectorImpl<OpFoldResult> &folded) {
  if (results.size() != 1 || results[0].getType() != x.getType())
    return failure();
  folded.push_back(x);
  return success();
}

// Each channel by exactly 1, to a type that holds all of x.
LogicalResult RequantizeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  numerics::IntegerRange in = rangeOf(getX(), getXBits(), getXUnsigned());
  numerics::IntegerRange out = rangeOf(getOuts(), getBits(), getIsUnsigned());
  if (getXUnsigned() != getIsUnsigned() || getXZeroPoint() != getZeroPoint() || in.lo < out.lo || in.hi > out.hi)
    return failure();
  auto at = [](ArrayRef<int32_t> list, size_t i) { return list.size() == 1 ? list[0] : list[i]; };
  for (size_t i = 0; i < std::max(getMultipliers().size(), getExponents().size()); ++i)
    if (at(getMultipliers(), i) != INT64_C(1) << at(getExponents(), i))
      return failure();
  return foldToInput(getX(), getResult(), results);
}

// The table of the identity.
LogicalResult LookupOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  for (auto [i, entry] : llvm::enumerate(getTable().getValues<int32_t>()))
    if ((static_cast<uint32_t>(entry) & 255) != i)
      return failure();
  return foldToInput(getX(), getResult(), results);
}

// lookup(lookup(x)) -> lookup(x) with the table of both
LogicalResult LookupOp::canonicalize(LookupOp op, PatternRewriter &rewriter) {
  auto inner = op.getX().getDefiningOp<LookupOp>();
  if (!inner || op->getNumResults() != 1)
    return rewriter.notifyMatchFailure(op, "not a lookup of a lookup, on tensors");
  SmallVector<int32_t> first(inner.getTable().getValues<int32_t>()), second(op.getTable().getValues<int32_t>());
  for (int32_t &entry : first)
    entry = second[entry & 255];
  auto table = DenseIntElementsAttr::get(cast<ShapedType>(op.getTable().getType()), first);
  rewriter.modifyOpInPlace(op, [&] {
    op.getXMutable().assign(inner.getX());
    op.setTableAttr(table);
  });
  return success();
}
