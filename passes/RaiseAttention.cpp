//===-- RaiseAttention.cpp - find scaled dot-product attention ----------------===//
//
// Works downwards from the second product: softmax, masks and factors in any
// order, the first product, and below q, k and v whatever only moves elements:
// transpositions, factors, heads repeated for grouped-query attention.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/MoveTransposes.h"
#include "passes/Passes.h"
#include "passes/UnflattenHeads.h"
#include "passes/analysis/CausalMask.h"
#include "passes/analysis/Elementwise.h"
#include "passes/analysis/MaskParts.h"
#include "passes/analysis/PeelHeads.h"

namespace sq {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

//===----------------------------------------------------------------------===//
// Between the products
//===----------------------------------------------------------------------===//

struct Scores {
  sq::MatmulOp product;
  double scale = 1.0;
  SmallVector<sq::MaskPart, 0> masks;
};

/// A hidden score of this size is 0 after softmax beside any score that is seen.
constexpr double hiddenByCausality = -1e4;
/// In f32 a score that this is added to is lost: a row of which nothing is seen
/// comes out the same, added or selected.
constexpr double hiddenAnyway = -1e9;

/// Whether `v` is a product under factors and masks.
bool isScores(Value v, int depth = 8) {
  if (v.getDefiningOp<sq::MatmulOp>())
    return true;
  if (depth == 0)
    return false;
  if (auto scaled = sq::matchScaled(v))
    return isScores(scaled->first, depth - 1);
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  Operation *op = sq::singleBodyOp(generic);
  if (!op || !isa<arith::AddFOp, arith::SelectOp>(op))
    return false;
  for (auto [in, map] : llvm::zip(generic.getDpsInputs(), generic.getIndexingMapsArray()))
    if (map.isIdentity() && isScores(in, depth - 1))
      return true;
  return false;
}

/// `x` of `x + 0`, as a mask that hides nothing becomes, or null.
Value matchPlusZero(Value v) {
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  auto sum = dyn_cast_or_null<arith::AddFOp>(sq::singleBodyOp(generic));
  if (!sum || generic.getNumDpsInputs() != 1 || !generic.getIndexingMapsArray()[0].isIdentity())
    return nullptr;
  bool isX = (matchPattern(sum.getRhs(), m_AnyZeroFloat()) && sq::inputRead(generic, sum.getLhs())) ||
             (matchPattern(sum.getLhs(), m_AnyZeroFloat()) && sq::inputRead(generic, sum.getRhs()));
  return isX ? generic.getDpsInputs()[0] : nullptr;
}

/// One step from the softmax towards the product; false when there is none.
bool peelScores(Value &value, Scores &scores) {
  if (Value x = matchPlusZero(value)) {
    value = x;
    return true;
  }
  if (auto scaled = sq::matchScaled(value)) {
    value = scaled->first;
    scores.scale *= scaled->second;
    return true;
  }
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  Operation *op = sq::singleBodyOp(generic);
  if (!op)
    return false;
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  auto leadsDown = [&](unsigned i) {
    return maps[i].isIdentity() && isScores(generic.getDpsInputs()[i]);
  };
  if (isa<arith::AddFOp>(op) && sq::definedByBinary<arith::AddFOp>(value)) {
    for (unsigned i : {0u, 1u})
      if (leadsDown(i) && !leadsDown(1 - i)) {
        scores.masks.push_back({generic.getDpsInputs()[1 - i], maps[1 - i], std::nullopt});
        value = generic.getDpsInputs()[i];
        return true;
      }
    return false;
  }
  auto select = dyn_cast<arith::SelectOp>(op);
  if (!select || generic.getNumDpsInputs() != 2)
    return false;
  std::optional<unsigned> condition = sq::inputRead(generic, select.getCondition());
  for (bool keepsOnTrue : {true, false}) {
    std::optional<unsigned> kept =
        sq::inputRead(generic, keepsOnTrue ? select.getTrueValue() : select.getFalseValue());
    FloatAttr fill;
    if (!condition || !kept || *condition == *kept || !leadsDown(*kept) ||
        !matchPattern(keepsOnTrue ? select.getFalseValue() : select.getTrueValue(), m_Constant(&fill)))
      continue;
    scores.masks.push_back({generic.getDpsInputs()[*condition], maps[*condition],
                            fill.getValueAsDouble(), keepsOnTrue});
    value = generic.getDpsInputs()[*kept];
    return true;
  }
  return false;
}

/// `p` of `isnan(p) ? 0 : p`, or null.
Value matchNanGuard(Value v) {
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  auto select = dyn_cast_or_null<arith::SelectOp>(sq::singleBodyOp(generic));
  if (!select || generic.getNumDpsInputs() != 2 || !matchPattern(select.getTrueValue(), m_AnyZeroFloat()))
    return nullptr;
  std::optional<unsigned> condition = sq::inputRead(generic, select.getCondition());
  std::optional<unsigned> value = sq::inputRead(generic, select.getFalseValue());
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  if (!condition || !value || !maps[0].isIdentity() || !maps[1].isIdentity())
    return nullptr;
  Value p = generic.getDpsInputs()[*value];
  auto test = generic.getDpsInputs()[*condition].getDefiningOp<linalg::GenericOp>();
  auto cmp = dyn_cast_or_null<arith::CmpFOp>(sq::singleBodyOp(test));
  if (!cmp || cmp.getPredicate() != arith::CmpFPredicate::UNO || test.getNumDpsInputs() != 1 ||
      test.getDpsInputs()[0] != p || !test.getIndexingMapsArray()[0].isIdentity() ||
      sq::inputRead(test, cmp.getLhs()) != 0u || sq::inputRead(test, cmp.getRhs()) != 0u)
    return nullptr;
  return p;
}

/// All loops parallel; `body` sees the elements of the inputs.
Value pointwise(PatternRewriter &rewriter, Location loc, ValueRange inputs, ArrayRef<AffineMap> maps,
                Value init, function_ref<Value(OpBuilder &, ValueRange)> body) {
  int64_t rank = cast<RankedTensorType>(init.getType()).getRank();
  SmallVector<AffineMap> all(maps);
  all.push_back(rewriter.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(rewriter, loc, init.getType(), inputs, init, all, loops,
                                   [&](OpBuilder &b, Location l, ValueRange args) {
                                     linalg::YieldOp::create(b, l, body(b, args.drop_back()));
                                   })
      .getResult(0);
}

struct RaiseAttention : OpRewritePattern<sq::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(sq::MatmulOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getOuts().getType());
    if (!type || type.getRank() != 4 || !type.getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "not an f32 product of rank 4");
    Value probabilities = op.getA(), guarded = matchNanGuard(probabilities);
    auto softmax = (guarded ? guarded : probabilities).getDefiningOp<sq::SoftmaxOp>();
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "the left operand is no softmax");

