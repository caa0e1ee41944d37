//===-- ReuseBuffers.cpp - results in the memory of dying operands -----------===//
//
// An op that reads an element only where, and before, it writes the result of
// the same place may write into its operand. That holds for elementwise loops
// whose operand and result are indexed alike, whatever the order of the
// iterations and however they are shared among threads: each place belongs to
// one iteration. It holds for softmax and layer norm, which finish a row before
// the next and write an element only after the last read of it.
// It does not hold for products: their epilogue may read an operand after sums
// of other columns have been stored.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_REUSEBUFFERSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct ReuseBuffersPass : sq::impl::ReuseBuffersPassBase<ReuseBuffersPass> {
  /// May `op` write its only result into operand `in`?
  static bool readsBeforeItWrites(DestinationStyleOpInterface op, OpOperand &in) {
    if (isa<sq::SoftmaxOp, sq::LayerNormOp, sq::RmsNormOp>(op))
      return in.getOperandNumber() == 0;
    auto loops = dyn_cast<linalg::LinalgOp>(op.getOperation());
    if (!loops || loops.getNumReductionLoops())
      return false;
    AffineMap written = loops.getMatchingIndexingMap(op.getDpsInitOperand(0));
    return written.isPermutation() && loops.getMatchingIndexingMap(&in) == written;
  }

  /// Every use of `buffer` or of a view of it.
  static SmallVector<OpOperand *> usesOf(Value buffer) {
    SmallVector<OpOperand *> uses;
    SmallVector<Value> todo = {buffer};
    while (!todo.empty())
      for (OpOperand &use : todo.pop_back_val().getUses()) {
        uses.push_back(&use);
        for (Value result : use.getOwner()->getResults())
          if (isa<MemRefType>(result.getType()))
            todo.push_back(result);
      }
    return uses;
  }

  /// Both in the schedule, or in a region of one of its ops.
  bool isBefore(Operation *op, Operation *other) {
    Block &schedule = getOperation().getBody().front();
    op = schedule.findAncestorOpInBlock(*op);
    other = schedule.findAncestorOpInBlock(*other);
    return op && other && op != other && op->isBeforeInBlock(other);
  }

  /// `op` is the last user of `buffer`, and uses it through `in` or operands
  /// that it reads in the same way.
  bool diesAt(DestinationStyleOpInterface op, Value buffer) {
    return llvm::all_of(usesOf(buffer), [&](OpOperand *use) {
      if (use->getOwner() == op.getOperation())
        return use->get() == buffer && !op.isDpsInit(use) && readsBeforeItWrites(op, *use);
      return isBefore(use->getOwner(), op);
    });
  }

  memref::AllocOp operandToReuse(DestinationStyleOpInterface op, memref::AllocOp result) {
    for (OpOperand *in : op.getDpsInputOperands()) {
      auto alloc = in->get().getDefiningOp<memref::AllocOp>();
      if (alloc && alloc != result && alloc->getBlock() == op->getBlock() &&
          alloc.getType() == result.getType() && alloc.getDynamicSizes() == result.getDynamicSizes() &&
          diesAt(op, alloc) && llvm::all_of(usesOf(result), [&](OpOperand *use) {
            return isBefore(alloc, use->getOwner());
          }))
        return alloc;
    }
    return nullptr;
  }

  void runOnOperation() override {
    if (getOperation().isExternal() || !getOperation().getBody().hasOneBlock())
      return;
    SmallVector<DestinationStyleOpInterface> ops;
    llvm::append_range(ops, getOperation().getBody().front().getOps<DestinationStyleOpInterface>());
    for (DestinationStyleOpInterface op : ops) {
      if (op.getNumDpsInits() != 1)
        continue;
      auto result = op.getDpsInitOperand(0)->get().getDefiningOp<memref::AllocOp>();
      // The result's memory must not be in use before.
      if (!result || result->getBlock() != op->getBlock() ||
          llvm::any_of(usesOf(result), [&](OpOperand *use) {
            return use->getOwner()->getNumResults() == 0 && isBefore(use->getOwner(), op);
          }))
        continue;
      if (memref::AllocOp operand = operandToReuse(op, result)) {
        result.replaceAllUsesWith(operand.getResult());
        result.erase();
      }
    }
  }
};

} // namespace
