// Makes what every node computes a result of the program, for sq-diff.

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/Passes.h"
#include "passes/analysis/NodeOutputs.h"

#include "llvm/ADT/StringSet.h"

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
    auto end = cast<func::ReturnOp>(main.getBody().front().getTerminator());
    SmallVector<Value> results(end.getOperands());
    SmallVector<Attribute> attributes;
    llvm::StringSet<> taken;
    for (unsigned i = 0; i < results.size(); ++i) {
      DictionaryAttr attribute = main.getResultAttrDict(i);
      attributes.push_back(attribute ? attribute : DictionaryAttr::get(&getContext()));
      if (auto name = main.getResultAttrOfType<StringAttr>(i, "onnx.name"))
        taken.insert(name.getValue());
    }
    Builder b(&getContext());
    for (const sq::NodeOutput &node : nodes) {
      std::string name = sq::kNodePrefix + node.name;
      if (!taken.insert(name).second) // kept by an earlier run
        continue;
      results.push_back(node.value);
      attributes.push_back(b.getDictionaryAttr({b.getNamedAttr("onnx.name", b.getStringAttr(name)),
                                                b.getNamedAttr("onnx.dims", b.getArrayAttr({}))}));
    }
    end.getOperandsMutable().assign(results);
    main.setType(b.getFunctionType(main.getArgumentTypes(), TypeRange(ValueRange(results))));
    main.setAllResultAttrs(attributes);
  }
};
} // namespace
