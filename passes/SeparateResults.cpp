//===-- SeparateResults.cpp - one empty tensor for each result ---------------===//
//
// CSE makes one `tensor.empty` of all of equal shape, and bufferization then
// one buffer, used again whenever the last content is dead. Such a buffer lives
// from its first to its last use; the planner cannot share it in between.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_SEPARATERESULTSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct SeparateResultsPass : sq::impl::SeparateResultsPassBase<SeparateResultsPass> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      for (OpOperand &operand : op->getOpOperands()) {
        auto empty = operand.get().getDefiningOp<tensor::EmptyOp>();
        if (!empty || empty->hasOneUse() || isa<tensor::DimOp>(op))
          continue;
        OpBuilder b(op);
        operand.set(b.clone(*empty)->getResult(0)); // the last one keeps the first
      }
    });
  }
};
} // namespace
