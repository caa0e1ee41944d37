//===-- RaiseAttention.cpp - find scaled dot-product attention ----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// The single op of an elementwise linalg.generic's body, or null.
Operation *bodyOp(linalg::GenericOp op) {
  if (!op || op.getNumDpsInits() != 1 || op.getNumReductionLoops() || !op->getNumResults() ||
      !op.getIndexingMapsArray().back().isIdentity())
    return nullptr;
  Block *body = op.getBody();
  Operation *only = nullptr;
  for (Operation &inner : body->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (only)
      return nullptr;
    only = &inner;
  }
  return only && only->getNumResults() == 1 && body->getTerminator()->getOperand(0) == only->getResult(0)
             ? only
             : nullptr;
}

/// `v = source * factor` with a constant factor.
std::optional<std::pair<Value, double>> matchScaled(Value v) {
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  Operation *op = bodyOp(generic);
  if (!op || generic.getNumDpsInputs() != 1 || !generic.getIndexingMapsArray()[0].isIdentity() ||
      !isa<arith::MulFOp, arith::DivFOp>(op))
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    FloatAttr factor;
    if (op->getOperand(i) != generic.getBody()->getArgument(0) ||
        !matchPattern(op->getOperand(1 - i), m_Constant(&factor)))
      continue;
    double c = factor.getValueAsDouble();
    if (isa<arith::MulFOp>(op))
      return std::pair(generic.getDpsInputs()[0], c);
    if (i == 0 && c != 0)
      return std::pair(generic.getDpsInputs()[0], 1.0 / c);
  }
  return std::nullopt;
}

/// What lies below transpositions and constant factors.
struct Peeled {
  Value source;
  SmallVector<int64_t> permutation; // dim i of the value is dim permutation[i] of source
  double scale = 1.0;
};

Peeled peel(Value v) {
  Peeled p{v, {0, 1, 2, 3}, 1.0};
  while (true) {
    if (auto scaled = matchScaled(p.source)) {
      p.source = scaled->first;
      p.scale *= scaled->second;
      continue;
    }
    auto transpose = p.source.getDefiningOp<linalg::TransposeOp>();
    if (!transpose)
      return p;
    for (int64_t &d : p.permutation)
      d = transpose.getPermutation()[d];
    p.source = transpose.getInput();
  }
}

