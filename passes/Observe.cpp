// Makes the tensors that calibration observes results of the program.

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/Passes.h"
#include "passes/analysis/NamedResults.h"
#include "passes/analysis/ObservedValues.h"

namespace sq {
#define GEN_PASS_DEF_OBSERVEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

StringRef dtypeOf(Type element) {
  return element.isF32() ? "f32" : element.isF64() ? "f64" : element.isF16() ? "f16" : "bf16";
}

struct ObservePass : sq::impl::ObservePassBase<ObservePass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      getOperation().emitError("the module has no function @main");
      return signalPassFailure();
    }
    bool isOnnx = llvm::any_of(main.getBody().front(),
                               [](Operation &op) { return op.getName().getDialectNamespace() == "onnx"; });
    if (isOnnx) {
      main.emitError("there are onnx nodes here; observe the graph that --sq-onnx-to-graph makes of them");
      return signalPassFailure();
    }
    sq::NamedResults results(main, "sq.name");
    Builder b(&getContext());
    for (const sq::ObservedValue &observed : sq::observedValues(main)) {
      // Arguments are known to whoever runs the program.
      if (isa<BlockArgument>(observed.value))
        continue;
      auto type = cast<RankedTensorType>(observed.value.getType());
      SmallVector<StringRef> dims(type.getRank(), "");
      results.add(sq::kObservedPrefix + observed.name, observed.value,
                  {b.getNamedAttr("sq.dims", b.getStrArrayAttr(dims)),
                   b.getNamedAttr("sq.dtype", b.getStringAttr(dtypeOf(type.getElementType())))});
    }
    results.finish();
  }
};
} // namespace