    Scores scores;
    Value value = softmax.getX();
    while (!(scores.product = value.getDefiningOp<sq::MatmulOp>())) {
      size_t masks = scores.masks.size();
      if (!peelScores(value, scores))
        return rewriter.notifyMatchFailure(op, "the scores are no product, scaled and masked");
      // A factor after the mask would scale it as well.
      if (scores.masks.size() > masks && scores.scale != 1.0)
        return rewriter.notifyMatchFailure(op, "the mask is scaled with the scores");
    }
    sq::PeeledHeads q = sq::peelHeads(scores.product.getA()), k = sq::peelHeads(scores.product.getB()), v = sq::peelHeads(op.getB());
    if (v.scale != 1.0)
      return rewriter.notifyMatchFailure(op, "the values are scaled");
    // Queries are repeated only if they are broadcast to more heads: not attention.
    if (q.repeatedDim >= 0)
      return rewriter.notifyMatchFailure(op, "the queries are repeated");
    // k and v share heads, or k and v as they are repeated.
    bool isGrouped = k.repeatedDim >= 0 && v.repeatedDim >= 0 && k.repeats == v.repeats &&
                     k.repeatedDim == k.permutation[1] && v.repeatedDim == v.permutation[1];
    if (!isGrouped) {
      k = k.repeatedDim < 0 ? k : sq::peelMoves(scores.product.getB());
      v = v.repeatedDim < 0 ? v : sq::peelMoves(op.getB());
    }
    auto sizeOf = [](const sq::PeeledHeads &p, int64_t d) {
      return cast<RankedTensorType>(p.source.getType()).getDimSize(p.permutation[d]);
    };
    for (const sq::PeeledHeads *p : {&q, &k, &v})
      if (cast<RankedTensorType>(p->source.getType()).getRank() != 4)
        return rewriter.notifyMatchFailure(op, "q, k or v is not of rank 4");
    // sq.matmul broadcasts leading dims of extent 1, sq.attention only one head of
    // k and v (multi-query attention).
    bool isShared = !isGrouped && sizeOf(k, 1) == 1 && sizeOf(v, 1) == 1;
    for (const sq::PeeledHeads *p : {&q, &k, &v})
      if ((sizeOf(*p, 0) == 1 && type.getDimSize(0) != 1) ||
          (sizeOf(*p, 1) == 1 && type.getDimSize(1) != 1 && (p == &q || !(isShared || isGrouped))))
        return rewriter.notifyMatchFailure(op, "q, k or v is broadcast along batch or heads");
    if ((isShared || isGrouped) && (ShapedType::isDynamic(sizeOf(q, 1)) || ShapedType::isDynamic(sizeOf(k, 1)) ||
                                    sizeOf(k, 1) != sizeOf(v, 1)))
      return rewriter.notifyMatchFailure(op, "heads are shared, but how many they are is not static");
    if (sizeOf(v, 3) != sizeOf(q, 3) || ShapedType::isDynamic(sizeOf(q, 3)) || sizeOf(k, 2) != sizeOf(q, 3))
      return rewriter.notifyMatchFailure(op, "the sizes of q's, k's and v's heads are not one static number");
    auto empty = op.getOuts().getDefiningOp<tensor::EmptyOp>();
    auto scoresEmpty = scores.product.getOuts().getDefiningOp<tensor::EmptyOp>();
    if (!empty || !scoresEmpty)
      return rewriter.notifyMatchFailure(op, "a product has no tensor.empty to take its sizes from");
    SmallVector<OpFoldResult> scoreSizes = scoresEmpty.getMixedSizes();

