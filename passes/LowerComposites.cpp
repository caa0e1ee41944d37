//===-- LowerComposites.cpp - composites without a kernel of their own --------===//
//
// Raising gives every spelling one op, whether or not a kernel exists for it.
// What none exists for becomes linalg here, before fusion: an activation then
// joins the epilogue of the product before it.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/LowerDoubles.h"
#include "passes/Passes.h"
#include "passes/Pointwise.h"

namespace sq {
#define GEN_PASS_DEF_LOWERCOMPOSITESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using sq::Input;
using sq::like;
using sq::pointwise;

namespace {

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// The float arithmetic of a body, in one type.
struct Floats {
  ImplicitLocOpBuilder &b;
  Type type;

  Value number(double x) {
    return arith::ConstantOp::create(b, b.getFloatAttr(type, x));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
};

Value convert(ImplicitLocOpBuilder &b, Value v, Type to) {
  auto from = cast<FloatType>(v.getType());
  if (from == to)
    return v;
  if (from.getWidth() < cast<FloatType>(to).getWidth())
    return arith::ExtFOp::create(b, to, v);
  return arith::TruncFOp::create(b, to, v);
}

/// `pointwise` with floats, computed in f32 at least and rounded once.
Value pointwiseFloat(ImplicitLocOpBuilder &b, ArrayRef<Input> inputs, Value init,
                     function_ref<Value(Floats &, ValueRange)> body) {
  Type element = getElementTypeOrSelf(init.getType());
  Type type = element.isF64() ? element : Type(b.getF32Type());
  return pointwise(b, inputs, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    SmallVector<Value> wide;
    for (Value arg : args)
      wide.push_back(convert(ib, arg, type));
    Floats f{ib, type};
    return convert(ib, body(f, wide), element);
  });
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// How wrong --sq-lower-math makes a GELU that is allowed approximate functions.
constexpr float kApproximateGeluError = 8e-5f;

void lower(sq::GeluOp op, RewriterBase &rewriter) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  bool isRough = op.getTolerance() && op.getTolerance()->convertToFloat() >= kApproximateGeluError;
  auto flags = isRough ? arith::FastMathFlags::afn : arith::FastMathFlags::none;
  Value y = pointwiseFloat(b, like(b, op.getX()), op.getOuts(), [&](Floats &f, ValueRange args) {
    Value x = args[0], inner;
    if (op.getTanh()) {
      Value cube = f.mul(f.mul(x, x), x);
      inner = f.mul(f.number(0.79788456080286535588), f.add(x, f.mul(f.number(0.044715), cube)));
      inner = math::TanhOp::create(f.b, inner, flags);
    } else {
      inner = math::ErfOp::create(f.b, f.mul(x, f.number(0.70710678118654752440)), flags);
    }
    return f.mul(f.mul(x, f.number(0.5)), f.add(inner, f.number(1)));
  });
  rewriter.replaceOp(op, y);
}

void lower(sq::SiluOp op, RewriterBase &rewriter) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  SmallVector<Input> inputs = {like(b, op.getX())};
  if (op.getUp())
    inputs.push_back(like(b, op.getUp()));
  double alpha = op.getAlpha().convertToFloat();
  Value y = pointwiseFloat(b, inputs, op.getOuts(), [&](Floats &f, ValueRange args) {
    Value x = alpha == 1 ? args[0] : f.mul(f.number(alpha), args[0]);
    Value e = math::ExpOp::create(f.b, arith::NegFOp::create(f.b, x));
    Value silu = arith::DivFOp::create(f.b, args[0], f.add(f.number(1), e));
    return args.size() == 2 ? f.mul(silu, args[1]) : silu;
  });
  rewriter.replaceOp(op, y);
}

//===----------------------------------------------------------------------===//
// Embeddings
//===----------------------------------------------------------------------===//

void lower(sq::EmbeddingOp op, RewriterBase &rewriter) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  auto type = cast<RankedTensorType>(op.getOuts().getType());
  int64_t rank = type.getRank();
  SmallVector<Input> inputs;
  for (Value index : op.getIndices()) {
    auto from = cast<RankedTensorType>(index.getType());
    SmallVector<AffineExpr> at;
    for (int64_t d = 0; d < from.getRank(); ++d)
      at.push_back(from.getDimSize(d) == 1 ? b.getAffineConstantExpr(0)
                                           : b.getAffineDimExpr(rank - 1 - from.getRank() + d));
    inputs.push_back({index, AffineMap::get(rank, 0, at, b.getContext())});
  }
  Type element = type.getElementType();
  Type sumType = element.isF64() ? element : Type(b.getF32Type());
  Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Value column = linalg::IndexOp::create(ib, rank - 1), sum;
    auto scales = op.getScales().begin();
    for (auto [index, table] : llvm::zip(args, op.getTables())) {
      Value row = arith::IndexCastOp::create(ib, ib.getIndexType(), index);
      Value term = tensor::ExtractOp::create(ib, table, ValueRange{row, column});
      if (isa<IntegerType>(term.getType())) {
        Value scale = convert(ib, tensor::ExtractOp::create(ib, *scales++, row), sumType);
        term = arith::MulFOp::create(ib, arith::SIToFPOp::create(ib, sumType, term), scale);
      }
      term = convert(ib, term, sumType);
      sum = sum ? arith::AddFOp::create(ib, sum, term).getResult() : term;
    }
    return convert(ib, sum, element);
  });
  rewriter.replaceOp(op, y);
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// Each half of the pairs is one loop over [b, s, h, d/2] that reads both
/// halves of `x` in place, and is then put into the result.
void lower(sq::RotaryEmbeddingOp op, RewriterBase &rewriter) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, op.getLoc(), op.getOuts());
  auto type = cast<RankedTensorType>(op.getOuts().getType());
  auto angles = cast<RankedTensorType>(op.getCos().getType());
  int64_t size = type.getDimSize(3), half = size / 2;
  bool perElement = angles.getDimSize(2) == size;

  SmallVector<AffineExpr> d = llvm::map_to_vector(
      llvm::seq<unsigned>(4), [&](unsigned i) { return b.getAffineDimExpr(i); });
  AffineExpr batch = angles.getDimSize(0) == 1 ? b.getAffineConstantExpr(0) : d[0];
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(4, 0, results, b.getContext());
  };

  SmallVector<OpFoldResult> halfSizes = sizes;
  halfSizes[3] = b.getIndexAttr(half);
  SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
  if (op.getInterleaved())
    strides[3] = b.getIndexAttr(2);
  Value result = op.getOuts();
  for (bool second : {false, true}) {
    // Slices rather than offsets in the maps: a map with an offset is no
    // projected permutation, and fusion takes those only.
    SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
    auto sliceAt = [&](bool other) {
      offsets[3] = b.getIndexAttr(other ? (op.getInterleaved() ? 1 : half) : 0);
      return tensor::ExtractSliceOp::create(b, op.getX(), offsets, halfSizes, strides);
    };
    Value own = sliceAt(second), other = sliceAt(!second);
    AffineMap angle = map({batch, d[1], d[3]});
    auto angleOf = [&](Value all) -> Value {
      if (!perElement)
        return all;
      SmallVector<OpFoldResult> from(3, b.getIndexAttr(0)), to = tensor::getMixedSizes(b, op.getLoc(), all), by(3, b.getIndexAttr(1));
      from[2] = b.getIndexAttr(second ? (op.getInterleaved() ? 1 : half) : 0);
      to[2] = b.getIndexAttr(half);
      by[2] = strides[3];
      return tensor::ExtractSliceOp::create(b, all, from, to, by);
    };
    Value init = tensor::EmptyOp::create(b, halfSizes, type.getElementType());
    Value turned = pointwiseFloat(
        b, {like(b, own), like(b, other), {angleOf(op.getCos()), angle}, {angleOf(op.getSin()), angle}}, init,
        [&](Floats &f, ValueRange args) {
          Value x = f.mul(args[0], args[2]), y = f.mul(args[1], args[3]);
          return second ? f.add(x, y) : f.sub(x, y);
        });
    offsets[3] = b.getIndexAttr(second ? (op.getInterleaved() ? 1 : half) : 0);
    result = tensor::InsertSliceOp::create(b, turned, result, offsets, halfSizes, strides);
  }
  rewriter.replaceOp(op, result);
}

