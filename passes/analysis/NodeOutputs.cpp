#include "passes/analysis/NodeOutputs.h"

#include "llvm/ADT/StringMap.h"
#include "mlir/IR/BuiltinTypes.h"

#include "passes/lower_onnx/Lowering.h"

using namespace mlir;

std::string sq::operatorName(Operation *op) {
  auto domain = op->getAttrOfType<StringAttr>("domain"), type = op->getAttrOfType<StringAttr>("op_type");
  bool isCustom = op->getName().getStringRef() == "onnx.Custom" && domain && type;
  return isCustom ? (domain.getValue() + "." + type.getValue()).str() : op->getName().stripDialect().str();
}

static bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<TensorType>(type);
  return tensor && isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(tensor.getElementType());
}

std::vector<sq::NodeOutput> sq::nodeOutputs(FunctionOpInterface main) {
  std::vector<NodeOutput> outputs;
  llvm::StringMap<int> used;
  for (Operation &op : main.getFunctionBody().front()) {
    StringRef name = op.getName().getStringRef();
    if (op.getName().getDialectNamespace() != "onnx" || name == "onnx.Constant" || name == "onnx.NoValue")
      continue;
    for (OpResult result : op.getResults()) {
      if (!isFloatTensor(result.getType()))
        continue;
      std::string shown = nodeName(&op);
      if (result.getResultNumber() > 0)
        shown += ":" + std::to_string(result.getResultNumber());
      // Nothing in ONNX keeps two nodes from having one name.
      if (int count = ++used[shown]; count > 1)
        shown += "#" + std::to_string(count);
      outputs.push_back({result, std::move(shown), operatorName(&op)});
    }
  }
  return outputs;
}

std::vector<std::string> sq::nodeNames(Location loc) {
  std::vector<std::string> names;
  loc->walk([&](Location at) {
    auto named = dyn_cast<NameLoc>(at);
    if (!named)
      return WalkResult::advance();
    names.push_back(named.getName().str());
    return WalkResult::skip();
  });
  return names;
}
