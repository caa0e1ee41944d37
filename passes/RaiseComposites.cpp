//===-- RaiseComposites.cpp - composites that only shapes reveal --------------===//
//
// What `--sq-raise-onnx` cannot see, as exporters compute it from shapes: which
// slices are halves, which operands are broadcast. After lowering these are
// static. Attention comes after this pass: it looks through what moves out of
// its way here.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"
#include "passes/analysis/Elementwise.h"

namespace sq {
#define GEN_PASS_DEF_RAISECOMPOSITESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

void report(Location loc, StringRef name, const char *text) {
  remark::passed(loc, remark::RemarkOpts::name(name).category("sq-raise-composites"))
      << remark::add(text);
}

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

/// linear(x, w) + b  ==>  linear(x, w, b), b a vector over the last dim
struct RaiseBias : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1 || !sq::definedByBinary<arith::AddFOp>(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "not a sum of two tensors");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    for (unsigned i : {0u, 1u}) {
      auto linear = op.getDpsInputs()[i].getDefiningOp<sq::LinearOp>();
      Value bias = op.getDpsInputs()[1 - i];
      unsigned rank = maps[i].getNumDims();
      if (!linear || linear.getBias() || !linear->hasOneUse() || !maps[i].isIdentity() ||
          maps[1 - i] != AffineMap::get(rank, 0, rewriter.getAffineDimExpr(rank - 1)))
        continue;
      if (linear.getOuts().getType() != op->getResult(0).getType())
        return rewriter.notifyMatchFailure(op, "the sum has another type than the product");
      auto fused = sq::LinearOp::create(rewriter, rewriter.getFusedLoc({linear.getLoc(), op.getLoc()}),
                                        op->getResultTypes(), linear.getX(), linear.getWeight(),
                                        bias, linear.getOuts(), linear.getTransposeWeightAttr());
      rewriter.replaceOp(op, fused);
      rewriter.eraseOp(linear);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no linear layer and vector");
  }
};

/// silu(x) * up  ==>  silu(x, up)
struct RaiseSwiGlu : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1 || !sq::definedByBinary<arith::MulFOp>(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "not a product of two tensors");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    for (unsigned i : {0u, 1u}) {
      auto silu = op.getDpsInputs()[i].getDefiningOp<sq::SiluOp>();
      Value up = op.getDpsInputs()[1 - i];
      if (!silu || silu.getUp() || !silu->hasOneUse() || !maps[0].isIdentity() || !maps[1].isIdentity() ||
          up.getType() != silu.getOuts().getType() || op->getResult(0).getType() != up.getType())
        continue;
      // `up` may be computed after silu.
      auto fused = sq::SiluOp::create(rewriter, rewriter.getFusedLoc({silu.getLoc(), op.getLoc()}),
                                      op->getResultTypes(), silu.getX(), up, silu.getOuts(),
                                      silu.getAlpha());
      report(fused.getLoc(), "swiglu", "a gate became sq.silu with its factor");
      rewriter.replaceOp(op, fused);
      rewriter.eraseOp(silu);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no activation and tensor of one shape");
  }
};

