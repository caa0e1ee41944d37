//===-- FuseEpilogue.cpp - elementwise ops into the product before them -------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Borders.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_FUSEEPILOGUEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// Every point of the loops reads the one element.
bool isOne(AffineMap map) {
  return llvm::all_of(map.getResults(), [](AffineExpr e) { return isa<AffineConstantExpr>(e); });
}

/// Whether an epilogue can read what a loop over `result` reads of `in`.
bool isExtra(Value in, AffineMap map, RankedTensorType result, bool ofBytes) {
  auto type = dyn_cast<RankedTensorType>(in.getType());
  if (!type || !(type.getElementType().isF32() || (ofBytes && type.getElementType().isInteger() &&
                                                   type.getElementTypeBitWidth() >= 8 && type.getElementTypeBitWidth() <= 32)))
    return false;
  MLIRContext *context = in.getContext();
  int64_t rank = result.getRank();
  AffineExpr column = getAffineDimExpr(rank - 1, context), zero = getAffineConstantExpr(0, context);
  AffineMap rows = AffineMap::getMultiDimIdentityMap(rank, context).replace(column, zero, rank, 0);
  return map.isIdentity() || map == AffineMap::get(rank, 0, column) ||
         (type.hasStaticShape() && type.getNumElements() == 1 && isOne(map)) || (map == rows && type.getShape().back() == 1);
}

/// A tensor of one element as one without dims.
Value asNumber(OpBuilder &b, Value v) {
  auto type = cast<RankedTensorType>(v.getType());
  if (type.getRank() == 0)
    return v;
  auto scalar = RankedTensorType::get({}, type.getElementType());
  return tensor::CollapseShapeOp::create(b, v.getLoc(), scalar, v, ArrayRef<ReassociationIndices>());
}

// sq.packed_matmul -> linalg.generic (elementwise)  ==>  sq.packed_matmul { .., body }
struct FuseEpilogue : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (op.getNumReductionLoops() || op->getNumResults() != 1 || !op.hasPureTensorSemantics() ||
        op.hasIndexSemantics() || op->hasAttr(sq::kBorder))
      return rewriter.notifyMatchFailure(op, "not elementwise on tensors, or a kernel of its own");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    auto type = cast<RankedTensorType>(op.getResultTypes().front());
    Type element = type.getElementType();
    if (!maps.back().isIdentity() || !element.isIntOrFloat() || element.getIntOrFloatBitWidth() > 32 ||
        element.getIntOrFloatBitWidth() < 8)
      return rewriter.notifyMatchFailure(op, "the result is permuted or not of 8 to 32 bits");
    if (!op.getMatchingBlockArgument(op.getDpsInitOperand(0)).use_empty())
      return rewriter.notifyMatchFailure(op, "the body reads its output");
    for (Operation &inner : op.getBody()->without_terminator()) {
      if (!OpTrait::hasElementwiseMappableTraits(&inner) && !isa<arith::ConstantOp>(inner))
        return rewriter.notifyMatchFailure(op, "an op of the body has no vector form");
      // Constants, which canonicalisation hoists, come along; anything else
      // from outside would have to be broadcast.
      for (Value v : inner.getOperands())
        if (v.getParentBlock() != op.getBody() && !v.getDefiningOp<arith::ConstantOp>())
          return rewriter.notifyMatchFailure(op, "the body uses a value from outside");
    }
    sq::PackedMatmulOp product;
    unsigned position = 0;
    for (auto [i, in] : llvm::enumerate(op.getDpsInputs())) {
      auto candidate = in.getDefiningOp<sq::PackedMatmulOp>();
      if (candidate && candidate->hasOneUse() && maps[i].isIdentity()) {
        product = candidate;
        position = i;
      }
    }
    if (product && !product.isOfBytes() && !element.isF32())
      return rewriter.notifyMatchFailure(op, "products of floats have kernels for f32 only");
    if (!product)
      return rewriter.notifyMatchFailure(op, "no operand is a product with this user only");
    SmallVector<Value> extras(product.getExtras());
    for (auto [i, in] : llvm::enumerate(op.getDpsInputs()))
      if (i != position && !isExtra(in, maps[i], type, product.isOfBytes()))
        return rewriter.notifyMatchFailure(op, "another operand is neither like the result, a row nor a number");
    for (auto [i, in] : llvm::enumerate(op.getDpsInputs()))
      if (i != position)
        extras.push_back(isOne(maps[i]) ? asNumber(rewriter, in) : in);
    auto fused = sq::PackedMatmulOp::create(
        rewriter, rewriter.getFusedLoc({product.getLoc(), op.getLoc()}), type, product.getX(),
        product.getWeight(), product.getLut(), extras, op.getOutputs().front(), product.getBits(), product.getGroupSize(),
        product.getZeroPoint());
    SmallVector<Type> scalars = {product.getEpilogue().front().getArgument(0).getType()};
    for (Value extra : extras)
      scalars.push_back(getElementTypeOrSelf(extra.getType()));
    SmallVector<Location> locs(scalars.size(), op.getLoc());
    Block *body = rewriter.createBlock(&fused.getEpilogue(), {}, scalars, locs);
    IRMapping map;
    Block &before = product.getEpilogue().front();
    for (auto [i, arg] : llvm::enumerate(before.getArguments()))
      map.map(arg, body->getArgument(i));
    for (Operation &inner : before.without_terminator())
      rewriter.clone(inner, map);
    Value sum = map.lookupOrDefault(before.getTerminator()->getOperand(0));
    unsigned next = before.getNumArguments();
    for (auto [i, arg] : llvm::enumerate(op.getBody()->getArguments().drop_back()))
      map.map(arg, i == position ? sum : Value(body->getArgument(next++)));
    for (Operation &inner : op.getBody()->without_terminator()) {
      for (Value v : inner.getOperands())
        if (v.getParentBlock() != op.getBody() && !map.contains(v))
          map.map(v, rewriter.clone(*v.getDefiningOp())->getResult(0));
      rewriter.clone(inner, map);
    }
    sq::YieldOp::create(rewriter, op.getLoc(),
                        map.lookupOrDefault(op.getBody()->getTerminator()->getOperand(0)));
    rewriter.replaceOp(op, fused->getResults());
    rewriter.eraseOp(product);
    return success();
  }
};

struct FuseEpiloguePass : sq::impl::FuseEpiloguePassBase<FuseEpiloguePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseEpilogue>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
