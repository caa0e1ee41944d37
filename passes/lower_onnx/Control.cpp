/// If whose condition is constant.

#include "passes/lower_onnx/Generics.h"

using namespace mlir;
using namespace sq;

namespace {

LogicalResult lowerIf(Lowering &l, Operation *op) {
  auto condition = dyn_cast_or_null<IntegerAttr>(l.constantScalar(l.operand(op, 0)));
  if (!condition)
    return l.fail(op, "the condition depends on run-time data; only a constant one is supported");
  StringRef wanted = condition.getValue().isZero() ? "else_branch" : "then_branch";
  auto names = op->getAttrOfType<ArrayAttr>("region_names");
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    if (!names || i >= names.size() || region.empty() ||
        names[i] != StringAttr::get(op->getContext(), wanted))
      continue;
    Block &block = region.front();
    l.lowerBlock(block);
    Operation *yield = block.getTerminator();
    if (yield->getNumOperands() != op->getNumResults())
      return l.fail(op, wanted + " gives " + Twine(yield->getNumOperands()) + " values for " +
                            Twine(op->getNumResults()) + " results");
    // What failed inside has been reported; its results stay undefined.
    for (auto [result, value] : llvm::zip(op->getResults(), yield->getOperands()))
      if (Lowered *lowered = l.lowered(value))
        l.alias(result, lowered);
    return success();
  }
  return l.fail(op, wanted + " is missing");
}

} // namespace

void sq::registerControl(LoweringTable &table) {
  table.add("If", 1, lowerIf);
}