/// embedding(i, t) + embedding(j, u)  ==>  embedding(i, j, t, u)
struct RaiseEmbeddingSum : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1 || !sq::definedByBinary<arith::AddFOp>(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "not a sum of two tensors");
    RankedTensorType type = typeOf(op->getResult(0));
    SmallVector<Value> indices, tables, scales;
    sq::EmbeddingOp parts[2];
    for (unsigned i : {0u, 1u}) {
      Value in = op.getDpsInputs()[i];
      parts[i] = in.getDefiningOp<sq::EmbeddingOp>();
      if (!parts[i] || !parts[i]->hasOneUse() || typeOf(in).getElementType() != type.getElementType())
        return rewriter.notifyMatchFailure(op, "an operand is no embedding that only this sum uses");
      // Aligned at the last dim, as indices are; a dim that stands still is one of 1,
      // and so is that of the indices, or they have none.
      int64_t missing = type.getRank() - typeOf(in).getRank();
      for (auto [d, e] : llvm::enumerate(op.getIndexingMapsArray()[i].getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(e);
        if (!(dim && dim.getPosition() == d + missing) &&
            !(isa<AffineConstantExpr>(e) && typeOf(in).getDimSize(d) == 1))
          return rewriter.notifyMatchFailure(op, "an operand is permuted");
      }
      llvm::append_range(indices, parts[i].getIndices());
      llvm::append_range(tables, parts[i].getTables());
      llvm::append_range(scales, parts[i].getScales());
    }
    for (Value index : indices)
      for (auto [d, size] : llvm::enumerate(llvm::reverse(typeOf(index).getShape())))
        if (size != 1 && size != type.getDimSize(type.getRank() - 2 - d))
          return rewriter.notifyMatchFailure(op, "indices are not of the sum's static sizes");
    Location loc = rewriter.getFusedLoc({parts[0].getLoc(), parts[1].getLoc(), op.getLoc()});
    auto sum = sq::EmbeddingOp::create(rewriter, loc, op->getResultTypes(), indices, tables, scales,
                                       op.getOutputs()[0]);
    report(loc, "embedding", "a sum of embeddings became one");
    rewriter.replaceOp(op, sum);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// The two halves along the last dim of four that were put together.
std::optional<std::pair<Value, Value>> matchHalves(Value v) {
  auto second = v.getDefiningOp<tensor::InsertSliceOp>();
  auto first = second ? second.getDest().getDefiningOp<tensor::InsertSliceOp>() : nullptr;
  if (!first || !first.getDest().getDefiningOp<tensor::EmptyOp>() || typeOf(v).getRank() != 4 ||
      typeOf(v).isDynamicDim(3))
    return std::nullopt;
  int64_t half = typeOf(v).getDimSize(3) / 2;
  for (tensor::InsertSliceOp op : {first, second}) {
    RankedTensorType part = op.getSourceType();
    if (part.getRank() != 4 || part.getDimSize(3) != half || half * 2 != typeOf(v).getDimSize(3))
      return std::nullopt;
    for (int d = 0; d < 4; ++d)
      if (!isConstantIntValue(op.getMixedStrides()[d], 1) ||
          !isConstantIntValue(op.getMixedOffsets()[d], d == 3 && op == second ? half : 0))
        return std::nullopt;
  }
  // Equal sizes of all but the last dim: what is not written would be left over.
  if (first.getMixedSizes() != second.getMixedSizes())
    return std::nullopt;
  SmallVector<OpFoldResult> whole = first.getDest().getDefiningOp<tensor::EmptyOp>().getMixedSizes();
  for (int d = 0; d < 3; ++d)
    if (!isEqualConstantIntOrValue(whole[d], first.getMixedSizes()[d]))
      return std::nullopt;
  return std::pair(first.getSource(), second.getSource());
}

/// The tensor of which `v` is this half along the last dim, or null.
Value matchHalfOf(Value v, bool isSecond) {
  auto slice = v.getDefiningOp<tensor::ExtractSliceOp>();
  if (!slice || slice.getSourceType().getRank() != 4 || slice.getType().getRank() != 4 ||
      slice.getSourceType().isDynamicDim(3))
    return nullptr;
  int64_t size = slice.getSourceType().getDimSize(3);
  if (slice.getType().getDimSize(3) * 2 != size)
    return nullptr;
  for (int d = 0; d < 4; ++d)
    if (!isConstantIntValue(slice.getMixedStrides()[d], 1) ||
        !isConstantIntValue(slice.getMixedOffsets()[d], d == 3 && isSecond ? size / 2 : 0))
      return nullptr;
  return slice.getSource();
}

/// A table of angles as a product reads it: [b, 1, s, a] at (d0, 0, d2, d3), say.
struct Angles {
  Value tensor;
  AffineMap map;
  bool operator==(const Angles &other) const { return tensor == other.tensor && map == other.map; }
};

/// `x * angles`: the x, which is read as it is.
std::optional<std::pair<Value, Angles>> matchTurned(Value v, llvm::function_ref<bool(Value)> isX) {
  linalg::GenericOp mul = sq::definedByBinary<arith::MulFOp>(v);
  if (!mul || typeOf(v).getRank() != 4)
    return std::nullopt;
  SmallVector<AffineMap> maps = mul.getIndexingMapsArray();
  for (unsigned i : {0u, 1u})
    if (maps[i].isIdentity() && isX(mul.getDpsInputs()[i]))
      return std::pair(mul.getDpsInputs()[i], Angles{mul.getDpsInputs()[1 - i], maps[1 - i]});
  return std::nullopt;
}

/// What was turned, and by which angles.
struct Rotation {
  Value x;
  Angles cos, sin;
};

/// x * cos + concat(-second(x), first(x)) * sin
std::optional<Rotation> matchRotatedHalf(Value v) {
  linalg::GenericOp sum = sq::definedByBinary<arith::AddFOp>(v);
  if (!sum || typeOf(v).getRank() != 4 || !sum.getIndexingMapsArray()[0].isIdentity() ||
      !sum.getIndexingMapsArray()[1].isIdentity())
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    Value x;
    auto turned = matchTurned(sum.getDpsInputs()[i], [&](Value half) {
      auto halves = matchHalves(half);
      if (!halves)
        return false;
      auto negated = halves->first.getDefiningOp<linalg::GenericOp>();
      if (!isa_and_nonnull<arith::NegFOp>(sq::singleBodyOp(negated)) ||
          !negated.getIndexingMapsArray()[0].isIdentity())
        return false;
      x = matchHalfOf(negated.getDpsInputs()[0], /*isSecond=*/true);
      return x && matchHalfOf(halves->second, /*isSecond=*/false) == x;
    });
    if (!turned)
      continue;
    auto straight = matchTurned(sum.getDpsInputs()[1 - i], [&](Value y) { return y == x; });
    if (straight)
      return Rotation{x, straight->second, turned->second};
  }
  return std::nullopt;
}

