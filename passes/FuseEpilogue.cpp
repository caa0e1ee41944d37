//===-- FuseEpilogue.cpp - elementwise ops into the product before them -------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
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
    AffineMap columns = AffineMap::get(type.getRank(), 0, rewriter.getAffineDimExpr(type.getRank() - 1));
    for (auto [i, in] : llvm::enumerate(op.getDpsInputs())) {
      if (i == position)
        continue;
      auto inType = dyn_cast<RankedTensorType>(in.getType());
      bool isInteger = product.isOfBytes() && inType && inType.getElementType().isIntOrIndex() &&
                       inType.getElementTypeBitWidth() >= 8 && inType.getElementTypeBitWidth() <= 32;
      if (!inType || !(isInteger || inType.getElementType().isF32()) || (!maps[i].isIdentity() && maps[i] != columns))
        return rewriter.notifyMatchFailure(op, "another operand is neither like the result nor a row");
      extras.push_back(in);
    }
    auto fused = sq::PackedMatmulOp::create(
        rewriter, rewriter.getFusedLoc({product.getLoc(), op.getLoc()}), type, product.getX(),
        product.getWeight(), extras, op.getOutputs().front());
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
