//===-- LowerInteger.cpp - integer-only ops as linalg on integers -------------===//
//
// One generic form for every target; what a target has a kernel for, it takes
// before this pass.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/Passes.h"
#include "passes/lower_integer/Lowering.h"

namespace sq {
#define GEN_PASS_DEF_LOWERINTEGERPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct LowerIntegerPass : sq::impl::LowerIntegerPassBase<LowerIntegerPass> {
  using LowerIntegerPassBase::LowerIntegerPassBase;

  bool hasKernel(Operation *op) const {
    if (!keepHost || op->getNumResults() == 0)
      return false;
    if (auto lookup = dyn_cast<sq::LookupOp>(op))
      return getElementTypeOrSelf(lookup.getOuts()).isInteger(8) && cast<RankedTensorType>(lookup.getX().getType()).getRank() > 0;
    auto attention = dyn_cast<sq::IntAttentionOp>(op);
    if (!attention)
      return false;
    int64_t size = cast<RankedTensorType>(attention.getQ().getType()).getDimSize(3);
    return size % 4 == 0 && size <= sq::kMostHeadElements && int64_t(attention.getExpShift()) <= sq::kMostExpShift;
  }

  /// A norm with its constants in memory, if the host has a kernel for it.
  template <typename OpTy> static bool lowerToRows(IRRewriter &rewriter, OpTy op, bool centred, int64_t shift) {
    if (op->getNumResults() == 0 || op.getRounding() != "half_up")
      return false;
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    int64_t channels = cast<RankedTensorType>(op.getX().getType()).getShape().back();
    auto of = [](auto list, int64_t c) { return list[list.size() == 1 ? 0 : c]; };
    SmallVector<int32_t> multipliers(sq::IntNormRowsOp::storedMultipliers(channels), 0);
    SmallVector<int64_t> addends(sq::IntNormRowsOp::storedAddends(channels), 0);
    for (int64_t c = 0; c < channels; ++c) {
      multipliers[c] = of(op.getMultipliers(), c);
      addends[sq::IntNormRowsOp::addendPlace(c)] = of(op.getAddends(), c);
    }
    auto constant = [&](auto &values, Type element) -> Value {
      return arith::ConstantOp::create(b, DenseElementsAttr::get(RankedTensorType::get(values.size(), element), ArrayRef(values)));
    };
    auto rows = sq::IntNormRowsOp::create(b, op->getResultTypes(), op.getX(), constant(multipliers, b.getI32Type()),
                                          constant(addends, b.getI64Type()), op.getOuts(), centred, shift, op.getEpsilon(), op.getExponent(),
                                          op.getXUnsigned(), op.getXBitsAttr(), op.getIsUnsigned(), op.getBitsAttr());
    rewriter.replaceOp(op, rows);
    return true;
  }

  bool lowerToRows(IRRewriter &rewriter, Operation *op) const {
    if (!keepHost)
      return false;
    if (auto norm = dyn_cast<sq::IntLayerNormOp>(op))
      return lowerToRows(rewriter, norm, /*centred=*/true, norm.getShift());
    auto norm = dyn_cast<sq::IntRmsNormOp>(op);
    return norm && lowerToRows(rewriter, norm, /*centred=*/false, 0);
  }

  /// Lowers `op` if it is one of `Ops`.
  template <typename... Ops> static WalkResult lower(Operation *op, IRRewriter &rewriter) {
    if ((isa<Ops>(op) || ...) && op->getNumResults() == 0) {
      op->emitOpError("is on memrefs; run --sq-lower-integer before bufferization");
      return WalkResult::interrupt();
    }
    std::optional<sq::Lowered> lowered;
    ImplicitLocOpBuilder b(op->getLoc(), rewriter);
    (void)((isa<Ops>(op) && (lowered = sq::lowerInteger(b, cast<Ops>(op)), true)) || ...);
    if (!lowered)
      return WalkResult::advance();
    auto [result, problem] = *lowered;
    if (!problem.empty()) {
      op->emitOpError("cannot be computed in 64-bit integers: ")
          << problem << "; declare fewer bits of its operands, or requantize them to a coarser scale before";
      return WalkResult::interrupt();
    }
    rewriter.replaceOp(op, result);
    return WalkResult::advance();
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    WalkResult all = getOperation().walk([&](Operation *op) {
      if (hasKernel(op))
        return WalkResult::advance();
      rewriter.setInsertionPoint(op);
      if (lowerToRows(rewriter, op))
        return WalkResult::advance();
      return lower<sq::RequantizeOp, sq::RequantizedAddOp, sq::IntGeluOp, sq::IntSigmoidOp, sq::IntTanhOp,
                   sq::IntSiluOp, sq::LookupOp, sq::IntPiecewiseOp, sq::IntSqrtOp, sq::IntSoftmaxOp, sq::IntContextOp, sq::IntAttentionOp,
                   sq::IntLayerNormOp, sq::IntRmsNormOp>(op, rewriter);
    });
    if (all.wasInterrupted()) {
      getOperation()->setAttr("sq.refused", rewriter.getUnitAttr()); // the model's doing
      signalPassFailure();
    }
  }
};

} // namespace
