#include "passes/UnflattenHeads.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/analysis/Elementwise.h"

using namespace mlir;

namespace {

const SmallVector<ReassociationIndices> headsMerged = {{0, 1}, {2}, {3}};

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

/// The map of the loops [b, h, s, t] by which an input read at `map` of [b * h, s, t] is
/// read once its heads are apart; none if the merged loop is anywhere but first.
std::optional<AffineMap> apart(AffineMap map, RankedTensorType type) {
  MLIRContext *context = map.getContext();
  SmallVector<AffineExpr> exprs;
  for (auto [i, e] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(e);
    auto constant = dyn_cast<AffineConstantExpr>(e);
    if (!(dim || (constant && constant.getValue() == 0)) ||
        (dim && (dim.getPosition() == 0) != (i == 0 && type.getRank() == 3)))
      return std::nullopt;
    bool isBatch = i == 0 && type.getRank() == 3;
    if (isBatch)
      exprs.push_back(dim ? getAffineDimExpr(0, context) : e);
    exprs.push_back(!dim ? e : getAffineDimExpr(isBatch ? 1 : dim.getPosition() + 1, context));
  }
  return AffineMap::get(4, 0, exprs, context);
}

class Unflattener {
public:
  /// Of what becomes [batch, heads, .., ..]; the batch as a dim of types.
  Unflattener(int64_t batch, int64_t heads) : batch(batch), heads(heads) {}

  /// Whether `v`, [b * h, .., ..], is computed from tensors whose heads were merged.
  bool isMerged(Value v, int depth = 32) {
    auto found = merged.find(v);
    if (found != merged.end())
      return found->second;
    return merged[v] = depth > 0 && computeIsMerged(v, depth - 1);
  }

  /// After isMerged(v): whether nothing but this needs the tensors between.
  bool isPrivate(Operation *user) {
    return llvm::all_of(merged, [&](auto entry) {
      auto [v, isMerged] = entry;
      return !isMerged || isa_and_nonnull<tensor::CollapseShapeOp, linalg::TransposeOp>(v.getDefiningOp()) ||
             llvm::all_of(v.getUsers(), [&](Operation *other) {
               return other == user || (other->getNumResults() == 1 && merged.lookup(other->getResult(0)));
             });
    });
  }

  /// `v` with its heads apart, computed anew.
  Value unflatten(Value v, RewriterBase &rewriter) {
    if (Value known = done.lookup(v))
      return known;
    rewriter.setInsertionPointAfterValue(v);
    return done[v] = merged.lookup(v) ? rebuild(v.getDefiningOp(), rewriter) : expand(v, rewriter);
  }

private:
  bool computeIsMerged(Value v, int depth) {
    Operation *op = v.getDefiningOp();
    if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(op))
      return collapse.getReassociationIndices() == headsMerged &&
             collapse.getSrcType().getDimSize(0) == batch && collapse.getSrcType().getDimSize(1) == heads;
    if (auto transpose = dyn_cast_or_null<linalg::TransposeOp>(op))
      return transpose.getPermutation() == ArrayRef<int64_t>{0, 2, 1} && isMerged(transpose.getInput(), depth);
    if (auto softmax = dyn_cast_or_null<sq::SoftmaxOp>(op))
      return typeOf(v).getRank() == 3 && isMerged(softmax.getX(), depth);
    if (auto product = dyn_cast_or_null<sq::MatmulOp>(op))
      return typeOf(v).getRank() == 3 && isMerged(product.getA(), depth) && isMerged(product.getB(), depth);
    auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
    if (!sq::singleBodyOp(generic) || typeOf(v).getRank() != 3)
      return false;
    bool anyMerged = false;
    for (auto [in, map] : llvm::zip(generic.getDpsInputs(), generic.getIndexingMapsArray())) {
      auto type = dyn_cast<RankedTensorType>(in.getType());
      if (!type || !apart(map, type))
        return false;
      anyMerged |= map.isIdentity() && isMerged(in, depth);
    }
    return anyMerged;
  }

