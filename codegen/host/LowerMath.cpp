#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "codegen/host/Passes.h"

namespace sq {
#define GEN_PASS_DEF_LOWERMATHPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct LowerMathPass : sq::impl::LowerMathPassBase<LowerMathPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, MathPolynomialApproximationOptions());
    // What has neither an approximation nor a name in libm for f32.
    math::populateExpansionPatterns(patterns, {"ctlz", "rsqrt", "sinh", "cosh", "asinh", "acosh", "atanh",
                                               "roundeven"});
    // x86-64 has no conversion to bf16 below AVX-512 BF16, and libgcc 12 no function for it.
    arith::populateExpandBFloat16Patterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