bool isReadByLinearOnly(Value v) {
  return llvm::all_of(v.getUsers(), [&](Operation *user) {
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user))
      return isReadByLinearOnly(user->getResult(0));
    auto linear = dyn_cast<sq::LinearOp>(user);
    return isa<tensor::DimOp>(user) || (linear && linear.getX() == v && linear.getOuts() != v);
  });
}

struct LowerCompositesPass : sq::impl::LowerCompositesPassBase<LowerCompositesPass> {
  using LowerCompositesPassBase::LowerCompositesPassBase;

  /// A hundredth of the power of rounding by steps of 2^-8, those of bf16 between 1 and 2, is more than a GELU may be wrong.
  static constexpr double kBf16Tolerance = 0x1p-8 * 0.0408; // sqrt(2 / 100 / 12)

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    // First, as there is a softmax in what becomes of it.
    getOperation().walk([&](sq::AttentionOp op) {
      rewriter.setInsertionPoint(op);
      sq::lowerDouble(op, rewriter);
    });
    getOperation().walk([&](Operation *op) {
      rewriter.setInsertionPoint(op);
      if (sq::lowerDouble(op, rewriter))
        return;
      if (auto gelu = dyn_cast<sq::GeluOp>(op)) {
        if (bf16 && !gelu.getTolerance() && isReadByLinearOnly(gelu->getResult(0)))
          gelu.setToleranceAttr(rewriter.getF32FloatAttr(kBf16Tolerance));
        lower(gelu, rewriter);
      } else if (auto silu = dyn_cast<sq::SiluOp>(op))
        lower(silu, rewriter);
      else if (auto embedding = dyn_cast<sq::EmbeddingOp>(op))
        lower(embedding, rewriter);
      else if (auto rotary = dyn_cast<sq::RotaryEmbeddingOp>(op))
        lower(rotary, rewriter);
    });
    // Sizes that were read from values, traced to the arguments while what made
    // the values still says so: buffers do not.
    RewritePatternSet patterns(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    tensor::DimOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
