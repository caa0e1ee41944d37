//===-- SplitDenseAndSparse.cpp - a product by codes and a sparse one
//----------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_SPLITDENSEANDSPARSEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

// dense_and_sparse_matmul(x, codes, table, sparse)  ==>  lut_matmul(x, codes,
// table) + csr_matmul(x, sparse)
struct Split : OpRewritePattern<sq::DenseAndSparseMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(sq::DenseAndSparseMatmulOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getOuts().getType();
    if (!isa<RankedTensorType>(type))
      return rewriter.notifyMatchFailure(op, "is bufferized already");
    Value dense =
        sq::LutMatmulOp::create(rewriter, op.getLoc(), type, op.getX(),
                                op.getCodes(), op.getTable(), op.getOuts())
            .getResult()
            .front();
    auto csr = op.getSparse().getDefiningOp<sq::CsrOp>();
    if (csr &&
        cast<ShapedType>(csr.getColumns().getType()).getDimSize(0) == 0) {
      rewriter.replaceOp(op, dense);
      return success();
    }
    Value sparse =
        sq::CsrMatmulOp::create(rewriter, op.getLoc(), type, op.getX(),
                                op.getSparse(), op.getOuts())
            .getResult()
            .front();
    rewriter.replaceOpWithNewOp<linalg::AddOp>(
        op, type, ValueRange{dense, sparse}, ValueRange(op.getOuts()));
    return success();
  }
};

struct SplitDenseAndSparsePass
    : sq::impl::SplitDenseAndSparsePassBase<SplitDenseAndSparsePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Split>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
