// Makes the tensors that calibration observes results of the program.

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/Passes.h"
#include "passes/analysis/ObservedValues.h"

#include "llvm/ADT/StringSet.h"

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
    auto end = cast<func::ReturnOp>(main.getBody().front().getTerminator());
    SmallVector<Value> results(end.getOperands());
    SmallVector<Attribute> attributes;
    llvm::StringSet<> taken;
    for (unsigned i = 0; i < results.size(); ++i) {
      DictionaryAttr attribute = main.getResultAttrDict(i);
      attributes.push_back(attribute ? attribute : DictionaryAttr::get(&getContext()));
      if (auto name = main.getResultAttrOfType<StringAttr>(i, "sq.name"))
        taken.insert(name.getValue());
    }
    Builder b(&getContext());
    for (const sq::ObservedValue &observed : sq::observedValues(main)) {
      std::string name = sq::kObservedPrefix + observed.name;
      // Arguments are known to whoever runs the program.
      if (isa<BlockArgument>(observed.value) || !taken.insert(name).second)
        continue;
      auto type = cast<RankedTensorType>(observed.value.getType());
      SmallVector<StringRef> dims(type.getRank(), "");
      results.push_back(observed.value);
      attributes.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("sq.name", b.getStringAttr(name)), b.getNamedAttr("sq.dims", b.getStrArrayAttr(dims)),
           b.getNamedAttr("sq.dtype", b.getStringAttr(dtypeOf(type.getElementType())))}));
    }
    end.getOperandsMutable().assign(results);
    main.setType(b.getFunctionType(main.getArgumentTypes(), TypeRange(ValueRange(results))));
    main.setAllResultAttrs(attributes);
  }
};
} // namespace
