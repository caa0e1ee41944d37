#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "passes/Borders.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
/// A fused body is copied whenever one more op joins it, so that long chains would take quadratic
/// time. No layer has as many; what lies between two parts of a chain costs one pass over memory.
constexpr size_t kLargestBody = 256;

struct FuseElementwisePass : sq::impl::FuseElementwisePassBase<FuseElementwisePass> {
  /// Checks of indices in loops of their own: an op with a check is never dead, so
  /// it would be left behind by fusion, and its check, fused as well, would keep
  /// the loop around it from being vectorised.
  void splitChecks(linalg::GenericOp op) {
    auto isHarmless = [](Operation &inner) {
      // What runs before the check has failed must not trap.
      return isa<cf::AssertOp, linalg::YieldOp>(inner) || (isPure(&inner) && isa<arith::ArithDialect>(inner.getDialect()));
    };
    auto checks = op.getBody()->getOps<cf::AssertOp>();
    if (checks.empty() || op->use_empty() || !llvm::all_of(*op.getBody(), isHarmless))
      return;
    OpBuilder(op).clone(*op);
    for (cf::AssertOp check : llvm::make_early_inc_range(checks))
      check.erase();
  }

  /// One division of integers a row, or a count of bits, which fusion would make one an
  /// element: they cost more than all that an element needs, and have no vector form.
  static bool isWorkOfRow(Operation *producer, OpOperand &fused) {
    auto rows = dyn_cast<linalg::GenericOp>(producer);
    auto consumer = dyn_cast<linalg::GenericOp>(fused.getOwner());
    return rows && consumer && rows.getNumLoops() < consumer.getNumLoops() &&
           llvm::any_of(*rows.getBody(), [](Operation &op) { return isa<arith::DivUIOp, arith::DivSIOp, math::CountLeadingZerosOp>(op); });
  }

  void runOnOperation() override {
    getOperation().walk([&](linalg::GenericOp op) { splitChecks(op); });
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, [](OpOperand *fused) {
      Operation *producer = fused->get().getDefiningOp();
      if (!producer || !producer->hasOneUse() || isWorkOfRow(producer, *fused))
        return false;
      // What turns integers into floats, or back, is a kernel that can be told from integer ones.
      if (producer->hasAttr(sq::kBorder) || fused->getOwner()->hasAttr(sq::kBorder))
        return false;
      size_t size = 0;
      for (Operation *op : {producer, fused->getOwner()})
        if (auto generic = dyn_cast<linalg::GenericOp>(op))
          size += generic.getBody()->getOperations().size();
      return size <= kLargestBody;
    });
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
