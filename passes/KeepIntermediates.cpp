// Makes what every node computes a result of the program, for sq-diff.

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/Passes.h"
#include "passes/analysis/NamedResults.h"
#include "passes/analysis/NodeOutputs.h"

namespace sq {
#define GEN_PASS_DEF_KEEPINTERMEDIATESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct KeepIntermediatesPass : sq::impl::KeepIntermediatesPassBase<KeepIntermediatesPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      getOperation().emitError("the module has no function @main");
      return signalPassFailure();
    }
    std::vector<sq::NodeOutput> nodes = sq::nodeOutputs(main);
    // A model of integers has nothing to keep, which is no mistake.
    auto isNode = [](Operation &op) { return op.getName().getDialectNamespace() == "onnx"; };
    if (llvm::none_of(main.getBody().front(), isNode)) {
      main.emitError("there is no onnx node here; keep intermediates of a model as it is imported, before "
                     "--sq-onnx-to-graph");
      return signalPassFailure();
    }
    sq::NamedResults results(main, "onnx.name"); // that of an earlier run are there already
    Builder b(&getContext());
    for (const sq::NodeOutput &node : nodes)
      results.add(sq::kNodePrefix + node.name, node.value, b.getNamedAttr("onnx.dims", b.getArrayAttr({})));
    results.finish();
  }
};
} // namespace
