#include "passes/lower_onnx/Regions.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace sq;

/// `value`, if need be computed again before `around`; null when that cannot be.
static Value valueBefore(Lowering &l, Value value, Operation *around, IRMapping &copies) {
  if (Value copy = copies.lookupOrNull(value))
    return copy;
  Region *home = value.getParentRegion();
  bool isInside = llvm::any_of(around->getRegions(),
                               [&](Region &region) { return region.isAncestor(home); });
  if (!isInside)
    return value;
  Operation *op = value.getDefiningOp();
  if (!op || !isPure(op) || op->getNumRegions())
    return Value();
  for (Value operand : op->getOperands())
    if (!valueBefore(l, operand, around, copies))
      return Value();
  Operation *copy = l.builder.clone(*op, copies);
  copies.map(value, copy->getResult(cast<OpResult>(value).getResultNumber()));
  return copies.lookup(value);
}

std::optional<Dims> sq::dimsBefore(Lowering &l, ArrayRef<OpFoldResult> dims, Operation *around,
                                   Operation *point) {
  OpBuilder::InsertionGuard guard(l.builder);
  l.builder.setInsertionPoint(point);
  IRMapping copies;
  Dims result;
  for (OpFoldResult dim : dims) {
    auto value = dyn_cast<Value>(dim);
    if (!value) {
      result.push_back(dim);
      continue;
    }
    Value before = valueBefore(l, value, around, copies);
    if (!before)
      return std::nullopt;
    auto known = l.facts.ranges.find(value);
    if (before != value && known != l.facts.ranges.end())
      l.facts.ranges[before] = Interval(known->second);
    result.push_back(before);
  }
  return result;
}

Value sq::writeTo(Lowering &l, Location loc, Lowered *value, Value destination) {
  Value tensor = l.tensor(value);
  if (tensor.getType() != destination.getType())
    tensor = tensor::CastOp::create(l.builder, loc, destination.getType(), tensor);
  return bufferization::MaterializeInDestinationOp::create(l.builder, loc, tensor, destination)
      .getResult();
}

bool sq::travelsAsScalars(Lowering &l, Lowered *value) {
  if (!value->isInteger() && !value->isBool())
    return false;
  auto known = l.elements(value);
  return known && int64_t(known->size()) <= maxCarriedScalars;
}

Block *sq::regionOf(Lowering &l, Operation *op, StringRef name) {
  auto names = op->getAttrOfType<ArrayAttr>("region_names");
  for (auto [i, region] : llvm::enumerate(op->getRegions()))
    if (names && i < names.size() && names[i] == StringAttr::get(op->getContext(), name) &&
        !region.empty())
      return &region.front();
  (void)l.fail(op, name + " is missing");
  return nullptr;
}