  Value rebuild(Operation *op, RewriterBase &rewriter) {
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
      return collapse.getSrc();
    Location loc = op->getLoc();
    SmallVector<Value> inputs;
    for (Value in : cast<DestinationStyleOpInterface>(op).getDpsInputs())
      inputs.push_back(typeOf(in).getRank() == 3 ? unflatten(in, rewriter) : in);
    rewriter.setInsertionPointAfter(op);
    SmallVector<OpFoldResult> sizes;
    Type element = typeOf(op->getResult(0)).getElementType();
    auto init = [&] { return tensor::EmptyOp::create(rewriter, loc, sizes, element).getResult(); };
    if (isa<sq::MatmulOp>(op)) {
      sizes = tensor::getMixedSizes(rewriter, loc, inputs[0]);
      sizes[3] = tensor::getMixedSizes(rewriter, loc, inputs[1])[3];
      Value c = init();
      return sq::MatmulOp::create(rewriter, loc, TypeRange(c.getType()), inputs[0], inputs[1], c).getResult()[0];
    }
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      SmallVector<AffineMap> maps;
      for (auto [in, map] : llvm::zip(generic.getDpsInputs(), generic.getIndexingMapsArray()))
        maps.push_back(*apart(map, typeOf(in)));
      maps.push_back(rewriter.getMultiDimIdentityMap(4));
      for (auto [in, map] : llvm::zip(inputs, maps))
        if (map.isIdentity() && sizes.empty())
          sizes = tensor::getMixedSizes(rewriter, loc, in);
      Value y = init();
      SmallVector<utils::IteratorType> loops(4, utils::IteratorType::parallel);
      auto copy = linalg::GenericOp::create(rewriter, loc, y.getType(), inputs, y, maps, loops);
      IRMapping mapping;
      generic.getRegion().cloneInto(&copy.getRegion(), mapping);
      return copy.getResult(0);
    }
    sizes = tensor::getMixedSizes(rewriter, loc, inputs[0]);
    if (isa<linalg::TransposeOp>(op)) {
      std::swap(sizes[2], sizes[3]);
      return linalg::TransposeOp::create(rewriter, loc, inputs[0], init(), ArrayRef<int64_t>{0, 1, 3, 2})->getResult(0);
    }
    Value y = init();
    return sq::SoftmaxOp::create(rewriter, loc, TypeRange(y.getType()), inputs[0], y).getResult()[0];
  }

  /// What was never apart: [b * h, ..] or, the same for all, [1, ..].
  Value expand(Value v, RewriterBase &rewriter) {
    Location loc = v.getLoc();
    RankedTensorType type = typeOf(v);
    bool isShared = type.getDimSize(0) == 1 && batch * heads != 1;
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, v);
    OpFoldResult one = rewriter.getIndexAttr(1), first = one;
    if (!isShared && ShapedType::isDynamic(batch)) {
      Value all = getValueOrCreateConstantIndexOp(rewriter, loc, sizes[0]);
      Value h = arith::ConstantIndexOp::create(rewriter, loc, heads);
      first = arith::DivSIOp::create(rewriter, loc, all, h).getResult();
    } else if (!isShared) {
      first = rewriter.getIndexAttr(batch);
    }
    SmallVector<int64_t> shape = {isShared ? 1 : batch, isShared ? 1 : heads, type.getDimSize(1), type.getDimSize(2)};
    sizes[0] = isShared ? one : OpFoldResult(rewriter.getIndexAttr(heads));
    sizes.insert(sizes.begin(), first);
    return tensor::ExpandShapeOp::create(rewriter, loc, type.clone(shape), v, headsMerged, sizes);
  }

  int64_t batch, heads;
  llvm::MapVector<Value, bool> merged;
  DenseMap<Value, Value> done;
};

/// expand(f(.. collapse(x) ..))  ==>  f'(.. x ..)
struct UnflattenHeads : OpRewritePattern<tensor::ExpandShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::ExpandShapeOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = op.getResultType();
    if (op.getReassociationIndices() != headsMerged || type.isDynamicDim(1) || type.getDimSize(1) < 1 ||
        isa_and_nonnull<tensor::CollapseShapeOp>(op.getSrc().getDefiningOp()))
      return rewriter.notifyMatchFailure(op, "does not part batch and heads");
    Unflattener heads(type.getDimSize(0), type.getDimSize(1));
    if (!heads.isMerged(op.getSrc()) || !heads.isPrivate(op))
      return rewriter.notifyMatchFailure(op, "not computed from merged heads, or not for this only");
    Value apart = heads.unflatten(op.getSrc(), rewriter);
    if (apart.getType() != type) {
      rewriter.setInsertionPoint(op);
      apart = tensor::CastOp::create(rewriter, op.getLoc(), type, apart);
    }
    rewriter.replaceOp(op, apart);
    return success();
  }
};

} // namespace

void sq::populateUnflattenHeads(RewritePatternSet &patterns) {
  patterns.add<UnflattenHeads>(patterns.getContext());
}
