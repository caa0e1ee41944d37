#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "codegen/common/VectorIntegers.h"
#include "codegen/common/VectorMath.h"
#include "codegen/common/DoubleMath.h"
#include "codegen/common/Passes.h"

namespace sq {
#define GEN_PASS_DEF_LOWERMATHPASS
#include "codegen/common/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// arith.truncf f32 -> bf16, round to nearest even. Upstream's pattern ends in a
/// select between bf16 values, for which LLVM calls __truncsfbf2 below AVX-512
/// BF16; libgcc 12 has no such function. Here the selects come
/// before the addition, so that none can become one of bf16.
struct TruncateToBf16 : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncFOp op, PatternRewriter &rewriter) const override {
    Value x = op.getIn();
    if (!getElementTypeOrSelf(x).isF32() || !getElementTypeOrSelf(op.getType()).isBF16())
      return rewriter.notifyMatchFailure(op, "not from f32 to bf16");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto like = [&](Type type, Type element) -> Type {
      auto shaped = dyn_cast<ShapedType>(type);
      return shaped ? Type(shaped.clone(element)) : element;
    };
    Type wide = like(x.getType(), b.getI32Type()), narrow = like(x.getType(), b.getI16Type());
    auto constant = [&](int64_t value) -> Value {
      TypedAttr attr = b.getI32IntegerAttr(value);
      if (auto shaped = dyn_cast<ShapedType>(wide))
        attr = DenseElementsAttr::get(shaped, cast<Attribute>(attr));
      return arith::ConstantOp::create(b, attr);
    };
    Value bits = arith::BitcastOp::create(b, wide, x), half = constant(16);
    Value odd = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, half), constant(1));
    Value carry = arith::AddIOp::create(b, odd, constant(0x7fff));
    // A NaN is not rounded (it could become infinity) but made quiet.
    Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
    Value quiet = arith::OrIOp::create(b, bits, constant(0x400000));
    Value result = arith::AddIOp::create(b, arith::SelectOp::create(b, nan, quiet, bits),
                                         arith::SelectOp::create(b, nan, constant(0), carry));
    result = arith::TruncIOp::create(b, narrow, arith::ShRUIOp::create(b, result, half));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), result);
    return success();
  }
};

/// arith.extf bf16 -> f64 by way of f32: all conversions of one value by its bits, or
/// LLVM holds it as f32 and rounds it back for the others, with __truncsfbf2.
struct ExtendBf16ToF64 : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    Type from = op.getIn().getType();
    if (!getElementTypeOrSelf(from).isBF16() || !getElementTypeOrSelf(op.getType()).isF64())
      return rewriter.notifyMatchFailure(op, "not from bf16 to f64");
    auto shaped = dyn_cast<ShapedType>(from);
    Type f32 = rewriter.getF32Type();
    Value single = arith::ExtFOp::create(rewriter, op.getLoc(), shaped ? Type(shaped.clone(f32)) : f32,
                                         op.getIn());
    rewriter.replaceOpWithNewOp<arith::ExtFOp>(op, op.getType(), single);
    return success();
  }
};

struct LowerMathPass : sq::impl::LowerMathPassBase<LowerMathPass> {
  using LowerMathPassBase::LowerMathPassBase;
  void runOnOperation() override {
    // Apart, since the second set rewrites what the first looks for.
    RewritePatternSet activations(&getContext());
    sq::populateVectorActivationPatterns(activations);
    if (failed(applyPatternsGreedily(getOperation(), std::move(activations))))
      return signalPassFailure();

    RewritePatternSet patterns(&getContext());
    sq::populateVectorMathPatterns(patterns);
    sq::populateVectorIntegerPatterns(patterns);
    // The rest: MLIR's approximations, then what has neither an approximation
    // nor a name in libm for f32. (roundeven is an instruction on every level.)
    populateMathPolynomialApproximationPatterns(patterns, MathPolynomialApproximationOptions());
    math::populateExpansionPatterns(patterns,
                                    {"rsqrt", "sinh", "cosh", "asinh", "acosh", "atanh"});
    // x86-64 has no conversion to bf16 below AVX-512 BF16.
    if (!libm)
      sq::populateDoubleMathPatterns(patterns);
    if (bf16) {
      patterns.add<TruncateToBf16, ExtendBf16ToF64>(&getContext(), /*benefit=*/2);
      arith::populateExpandBFloat16Patterns(patterns);
    }
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
