//===-- Movement.cpp - ops that move elements and compute none ----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

#include "passes/integer_only/Converter.h"

using namespace mlir;
using namespace sq;

namespace {

bool hasFloats(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

/// The float tensors that `op` takes elements from.
SmallVector<Value> sourcesOf(Operation *op) {
  SmallVector<Value> sources;
  auto add = [&](Value v) {
    if (hasFloats(v.getType()) && !v.getDefiningOp<tensor::EmptyOp>() && !llvm::is_contained(sources, v))
      sources.push_back(v);
  };
  auto generic = dyn_cast<linalg::GenericOp>(op);
  SmallVector<Value> read(op->getOperands());
  if (generic)
    read = generic.getDpsInputs();
  else if (isa<linalg::TransposeOp>(op))
    read.truncate(1);
  llvm::for_each(read, add);
  if (generic)
    for (auto extract : generic.getBody()->getOps<tensor::ExtractOp>())
      add(extract.getTensor());
  return sources;
}

/// Numbers that the body of a loop chooses besides elements, as masked places have them.
SmallVector<std::pair<Value, double>> numbersOf(Operation *op) {
  SmallVector<std::pair<Value, double>> numbers;
  op->walk([&](Operation *inner) {
    if (isa<arith::SelectOp, linalg::YieldOp, tensor::YieldOp>(inner))
      for (Value v : inner->getOperands())
        if (FloatAttr number; matchPattern(v, m_Constant(&number)))
          numbers.emplace_back(v, number.getValueAsDouble());
  });
  return numbers;
}

/// `op` on tensors of `element` instead of floats; `integerOf` makes integers of numbers.
Value cloneOn(ImplicitLocOpBuilder &b, Operation *op, ArrayRef<Value> sources, ArrayRef<Value> with, Type element,
              function_ref<int64_t(double)> integerOf) {
  IRMapping map;
  map.map(sources, with);
  for (auto [v, number] : numbersOf(op))
    map.map(v, arith::ConstantOp::create(b, b.getIntegerAttr(element, integerOf(number))).getResult());
  for (Value v : op->getOperands())
    if (auto empty = v.getDefiningOp<tensor::EmptyOp>(); empty && hasFloats(empty.getType()))
      map.map(v, tensor::EmptyOp::create(b, empty.getMixedSizes(), element).getResult());
  Operation *copy = b.clone(*op, map);
  auto retype = [&](Value v) {
    if (auto shaped = dyn_cast<ShapedType>(v.getType()); shaped && hasFloats(shaped))
      v.setType(shaped.clone(element));
    else if (hasFloats(v.getType()))
      v.setType(element);
  };
  copy->walk([&](Operation *inner) {
    for (Value v : inner->getResults())
      retype(v);
    for (Region &region : inner->getRegions())
      for (BlockArgument arg : region.getArguments())
        retype(arg);
  });
  return copy->getResult(0);
}

} // namespace

bool IntegerConverter::isMovement(Op *op) {
  if (op->getNumResults() != 1)
    return false;
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, tensor::ExtractSliceOp, tensor::InsertSliceOp, tensor::ConcatOp, linalg::TransposeOp>(op))
    return true;
  if (auto pad = dyn_cast<tensor::PadOp>(op))
    return pad.getConstantPaddingValue() != nullptr;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumReductionLoops())
    return false;
  // Floats are read, chosen from and written; what comes from outside is constant.
  return llvm::all_of(*generic.getBody(), [&](Op &inner) {
    bool isOfFloats = llvm::any_of(inner.getOperandTypes(), hasFloats) || llvm::any_of(inner.getResultTypes(), hasFloats);
    if (!isOfFloats)
      return true;
    return isa<tensor::ExtractOp, arith::ConstantOp>(inner) ||
           (isa<arith::SelectOp, linalg::YieldOp>(inner) && llvm::all_of(inner.getOperands(), [&](Value v) {
              return v.getParentBlock() == generic.getBody() || matchPattern(v, m_Constant());
            }));
  }) && !sourcesOf(op).empty();
}

bool IntegerConverter::convertMovement(Op *op) {
  SmallVector<Value> sources = sourcesOf(op);
  Value result = op->getResult(0);
  if (sources.size() == 1 && masks.contains(sources[0])) {
    TwoValued mask = masks.lookup(sources[0]);
    for (auto [v, number] : numbersOf(op))
      if (number != mask.atFalse && number != mask.atTrue)
        return refuse("it makes a mask of more than two values");
    auto bitOf = [&](double number) -> int64_t { return number == mask.atTrue; };
    masks[result] = {cloneOn(b, op, sources, mask.bits, b.getI1Type(), bitOf), mask.atFalse, mask.atTrue};
    return true;
  }
  if (Value count = sources.size() == 1 ? counts.lookup(sources[0]) : Value(); count && numbersOf(op).empty()) {
    counts[result] = cloneOn(b, op, sources, count, b.getI32Type(), [](double) { return 0; });
    return true;
  }
  for (Value source : sources)
    if (!isKnown(source))
      return refuse("what it reads is in float");
  auto move = [this, op, sources](const Form &form) -> Value {
    SmallVector<Value> integers;
    for (Value source : sources) {
      integers.push_back(get(source, form));
      if (!integers.back())
        return Value();
    }
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    Location before = b.getLoc();
    b.setLoc(op->getLoc());
    int64_t low = form.isUnsigned ? 0 : -(INT64_C(1) << (form.bits - 1)), high = low + (INT64_C(1) << form.bits) - 1;
    Value moved = cloneOn(b, op, sources, integers, form.storage(b.getContext()), [&](double number) {
      double q = std::nearbyint(number / form.scale) + double(form.zero);
      return q <= double(low) ? low : q >= double(high) ? high : int64_t(q);
    });
    b.setLoc(before);
    return moved;
  };
  Known &entry = known[result];
  entry.perChannel = false;
  entry.direct = move;
  entry.raw = [this, sources, result, move] {
    Form form;
    if (const auto *stats = statsOf(result)) {
      form = wideForm(*stats);
    } else {
      Raw raw = rawOf(sources[0]);
      form = {raw.bits, raw.isUnsigned, *std::max_element(raw.scales.begin(), raw.scales.end()), raw.zero};
    }
    return Raw{move(form), {form.scale}, form.bits, form.isUnsigned, form.zero};
  };
  // The last dim stays as it is: so do its channels.
  auto expand = dyn_cast<tensor::ExpandShapeOp>(op);
  auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
  bool keepsLast = isa<tensor::CastOp>(op) || (expand && expand.getReassociationIndices().back().size() == 1) ||
                   (collapse && collapse.getReassociationIndices().back().size() == 1);
  if (keepsLast) {
    auto below = known.find(sources[0]);
    known[result].perChannel = below == known.end() || below->second.perChannel;
  }
  return true;
}
