/// `--sq-raise-onnx`: exporters spell a norm or an activation as a dozen
/// primitives, in many orders, and onnxruntime's optimizer writes operators of
/// its own. Each becomes the one op of the newest opset, so that everything
/// after this pass knows one form only. The patterns are in passes/raise_onnx.

#include "passes/Passes.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "passes/raise_onnx/Match.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace sq {
#define GEN_PASS_DEF_RAISEONNXPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
/// Identity(x) ==> x
/// TorchScript writes one for each further use of an equal weight; the patterns
/// look for constants.
struct DropIdentity : RewritePattern {
  DropIdentity(MLIRContext *context) : RewritePattern("onnx.Identity", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (op->getNumOperands() != 1 || op->getNumResults() != 1 ||
        op->getOperand(0).getType() != op->getResult(0).getType())
      return rewriter.notifyMatchFailure(op, "types differ");
    rewriter.replaceOp(op, op->getOperands());
    return success();
  }
};

struct RaiseOnnxPass : sq::impl::RaiseOnnxPassBase<RaiseOnnxPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DropIdentity>(&getContext());
    sq::populateRaiseActivations(patterns);
    sq::populateRaiseMicrosoft(patterns);
    sq::populateRaiseNorms(patterns);
    sq::populateRaiseQuantizedConstants(patterns);
    sq::populateRaiseSequences(patterns);
    // The constants of an onnx module are onnx.Constant; region simplification
    // and constant hoisting have nothing to do here.
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
