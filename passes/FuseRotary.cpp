//===-- FuseRotary.cpp - rotary embedding on the way into a cache -------------===//
//
// Keys are turned as they are appended, queries as attention packs them (Su et
// al. 2021): a token then costs no kernels and no memory for it.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_FUSEROTARYPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

OpOperand &turnedOperand(sq::KvAppendOp op) { return op.getRowsMutable(); }
OpOperand &turnedOperand(sq::KvAttendOp op) { return op.getQMutable(); }

// kv_append(rotary_embedding(k, cos, sin))  ==>  kv_append(k) rotary(cos, sin)
template <typename OpTy> struct Fuse : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    OpOperand &operand = turnedOperand(op);
    auto turned = operand.get().template getDefiningOp<sq::RotaryEmbeddingOp>();
    if (!turned)
      return rewriter.notifyMatchFailure(op, "does not read a rotary embedding");
    if (!op.getRotary().empty())
      return rewriter.notifyMatchFailure(op, "turns what it reads already");
    if (!turned->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the rotary embedding has another reader");
    if (turned.getInterleaved())
      return rewriter.notifyMatchFailure(op, "no kernel turns neighbours on the way");
    for (Value v : {turned.getX(), turned.getCos(), turned.getSin()})
      if (!cast<RankedTensorType>(v.getType()).getElementType().isF32())
        return rewriter.notifyMatchFailure(op, "only f32 is turned on the way");
    rewriter.modifyOpInPlace(op, [&] {
      operand.set(turned.getX());
      op.getRotaryMutable().assign({turned.getCos(), turned.getSin()});
    });
    rewriter.eraseOp(turned);
    return success();
  }
};

struct FuseRotaryPass : sq::impl::FuseRotaryPassBase<FuseRotaryPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Fuse<sq::KvAppendOp>, Fuse<sq::KvAttendOp>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
