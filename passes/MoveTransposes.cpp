#include "passes/MoveTransposes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;

namespace {

/// `x` of `transpose(x)` that `permutation` undoes, or null.
Value matchUndone(Value v, ArrayRef<int64_t> permutation) {
  auto inner = v.getDefiningOp<linalg::TransposeOp>();
  if (!inner)
    return nullptr;
  for (auto [i, d] : llvm::enumerate(permutation))
    if (inner.getPermutation()[d] != static_cast<int64_t>(i))
      return nullptr;
  return inner.getInput();
}

/// A slice that keeps the rank, of something that `permutation` undoes.
tensor::ExtractSliceOp matchSliceOfUndone(Value v, ArrayRef<int64_t> permutation) {
  auto slice = v.getDefiningOp<tensor::ExtractSliceOp>();
  return slice && slice.getDroppedDims().none() && matchUndone(slice.getSource(), permutation)
             ? slice
             : tensor::ExtractSliceOp();
}

/// transpose(slice(transpose(x)))  ==>  slice(x), if both undo each other
struct TransposeOfSlice : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    tensor::ExtractSliceOp slice = matchSliceOfUndone(op.getInput(), permutation);
    if (!slice || !isa<RankedTensorType>(op.getInit().getType()))
      return rewriter.notifyMatchFailure(op, "no slice of a transposition that this one undoes");
    auto permuted = [&](ArrayRef<OpFoldResult> x) { return applyPermutation(x, permutation); };
    rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
        op, cast<RankedTensorType>(op.getInit().getType()), matchUndone(slice.getSource(), permutation),
        permuted(slice.getMixedOffsets()), permuted(slice.getMixedSizes()),
        permuted(slice.getMixedStrides()));
    return success();
  }
};

/// transpose(insert(a, insert(b, empty)))  ==>  insert(transpose(a), insert(transpose(b), empty)),
/// if each of the new ones undoes another
struct TransposeOfInserts : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    SmallVector<tensor::InsertSliceOp> inserts;
    Value dest = op.getInput();
    for (; auto insert = dest.getDefiningOp<tensor::InsertSliceOp>(); dest = insert.getDest()) {
      bool keepsRank = insert.getDroppedDims().none();
      if (!keepsRank || !(matchUndone(insert.getSource(), permutation) ||
                          matchSliceOfUndone(insert.getSource(), permutation)))
        return rewriter.notifyMatchFailure(op, "a part is no transposition that this one undoes");
      inserts.push_back(insert);
    }
    auto empty = dest.getDefiningOp<tensor::EmptyOp>();
    if (inserts.empty() || !empty)
      return rewriter.notifyMatchFailure(op, "nothing that was put together of parts");
    auto permuted = [&](ArrayRef<OpFoldResult> x) { return applyPermutation(x, permutation); };
    Location loc = op.getLoc();
    Type element = empty.getType().getElementType();
    Value result = tensor::EmptyOp::create(rewriter, loc, permuted(empty.getMixedSizes()), element);
    for (tensor::InsertSliceOp insert : llvm::reverse(inserts)) {
      SmallVector<OpFoldResult> sizes = permuted(insert.getMixedSizes());
      Value init = tensor::EmptyOp::create(rewriter, loc, sizes, element);
      Value part = linalg::TransposeOp::create(rewriter, loc, insert.getSource(), init, permutation)
                       ->getResult(0);
      result = tensor::InsertSliceOp::create(rewriter, insert.getLoc(), part, result,
                                             permuted(insert.getMixedOffsets()), sizes,
                                             permuted(insert.getMixedStrides()));
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void sq::populateMoveTransposes(RewritePatternSet &patterns) {
  patterns.add<TransposeOfSlice, TransposeOfInserts>(patterns.getContext());
}
