/// Where the shapes come from that contradict each other, for messages.
#include "passes/lower_onnx/Lowering.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace sq;

/// More would hide the cause.
static constexpr unsigned maxShownOperands = 8;

/// "input 'x'", "constant 'w'", "node 'Reshape_7'".
static std::string originOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument) {
    Operation *op = value.getDefiningOp();
    bool isConstant = op->getName().getStringRef() == "onnx.Constant";
    return (isConstant ? "constant '" : "node '") + nodeName(op) + "'";
  }
  auto function = dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp());
  unsigned number = argument.getArgNumber();
  if (!function)
    return "input " + std::to_string(number) + " of a body";
  auto name = function.getArgAttrOfType<StringAttr>(number, "onnx.name");
  return "input '" + (name ? name.str() : std::to_string(number)) + "'";
}

std::string Lowering::dimText(OpFoldResult dim) {
  dim = resolve(dim);
  if (auto size = staticDim(dim))
    return std::to_string(*size);
  Symbol *symbol = symbolOf(dim);
  return symbol ? symbol->name : "?";
}

/// A dim that an operand of the definer has, too, in the same place counted from the end (as
/// elementwise ops leave it) or else anywhere, was there before.
std::string Lowering::dimOrigin(Value value, size_t place) {
  Lowered *shape = lowered(value);
  OpFoldResult dim = resolve(shape->dims[place]);
  for (Operation *op = value.getDefiningOp(); op && op->getNumOperands(); op = value.getDefiningOp()) {
    size_t fromEnd = shape->dims.size() - place;
    Value before;
    size_t beforePlace = 0;
    bool isSamePlace = false;
    for (Value operand : op->getOperands()) {
      Lowered *given = lowered(operand);
      for (size_t i = 0, rank = given ? given->dims.size() : 0; i < rank; ++i) {
        bool isSame = rank - i == fromEnd;
        if (resolve(given->dims[i]) != dim || (before && (isSamePlace || !isSame)))
          continue;
        before = operand;
        beforePlace = i;
        isSamePlace = isSame;
      }
    }
    if (!before)
      break;
    value = before;
    place = beforePlace;
    shape = lowered(value);
  }
  return dimText(dim) + " is dimension " + std::to_string(place) + " of " + originOf(value);
}

std::vector<std::string> Lowering::describeContradiction(Operation *op, OpFoldResult a,
                                                         OpFoldResult b) {
  std::vector<std::string> lines;
  std::string origins[2];
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    Lowered *value = lowered(operand);
    if (!value || i >= maxShownOperands)
      continue;
    std::string dims = llvm::join(
        llvm::map_range(value->dims, [&](OpFoldResult dim) { return dimText(dim); }), ", ");
    lines.push_back("operand " + std::to_string(i) + " is [" + dims + "], from " +
                    originOf(operand));
    for (auto [d, dim] : llvm::enumerate(value->dims))
      for (auto [side, origin] : {std::pair(a, &origins[0]), std::pair(b, &origins[1])})
        if (origin->empty() && resolve(dim) == resolve(side))
          *origin = dimOrigin(operand, d);
  }
  for (std::string &origin : origins)
    if (!origin.empty())
      lines.push_back(std::move(origin));
  return lines;
}
