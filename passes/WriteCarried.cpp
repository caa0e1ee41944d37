//===-- WriteCarried.cpp - results of an iteration straight to their place ----===//
//
// A loop hands tensors on by writing them to a destination made before it: the
// next state over the last one, a row into the whole. Elementwise fusion drops
// the destination of a loop nest that does not read it, and what is left is a
// result of its own and a copy. This pass gives the destination back.
//
// No harm is done where the destination is still read later: bufferization then
// makes a buffer for the result, as it was before.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_WRITECARRIEDPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct WriteCarriedPass : sq::impl::WriteCarriedPassBase<WriteCarriedPass> {
  /// The destination of `value`, if it is a result of a loop nest of `block` that
  /// writes to an empty tensor which no other result is written to.
  OpOperand *emptyDestination(Value value, Block *block) {
    auto loops = value.getDefiningOp<linalg::GenericOp>();
    if (!loops || loops->getBlock() != block)
      return nullptr;
    OpOperand *init = loops.getDpsInitOperand(cast<OpResult>(value).getResultNumber());
    return init->get().getDefiningOp<tensor::EmptyOp>() ? init : nullptr;
  }

  /// Whether `op` could stand before `loops`, but for its operand `except`.
  bool isReadyAt(Operation *op, Operation *loops, Value except, DominanceInfo &dominance) {
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      return operand == except || dominance.properlyDominates(operand, loops);
    });
  }

  void runOnOperation() override {
    DominanceInfo dominance(getOperation());
    // The state first: a result that is also a row of another tensor is copied there.
    getOperation().walk([&](bufferization::MaterializeInDestinationOp op) {
      OpOperand *init = emptyDestination(op.getSource(), op->getBlock());
      if (init && op->getParentOfType<LoopLikeOpInterface>() &&
          op.getDest().getType() == init->get().getType() &&
          isReadyAt(op, init->getOwner(), op.getSource(), dominance))
        init->set(op.getDest());
    });
    getOperation().walk([&](tensor::InsertSliceOp op) {
      OpOperand *init = emptyDestination(op.getSource(), op->getBlock());
      if (!init || !op->getParentOfType<LoopLikeOpInterface>() ||
          !isReadyAt(op, init->getOwner(), op.getSource(), dominance))
        return;
      OpBuilder b(init->getOwner());
      init->set(tensor::ExtractSliceOp::create(b, op.getLoc(), op.getSourceType(), op.getDest(),
                                               op.getMixedOffsets(), op.getMixedSizes(),
                                               op.getMixedStrides()));
    });
  }
};
} // namespace
