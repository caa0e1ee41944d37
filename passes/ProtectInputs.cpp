//===-- ProtectInputs.cpp - what the caller lends is only read ----------------===//
//
// Bufferization takes an argument for memory that it may write where that saves a
// copy: a scatter into an input would leave the caller with another tensor. Caches
// are there to be written.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_PROTECTINPUTSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct ProtectInputsPass : sq::impl::ProtectInputsPassBase<ProtectInputsPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    for (unsigned i = 0; i < func.getNumArguments(); ++i) {
      auto name = func.getArgAttrOfType<StringAttr>(i, "sq.name");
      if (isa<TensorType>(func.getArgument(i).getType()) && !(name && name.getValue().starts_with("sq.cache:")))
        func.setArgAttr(i, bufferization::BufferizationDialect::kWritableAttrName, BoolAttr::get(&getContext(), false));
    }
  }
};
} // namespace
