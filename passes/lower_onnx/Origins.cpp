/// Shapes that contradict each other, and where they come from, for messages.
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
std::pair<Value, size_t> Lowering::dimSource(Value value, size_t place) {
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
  return {value, place};
}

/// "3 is dimension 1 of constant 'w'".
std::string Lowering::dimOrigin(std::pair<Value, size_t> source) {
  auto [value, place] = source;
  return dimText(lowered(value)->dims[place]) + " is dimension " + std::to_string(place) + " of " +
         originOf(value);
}

/// "f32[N, 3]".
std::string Lowering::typeText(Lowered *value) {
  std::string dims =
      llvm::join(llvm::map_range(value->dims, [&](OpFoldResult dim) { return dimText(dim); }), ", ");
  return (dtypeName(value->element) + "[" + dims + "]").str();
}

std::vector<std::string> Lowering::describeOperands(Operation *op, ArrayRef<OpFoldResult> unequal) {
  std::vector<std::string> lines, origins;
  SmallVector<bool> isFound(unequal.size());
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    Lowered *value = lowered(operand);
    if (!value || !value->isTensor() || i >= maxShownOperands)
      continue;
    lines.push_back("operand " + std::to_string(i) + " is " + typeText(value) + ", from " + originOf(operand));
    for (size_t d = 0; d < value->dims.size(); ++d) {
      std::pair<Value, size_t> source = dimSource(operand, d);
      bool isTold = unequal.empty() && source.first != operand;
      for (auto [side, found] : llvm::zip(unequal, isFound))
        if (!found && resolve(value->dims[d]) == resolve(side))
          isTold = found = true;
      if (std::string text = dimOrigin(source);
          isTold && origins.size() < maxShownOperands && !llvm::is_contained(origins, text))
        origins.push_back(std::move(text));
    }
  }
  llvm::append_range(lines, origins);
  return lines;
}

/// What the file says of a result (its value_info, or what onnx's inference made of that) holds for
/// what the operands give. (In bodies an iteration may be the exception.)
void Lowering::checkDeclared(Operation *op) {
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    auto declared = dyn_cast<RankedTensorType>(result.getType());
    Lowered *value = lowered(result);
    if (!declared || !value || !value->isTensor())
      continue;
    bool fits = declared.getRank() == value->rank();
    for (int64_t d = 0; fits && d < declared.getRank(); ++d) {
      auto size = staticDim(resolve(value->dims[d]));
      fits = declared.isDynamicDim(d) || !size || *size == declared.getDimSize(d);
    }
    if (fits)
      continue;
    std::string dims = llvm::join(llvm::map_range(declared.getShape(), [](int64_t size) {
      return ShapedType::isDynamic(size) ? "?" : std::to_string(size);
    }), ", ");
    (void)fail(op, "its output " + Twine(i) + " is " + typeText(value) + ", but the model declares it as [" +
                       dims + "]; correct or remove its value_info");
    return;
  }
}
