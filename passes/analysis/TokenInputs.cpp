#include "passes/analysis/TokenInputs.h"

#include "llvm/ADT/DenseSet.h"
#include "mlir/IR/BuiltinTypes.h"

#include "passes/analysis/NodeOutputs.h"

using namespace mlir;

namespace {

class Search {
public:
  /// The least number of rows of a table that `v` indexes; 0: none is known.
  int64_t rowsOf(Value v) {
    int64_t least = 0;
    auto see = [&](int64_t rows) {
      if (rows > 0)
        least = least ? std::min(least, rows) : rows;
    };
    if (!seen.insert(v).second)
      return 0;
    for (OpOperand &use : v.getUses()) {
      Operation *user = use.getOwner();
      std::string name = sq::operatorName(user);
      unsigned place = use.getOperandNumber();
      if (name == "Gather" && place == 1)
        see(tableRows(user, 0, axisOf(user)));
      else if (name == "com.microsoft.EmbedLayerNormalization" && place < 2)
        see(tableRows(user, place == 0 ? 2 : 4, 0));
      else if (movesOnly(name) && place == 0)
        see(rowsOf(user->getResult(0)));
    }
    return least;
  }

private:
  static bool movesOnly(StringRef name) {
    return llvm::is_contained({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Slice", "Transpose"},
                              name);
  }

  static int64_t axisOf(Operation *op) {
    auto axis = op->getAttrOfType<IntegerAttr>("axis");
    return axis ? axis.getInt() : 0;
  }

  static int64_t tableRows(Operation *op, unsigned operand, int64_t axis) {
    if (operand >= op->getNumOperands())
      return 0;
    auto type = dyn_cast<RankedTensorType>(op->getOperand(operand).getType());
    if (!type)
      return 0;
    axis += axis < 0 ? type.getRank() : 0;
    return axis < 0 || axis >= type.getRank() || type.isDynamicDim(axis) ? 0 : type.getDimSize(axis);
  }

  llvm::DenseSet<Value> seen; // graphs have no cycles, but diamonds
};

} // namespace

std::map<std::string, int64_t> sq::tokenInputs(FunctionOpInterface main) {
  std::map<std::string, int64_t> inputs;
  for (BlockArgument argument : main.getArguments()) {
    auto type = dyn_cast<TensorType>(argument.getType());
    auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name");
    if (!type || !type.getElementType().isInteger() || !name)
      continue;
    if (int64_t rows = Search().rowsOf(argument))
      inputs[name.getValue().str()] = rows;
  }
  return inputs;
}