    bool isCausal = false;
    if (failed(simplifyMasks(op, scores, scoreSizes, isCausal, rewriter)))
      return failure();
    Location loc = rewriter.getFusedLoc({scores.product.getLoc(), softmax.getLoc(), op.getLoc()});
    Value mask = makeMask(scores, scoreSizes, loc, rewriter);

    SmallVector<OpFoldResult> sizes = empty.getMixedSizes();
    std::swap(sizes[1], sizes[2]);
    Value init = tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
    Value queries = sq::arrangeHeads(q, {0, 2, 1, 3}, loc, rewriter);
    Value keys = sq::arrangeHeads(k, {0, 3, 1, 2}, loc, rewriter);
    Value values = sq::arrangeHeads(v, {0, 2, 1, 3}, loc, rewriter);
    Value result = sq::AttentionOp::create(
                       rewriter, loc, init.getType(), queries, keys, values, mask, init,
                       rewriter.getF32FloatAttr(static_cast<float>(scores.scale * q.scale * k.scale)),
                       isCausal ? rewriter.getUnitAttr() : UnitAttr())
                       .getResult()
                       .front();
    // Where no key was seen, the probabilities became 0 and so did their sum. With
    // a causal mask only, each query sees a key.
    if (guarded && mask) {
      Value zeroed = tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
      result = pointwise(rewriter, loc, result, rewriter.getMultiDimIdentityMap(4), zeroed,
                         [&](OpBuilder &b, ValueRange args) -> Value {
                           Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
                           Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, args[0], args[0]);
                           return arith::SelectOp::create(b, loc, isNan, zero, args[0]);
                         });
    }
    remark::passed(loc, remark::RemarkOpts::name("attention").category("sq-raise-attention"))
        << remark::add("products and softmax became sq.attention");
    rewriter.replaceOpWithNewOp<linalg::TransposeOp>(op, result, empty, ArrayRef<int64_t>{0, 2, 1, 3});
    return success();
  }

  /// Drops the masks that are causality, and refuses what cannot be added.
  static LogicalResult simplifyMasks(sq::MatmulOp op, Scores &scores, ArrayRef<OpFoldResult> sizes,
                                     bool &isCausal, PatternRewriter &rewriter) {
    SmallVector<sq::MaskPart, 0> parts, kept;
    for (const sq::MaskPart &part : scores.masks)
      sq::splitMask(part, parts);
    for (const sq::MaskPart &part : parts) {
      sq::CausalValues values = sq::evaluateCausal(part.tensor, part.map, sizes[2], sizes[3]);
      bool isPart = false;
      if (part.fill)
        isPart = values.seen == (part.keepsOnTrue ? 1.0 : 0.0) &&
                 values.hidden == (part.keepsOnTrue ? 0.0 : 1.0) && *part.fill <= hiddenByCausality;
      else
        isPart = values.seen == 0.0 && values.hidden && *values.hidden <= hiddenByCausality;
      if (isPart) {
        isCausal = true;
        continue;
      }
      auto type = dyn_cast<RankedTensorType>(part.tensor.getType());
      if (!type || !sq::usedLoops(part.map, type))
        return rewriter.notifyMatchFailure(op, "a mask does not broadcast to [b, h, s, t]");
      if (part.fill && !(*part.fill <= hiddenAnyway))
        return rewriter.notifyMatchFailure(op, "a boolean mask selects a value that is not hidden");
      if (!part.fill && !type.getElementType().isF32())
        return rewriter.notifyMatchFailure(op, "a mask is not f32");
      kept.push_back(part);
    }
    scores.masks = std::move(kept);
    return success();
  }

  /// The sum of the masks as one tensor of rank 4; null without any.
  static Value makeMask(const Scores &scores, ArrayRef<OpFoldResult> sizes, Location loc,
                        PatternRewriter &rewriter) {
    if (scores.masks.empty())
      return Value();
    if (scores.masks.size() == 1 && !scores.masks[0].fill)
      if (Value mask = asRankFour(scores.masks[0], loc, rewriter))
        return mask;
    std::array<bool, 4> used = {false, false, false, true};
    SmallVector<Value> tensors;
    SmallVector<AffineMap> maps;
    for (const sq::MaskPart &part : scores.masks) {
      std::array<bool, 4> own = *sq::usedLoops(part.map, cast<RankedTensorType>(part.tensor.getType()));
      for (int i = 0; i < 4; ++i)
        used[i] |= own[i];
      tensors.push_back(part.tensor);
      maps.push_back(part.map);
    }
    SmallVector<OpFoldResult> extents(sizes);
    for (int i = 0; i < 4; ++i)
      if (!used[i])
        extents[i] = rewriter.getIndexAttr(1);
    Value init = tensor::EmptyOp::create(rewriter, loc, extents, rewriter.getF32Type());
    return pointwise(rewriter, loc, tensors, maps, init, [&](OpBuilder &b, ValueRange args) {
      Value sum;
      for (auto [part, arg] : llvm::zip(scores.masks, args)) {
        Value term = arg;
        if (part.fill) {
          Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
          Value fill = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(static_cast<float>(*part.fill)));
          term = arith::SelectOp::create(b, loc, arg, part.keepsOnTrue ? zero : fill,
                                         part.keepsOnTrue ? fill : zero);
        }
        sum = sum ? arith::AddFOp::create(b, loc, sum, term).getResult() : term;
      }
      return sum;
    });
  }

  /// A mask as it is, with dims of 1 before it; null if it does not run over the keys.
  static Value asRankFour(const sq::MaskPart &part, Location loc, PatternRewriter &rewriter) {
    auto type = cast<RankedTensorType>(part.tensor.getType());
    std::array<bool, 4> used = *sq::usedLoops(part.map, type);
    if (!used[3])
      return Value();
    int64_t missing = 4 - type.getRank();
    if (!missing)
      return part.tensor;
    SmallVector<int64_t> shape(missing, 1);
    shape.append(type.getShape().begin(), type.getShape().end());
    SmallVector<ReassociationIndices> groups(type.getRank());
    for (int64_t d = 0; d < 4; ++d)
      groups[std::max<int64_t>(d - missing, 0)].push_back(d);
    SmallVector<OpFoldResult> sizes(missing, rewriter.getIndexAttr(1));
    llvm::append_range(sizes, tensor::getMixedSizes(rewriter, loc, part.tensor));
    return tensor::ExpandShapeOp::create(
        rewriter, loc, RankedTensorType::get(shape, type.getElementType()), part.tensor, groups, sizes);
  }
};

struct RaiseAttentionPass : sq::impl::RaiseAttentionPassBase<RaiseAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseAttention>(&getContext());
    linalg::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    sq::populateMoveTransposes(patterns);
    sq::populateUnflattenHeads(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