struct RaiseAttention : OpRewritePattern<sq::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The additive operand of rank 4 behind `operand` of `op`; dims that are
  /// broadcast have extent 1.
  static Value maskOf(linalg::GenericOp op, unsigned operand, PatternRewriter &rewriter) {
    Value mask = op.getDpsInputs()[operand];
    auto type = dyn_cast<RankedTensorType>(mask.getType());
    AffineMap map = op.getIndexingMapsArray()[operand];
    if (!type || !type.getElementType().isF32() || map.getNumDims() != 4)
      return nullptr;
    int64_t missing = 4 - type.getRank();
    for (auto [i, e] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(e);
      bool broadcast = isa<AffineConstantExpr>(e) && type.getDimSize(i) == 1;
      if (!broadcast && !(dim && dim.getPosition() == i + missing))
        return nullptr;
    }
    if (missing < 0 || type.getRank() < 1 || isa<AffineConstantExpr>(map.getResults().back()))
      return nullptr;
    if (!missing)
      return mask;
    SmallVector<int64_t> shape(missing, 1);
    shape.append(type.getShape().begin(), type.getShape().end());
    SmallVector<ReassociationIndices> groups(type.getRank());
    for (int64_t d = 0; d < 4; ++d)
      groups[std::max<int64_t>(d - missing, 0)].push_back(d);
    SmallVector<OpFoldResult> sizes(missing, rewriter.getIndexAttr(1));
    llvm::append_range(sizes, tensor::getMixedSizes(rewriter, op.getLoc(), mask));
    return tensor::ExpandShapeOp::create(rewriter, op.getLoc(),
                                         RankedTensorType::get(shape, type.getElementType()), mask,
                                         groups, sizes);
  }

  LogicalResult matchAndRewrite(sq::MatmulOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getOuts().getType());
    if (!type || type.getRank() != 4 || !type.getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "not an f32 product of rank 4");
    auto softmax = op.getA().getDefiningOp<sq::SoftmaxOp>();
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "the left operand is no softmax");
    // Scores: scale and mask in any order, the mask at most once.
    double scale = 1.0;
    Value scores = softmax.getX();
    linalg::GenericOp masked;
    unsigned maskOperand = 0;
    double maskScale = 1.0;
    sq::MatmulOp product;
    while (!(product = scores.getDefiningOp<sq::MatmulOp>())) {
      if (auto scaled = matchScaled(scores)) {
        scores = scaled->first;
        scale *= scaled->second;
        if (!masked)
          maskScale *= scaled->second;
        continue;
      }
      auto generic = scores.getDefiningOp<linalg::GenericOp>();
      Operation *add = bodyOp(generic);
      if (!add || masked || !isa<arith::AddFOp>(add) || generic.getNumDpsInputs() != 2)
        return rewriter.notifyMatchFailure(op, "the scores are no product, scaled and masked");
      Value left = add->getOperand(0), right = add->getOperand(1);
      auto isInput = [&](Value v) {
        return v == generic.getBody()->getArgument(0) || v == generic.getBody()->getArgument(1);
      };
      if (left == right || !isInput(left) || !isInput(right))
        return rewriter.notifyMatchFailure(op, "the addition is not that of its two inputs");
      unsigned score = 2;
      for (unsigned i : {0u, 1u}) {
        Value in = generic.getDpsInputs()[i];
        if (generic.getIndexingMapsArray()[i].isIdentity() &&
            (in.getDefiningOp<sq::MatmulOp>() || matchScaled(in)))
          score = i;
      }
      if (score == 2)
        return rewriter.notifyMatchFailure(op, "no operand of the mask's addition is the scores");
      masked = generic;
      maskOperand = 1 - score;
      scores = generic.getDpsInputs()[score];
    }
    if (masked && maskScale != 1.0)
      return rewriter.notifyMatchFailure(op, "the mask is scaled with the scores");
    Peeled q = peel(product.getA()), k = peel(product.getB()), v = peel(op.getB());
    SmallVector<int64_t> heads = {0, 2, 1, 3}, keys = {0, 2, 3, 1};
    if (q.permutation != heads || k.permutation != keys || v.permutation != heads || v.scale != 1.0)
      return rewriter.notifyMatchFailure(op, "q, k, v are not [b, s, h, d] transposed");
    // sq.matmul broadcasts leading dims of extent 1, sq.attention does not.
    for (Value source : {q.source, k.source, v.source}) {
      auto shape = cast<RankedTensorType>(source.getType()).getShape();
      if ((shape[0] == 1 && type.getDimSize(0) != 1) || (shape[2] == 1 && type.getDimSize(1) != 1))
        return rewriter.notifyMatchFailure(op, "q, k or v is broadcast along batch or heads");
    }
    auto empty = op.getOuts().getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return rewriter.notifyMatchFailure(op, "the result has no tensor.empty to take its sizes from");
    Value mask;
    if (masked && !(mask = maskOf(masked, maskOperand, rewriter)))
      return rewriter.notifyMatchFailure(op, "the mask does not broadcast to [b, h, s, t]");

    SmallVector<OpFoldResult> sizes = empty.getMixedSizes();
    std::swap(sizes[1], sizes[2]);
    Location loc = rewriter.getFusedLoc({product.getLoc(), softmax.getLoc(), op.getLoc()});
    Value init = tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
    auto attention = sq::AttentionOp::create(
        rewriter, loc, init.getType(), q.source, k.source, v.source, mask, init,
        rewriter.getF32FloatAttr(static_cast<float>(scale * q.scale * k.scale)),
        /*causal=*/UnitAttr());
    rewriter.replaceOpWithNewOp<linalg::TransposeOp>(op, attention.getResult().front(), empty, heads);
    return success();
  }
};

struct RaiseAttentionPass : sq::impl::RaiseAttentionPassBase<RaiseAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseAttention>(&getContext());
    linalg::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
