/// If, and Dropout, which vanishes when a model is compiled for inference.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/Regions.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sq;

namespace {

LogicalResult lowerDropout(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (Lowered *training = l.operand(op, 2)) {
    auto value = dyn_cast_or_null<IntegerAttr>(l.constantScalar(training));
    if (!value)
      return l.fail(op, "training_mode depends on run-time data; make it a constant");
    if (!value.getValue().isZero())
      return l.fail(op, "training mode is not supported; export the model for inference");
  }
  l.alias(op->getResult(0), x);
  if (op->getNumResults() > 1 && !op->getResult(1).use_empty()) {
    Scalars s = l.scalars(op->getLoc());
    l.setSplat(op, 1, s.boolean(true), x->dims, l.builder.getI1Type());
  }
  return success();
}

/// One branch of an If: a loop that runs once or never. (scf.if would do, but its two
/// branches cannot write to one tensor: bufferization takes that for a conflict.)
struct Branch {
  scf::ForOp draft; // its types are not known yet
  Value runs;       // 1 or 0, index
  std::vector<Lowered> results; // with values of its body
};

LogicalResult lowerBranch(Lowering &l, Operation *op, Block &source, Branch &branch) {
  Scalars s = l.scalars(op->getLoc());
  Type index = l.builder.getIndexType();
  branch.draft = scf::ForOp::create(l.builder, op->getLoc(), s.integer(index, 0), branch.runs,
                                    s.integer(index, 1));
  branch.draft.getBody()->clear(); // its terminator comes last
  Lowering::Scope scope(l, branch.draft.getBody());
  size_t failures = l.numFailures();
  l.lowerBlock(source);
  if (l.numFailures() != failures)
    return l.failInside(op);
  for (Value operand : source.getTerminator()->getOperands()) {
    Lowered *value = l.lowered(operand);
    if (!value)
      return l.failInside(op);
    (void)l.elements(value);
    branch.results.push_back(*value);
    for (OpFoldResult &dim : branch.results.back().dims)
      dim = l.resolve(dim);
  }
  return success();
}

LogicalResult lowerBranchNow(Lowering &l, Operation *op, Block &source) {
  size_t failures = l.numFailures();
  l.lowerBlock(source);
  if (l.numFailures() != failures)
    return l.failInside(op);
  for (auto [result, value] : llvm::zip(op->getResults(), source.getTerminator()->getOperands()))
    if (Lowered *lowered = l.lowered(value))
      l.alias(result, lowered);
  return success();
}

/// The dims of a result: those of both branches, or the one that the condition chooses.
FailureOr<Dims> commonDims(Lowering &l, Operation *op, Value condition,
                           MutableArrayRef<Branch> branches, unsigned i) {
  const Lowered &a = branches[0].results[i], &b = branches[1].results[i];
  if (a.element != b.element || a.rank() != b.rank())
    return l.fail(op, "its branches give result " + Twine(i) + " as " + dtypeName(a.element) +
                          " of rank " + Twine(a.rank()) + " and as " + dtypeName(b.element) +
                          " of rank " + Twine(b.rank()) +
                          "; that needs a condition which is known before the run");
  Operation *first = branches[0].draft;
  auto then = dimsBefore(l, a.dims, first, first);
  auto otherwise = dimsBefore(l, b.dims, branches[1].draft, first);
  if (!then || !otherwise)
    return l.fail(op, "the size of result " + Twine(i) +
                          " depends on data that only a branch computes");
  OpBuilder::InsertionGuard guard(l.builder);
  l.builder.setInsertionPoint(first);
  Dims dims;
  for (auto [x, y] : llvm::zip_equal(*then, *otherwise))
    dims.push_back(l.resolve(x) == l.resolve(y) ? x : selectDim(l, condition, x, y));
  return dims;
}

/// A result of both branches, as values of their loops.
struct Result {
  Type element;
  Dims dims;
  bool isScalars;
  SmallVector<Value> initial;
  SmallVector<Value> yields[2];
};

FailureOr<Result> joinResult(Lowering &l, Operation *op, Value condition,
                             MutableArrayRef<Branch> branches, unsigned i) {
  FailureOr<Dims> dims = commonDims(l, op, condition, branches, i);
  if (failed(dims))
    return failure();
  Lowered *values[] = {&branches[0].results[i], &branches[1].results[i]};
  Result result{values[0]->element, *dims, false, {}, {}};
  result.isScalars = staticCount(*dims).value_or(maxKnownElements) <= maxCarriedScalars &&
                     values[0]->elements && values[1]->elements;
  Location loc = op->getLoc();
  OpBuilder::InsertionGuard guard(l.builder);
  l.builder.setInsertionPoint(branches[0].draft);
  if (result.isScalars) {
    for (Value element : *values[0]->elements)
      result.initial.push_back(arith::ConstantOp::create(
          l.builder, loc, cast<TypedAttr>(l.builder.getZeroAttr(element.getType()))));
  } else {
    result.initial = {l.emptyTensor(loc, *dims, result.element)};
  }
  for (auto [side, branch] : llvm::enumerate(branches)) {
    Block *body = branch.draft.getBody();
    SmallVector<Value> arguments;
    for (Value initial : result.initial)
      arguments.push_back(body->addArgument(initial.getType(), loc));
    Lowering::Scope scope(l, body);
    if (result.isScalars)
      result.yields[side] = *values[side]->elements;
    else
      result.yields[side] = {writeTo(l, loc, values[side], arguments.front())};
  }
  return result;
}

LogicalResult lowerRunTimeIf(Lowering &l, Operation *op, Value condition, Block &thenSource,
                             Block &elseSource) {
  Location loc = op->getLoc();
  Scalars s = l.scalars(loc);
  Type index = l.builder.getIndexType();
  Value zero = s.integer(index, 0), one = s.integer(index, 1);
  Branch branches[] = {{nullptr, s.select(condition, one, zero), {}},
                       {nullptr, s.select(condition, zero, one), {}}};
  LogicalResult lowered = success();
  if (failed(lowerBranch(l, op, thenSource, branches[0])) ||
      failed(lowerBranch(l, op, elseSource, branches[1])))
    lowered = failure();
  std::vector<std::pair<unsigned, Result>> results;
  for (unsigned i = 0; succeeded(lowered) && i < op->getNumResults(); ++i) {
    if (op->getResult(i).use_empty())
      continue;
    FailureOr<Result> result = joinResult(l, op, condition, branches, i);
    if (failed(result))
      lowered = failure();
    else
      results.emplace_back(i, std::move(*result));
  }

  // The second loop takes over what the first one left.
  SmallVector<Value> values;
  for (auto &[i, result] : results)
    llvm::append_range(values, result.initial);
  for (unsigned side : {0, 1}) {
    scf::ForOp draft = branches[side].draft;
    if (succeeded(lowered)) {
      auto loop = scf::ForOp::create(l.builder, loc, zero, branches[side].runs, one, values);
      loop.getRegion().takeBody(draft.getRegion());
      SmallVector<Value> yields;
      for (auto &[i, result] : results)
        llvm::append_range(yields, result.yields[side]);
      OpBuilder end = OpBuilder::atBlockEnd(loop.getBody());
      scf::YieldOp::create(end, loc, yields);
      values.assign(loop.result_begin(), loop.result_end());
    }
    if (draft)
      draft.erase();
  }
  if (failed(lowered))
    return failure();
  ArrayRef<Value> rest = values;
  for (auto &[i, result] : results) {
    ArrayRef<Value> own = rest.take_front(result.initial.size());
    rest = rest.drop_front(own.size());
    if (result.isScalars)
      l.setElements(op, i, SmallVector<Value>(own), result.dims, result.element);
    else
      l.setTensor(op, i, own.front(), result.dims, result.element);
  }
  return success();
}

LogicalResult lowerIf(Lowering &l, Operation *op) {
  Lowered *given = l.operand(op, 0);
  if (!given->isBool() || staticCount(given->dims).value_or(1) != 1)
    return l.fail(op, "the condition is not one bool");
  Block *branches[] = {regionOf(l, op, "then_branch"), regionOf(l, op, "else_branch")};
  if (!branches[0] || !branches[1])
    return failure();
  for (Block *branch : branches)
    if (branch->getTerminator()->getNumOperands() != op->getNumResults())
      return l.fail(op, "a branch gives " + Twine(branch->getTerminator()->getNumOperands()) +
                            " values for " + Twine(op->getNumResults()) + " results");
  if (auto known = dyn_cast_or_null<IntegerAttr>(l.constantScalar(given)))
    return lowerBranchNow(l, op, *branches[known.getValue().isZero() ? 1 : 0]);
  return lowerRunTimeIf(l, op, readScalar(l, op->getLoc(), given), *branches[0], *branches[1]);
}

} // namespace

void sq::registerControl(LoweringTable &table) {
  table.add("Dropout", 1, lowerDropout);
  table.add("If", 1, lowerIf);
}