/// concat(first(x) * cos - second(x) * sin, second(x) * cos + first(x) * sin)
std::optional<Rotation> matchRotatedPairs(Value v) {
  auto halves = matchHalves(v);
  if (!halves)
    return std::nullopt;
  linalg::GenericOp difference = sq::definedByBinary<arith::SubFOp>(halves->first);
  linalg::GenericOp sum = sq::definedByBinary<arith::AddFOp>(halves->second);
  auto isPlain = [](linalg::GenericOp op) {
    return op && op.getIndexingMapsArray()[0].isIdentity() && op.getIndexingMapsArray()[1].isIdentity();
  };
  if (!isPlain(difference) || !isPlain(sum))
    return std::nullopt;
  auto sub = cast<arith::SubFOp>(sq::singleBodyOp(difference));
  Value minuend = difference.getDpsInputs()[*sq::inputRead(difference, sub.getLhs())];
  Value subtrahend = difference.getDpsInputs()[*sq::inputRead(difference, sub.getRhs())];
  Value x;
  auto isFirst = [&](Value half) {
    Value whole = matchHalfOf(half, false);
    x = x ? x : whole;
    return whole && whole == x;
  };
  auto isSecond = [&](Value half) {
    Value whole = matchHalfOf(half, true);
    return whole && whole == x;
  };
  auto a = matchTurned(minuend, isFirst);
  auto b = a ? matchTurned(subtrahend, isSecond) : std::nullopt;
  if (!b)
    return std::nullopt;
  Angles cos = a->second, sin = b->second;
  for (unsigned i : {0u, 1u}) {
    auto c = matchTurned(sum.getDpsInputs()[i], isSecond);
    auto d = matchTurned(sum.getDpsInputs()[1 - i], isFirst);
    if (c && d && c->second == cos && d->second == sin)
      return Rotation{x, cos, sin};
  }
  return std::nullopt;
}

/// The spellings above, for x [b, h, s, d] or [b, s, h, d]:
///   ==> transpose(rotary_embedding(transpose(x)))
struct RaiseRotary : RewritePattern {
  RaiseRotary(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<linalg::GenericOp, tensor::InsertSliceOp>(op) || op->getNumResults() != 1 ||
        !isa<RankedTensorType>(op->getResult(0).getType()))
      return failure();
    Value result = op->getResult(0);
    std::optional<Rotation> rotation =
        isa<linalg::GenericOp>(op) ? matchRotatedHalf(result) : matchRotatedPairs(result);
    if (!rotation)
      return rewriter.notifyMatchFailure(op, "no pairs that are turned");
    RankedTensorType type = typeOf(rotation->x);
    if (type != result.getType() || type.isDynamicDim(3))
      return rewriter.notifyMatchFailure(op, "result and input differ in type");

    // The dim that the angles do not depend on is that of the heads.
    Location loc = op->getLoc();
    std::optional<unsigned> heads = headsOf(rotation->cos);
    if (!heads)
      return rewriter.notifyMatchFailure(op, "the angles are not those of all heads");
    int64_t angles = typeOf(rotation->cos.tensor).getShape().back();
    if (typeOf(rotation->sin.tensor) != typeOf(rotation->cos.tensor) ||
        rotation->sin.map != rotation->cos.map)
      return rewriter.notifyMatchFailure(op, "cosines and sines differ in type");
    if (angles != type.getDimSize(3) && angles * 2 != type.getDimSize(3))
      return rewriter.notifyMatchFailure(op, "there are not as many angles as elements or pairs");
    Value cos = tableOf(rotation->cos, *heads, loc, rewriter);
    Value sin = tableOf(rotation->sin, *heads, loc, rewriter);

