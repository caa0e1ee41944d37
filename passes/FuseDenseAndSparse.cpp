//===-- FuseDenseAndSparse.cpp - both products in one pass over the rows
//--------===//
//
// Apart, the sparse product reads x and the result once more, and has so little
// to do that starting it is most of its time (specs/dense-and-sparse.md,
// section 6.4).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_FUSEDENSEANDSPARSEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// Nothing but the elementwise sum of two tensors of one shape.
bool isSum(linalg::LinalgOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }))
    return false;
  Block *body = op.getBlock();
  auto add =
      body->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  Value a = body->getArgument(0), b = body->getArgument(1);
  return add && ((add.getLhs() == a && add.getRhs() == b) ||
                 (add.getLhs() == b && add.getRhs() == a));
}

// add(lut_matmul(x, codes, table), csr_matmul(x, sparse))  ==>
// dense_and_sparse_matmul(x, codes, table, sparse)
struct Fuse : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || !isSum(op))
      return rewriter.notifyMatchFailure(op, "is not the sum of two tensors");
    sq::LutMatmulOp dense;
    sq::CsrMatmulOp sparse;
    for (OpOperand *in : op.getDpsInputOperands()) {
      if (auto o = in->get().getDefiningOp<sq::LutMatmulOp>())
        dense = o;
      else
        sparse = in->get().getDefiningOp<sq::CsrMatmulOp>();
    }
    if (!dense || !sparse)
      return rewriter.notifyMatchFailure(
          op, "does not add a product by codes and a sparse one");
    if (dense.getX() != sparse.getX())
      return rewriter.notifyMatchFailure(
          op, "the products are of different inputs");
    if (!dense->hasOneUse() || !sparse->hasOneUse())
      return rewriter.notifyMatchFailure(op, "a product has another user");
    rewriter.replaceOpWithNewOp<sq::DenseAndSparseMatmulOp>(
        op, op->getResultTypes(), dense.getX(), dense.getCodes(),
        dense.getTable(), sparse.getWeight(), op.getDpsInits().front());
    rewriter.eraseOp(dense);
    rewriter.eraseOp(sparse);
    return success();
  }
};

struct FuseDenseAndSparsePass
    : sq::impl::FuseDenseAndSparsePassBase<FuseDenseAndSparsePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Fuse>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