    SmallVector<int64_t> swap = {0, 2, 1, 3};
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, rotation->x), turned = sizes;
    Value x = rotation->x;
    if (*heads == 1) {
      std::swap(turned[1], turned[2]);
      Value init = tensor::EmptyOp::create(rewriter, loc, turned, type.getElementType());
      x = linalg::TransposeOp::create(rewriter, loc, x, init, swap)->getResult(0);
    }
    Value init = tensor::EmptyOp::create(rewriter, loc, turned, type.getElementType());
    Value y = sq::RotaryEmbeddingOp::create(rewriter, loc, TypeRange(init.getType()), x, cos, sin,
                                            init, /*interleaved=*/false)
                  .getResult()[0];
    if (*heads == 1) {
      Value back = tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
      y = linalg::TransposeOp::create(rewriter, loc, y, back, swap)->getResult(0);
    }
    report(loc, "rotary-embedding", "slices and products became sq.rotary_embedding");
    rewriter.replaceOp(op, y);
    return success();
  }

  /// 1 or 2: the dim of x that a table of rank up to 4 is the same for. Its last dim
  /// must follow that of x, its first that of the batch or be 1.
  static std::optional<unsigned> headsOf(const Angles &angles) {
    int64_t rank = typeOf(angles.tensor).getRank(), missing = 4 - rank;
    if (missing < 0 || missing > 2 || angles.map.getNumDims() != 4)
      return std::nullopt;
    bool follows[4] = {false, false, false, false};
    int64_t position = 0;
    SmallVector<unsigned> dims;
    for (auto [i, e] : llvm::enumerate(angles.map.getResults())) {
      if (auto dim = dyn_cast<AffineDimExpr>(e)) {
        if (static_cast<int64_t>(dim.getPosition()) < position)
          return std::nullopt;
        position = dim.getPosition() + 1;
        // (Aligned at the end; [b, s, a] read at (d0, d2, d3) is not what ONNX does.)
        if (dim.getPosition() != i + missing)
          return std::nullopt;
        follows[dim.getPosition()] = true;
      } else if (auto constant = dyn_cast<AffineConstantExpr>(e);
                 !constant || typeOf(angles.tensor).getDimSize(i) != 1) {
        return std::nullopt;
      }
    }
    if (!follows[3] || follows[1] == follows[2])
      return std::nullopt;
    return follows[1] ? 2 : 1;
  }

  /// The table as [b or 1, s, a].
  static Value tableOf(const Angles &angles, unsigned heads, Location loc, PatternRewriter &rewriter) {
    RankedTensorType type = typeOf(angles.tensor);
    if (type.getRank() == 4) {
      // The dim of 1 goes into its neighbour.
      SmallVector<ReassociationIndices> groups = {{0}, {1, 2}, {3}};
      return tensor::CollapseShapeOp::create(rewriter, loc, angles.tensor, groups);
    }
    // [1, s, a] read without a batch, or [s, 1, a] where heads come third.
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, angles.tensor);
    if (type.getRank() == 3 && heads == 1)
      return angles.tensor;
    Value flat = angles.tensor;
    if (type.getRank() == 3) {
      SmallVector<ReassociationIndices> groups = {{0, 1}, {2}};
      flat = tensor::CollapseShapeOp::create(rewriter, loc, flat, groups);
      sizes.erase(sizes.begin() + 1);
    }
    SmallVector<ReassociationIndices> groups = {{0, 1}, {2}};
    sizes.insert(sizes.begin(), rewriter.getIndexAttr(1));
    RankedTensorType flatType = typeOf(flat);
    auto expanded = RankedTensorType::get({1, flatType.getDimSize(0), flatType.getDimSize(1)},
                                          flatType.getElementType());
    return tensor::ExpandShapeOp::create(rewriter, loc, expanded, flat, groups, sizes);
  }
};

struct RaiseCompositesPass : sq::impl::RaiseCompositesPassBase<RaiseCompositesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseBias, RaiseEmbeddingSum, RaiseSwiGlu, RaiseRotary>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
