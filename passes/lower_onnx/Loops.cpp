/// Loop: a loop of the schedule, around kernels. One whose carried values change their
/// shapes is unrolled if the number of iterations is known.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/LoopBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

namespace {

/// Unrolling more iterations would make programs that take minutes to compile.
constexpr int64_t maxUnrolled = 256;

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

/// The operands of a Loop.
struct LoopOperands {
  Value count;     // i64, at least 0; null: any number of iterations
  Value condition; // i1
  SmallVector<Lowered *> carried;
};

FailureOr<LoopOperands> loopOperands(Lowering &l, Operation *op) {
  LoopOperands result;
  Scalars s = l.scalars(op->getLoc());
  if (l.operand(op, 0)) {
    FailureOr<SmallVector<Value>> count = l.knownInts(op, 0, "M");
    if (failed(count))
      return failure();
    if (count->size() != 1)
      return l.fail(op, "M is not one integer");
    result.count = s.max(count->front(), s.integer(l.builder.getI64Type(), 0));
  }
  result.condition = s.boolean(true);
  if (Lowered *condition = l.operand(op, 1)) {
    if (!condition->isBool() || staticCount(condition->dims).value_or(1) != 1)
      return l.fail(op, "the condition is not one bool");
    result.condition = readScalar(l, op->getLoc(), condition);
  }
  for (unsigned i = 2; i < op->getNumOperands(); ++i) {
    result.carried.push_back(l.operand(op, i));
    if (!result.carried.back())
      return l.fail(op, "its carried value " + Twine(i - 2) + " is missing");
  }
  return result;
}

Lowered scalarOf(Lowering &l, Value scalar) {
  Lowered value;
  value.element = scalar.getType();
  value.splat = scalar;
  return value;
}

/// Iteration after iteration, each with shapes of its own.
LogicalResult unroll(Lowering &l, Operation *op, Block &source, const LoopOperands &given,
                     int64_t count) {
  Scalars s = l.scalars(op->getLoc());
  SmallVector<Lowered *> carried = given.carried;
  size_t outputs = op->getNumResults() - carried.size();
  SmallVector<SmallVector<Lowered *>> collected(outputs);
  for (int64_t i = 0; i < count; ++i) {
    l.set(source.getArgument(0), scalarOf(l, s.integer(l.builder.getI64Type(), i)));
    l.set(source.getArgument(1), scalarOf(l, s.boolean(true)));
    for (auto [argument, value] : llvm::zip(source.getArguments().drop_front(2), carried))
      l.alias(argument, value);
    SmallVector<Lowered *> results = lowerBody(l, op, source, 1, 1 + carried.size());
    if (results.empty())
      return failure();
    auto goesOn = dyn_cast_or_null<IntegerAttr>(l.constantScalar(results[0]));
    if (!goesOn)
      return l.fail(op, "its carried values are sequences or change their shapes, and when it ends "
                        "depends on data");
    for (size_t c = 0; c < carried.size(); ++c)
      carried[c] = results[1 + c];
    for (size_t c = 0; c < outputs; ++c)
      collected[c].push_back(results[1 + carried.size() + c]);
    if (goesOn.getValue().isZero())
      break;
  }
  for (auto [i, value] : llvm::enumerate(carried))
    l.alias(op->getResult(i), value);
  for (auto [i, parts] : llvm::enumerate(collected)) {
    unsigned result = carried.size() + i;
    if (op->getResult(result).use_empty())
      continue;
    if (parts.empty())
      return l.fail(op, "no iteration gives scan output " + Twine(i) + " a shape");
    FailureOr<Lowered> whole = stack(l, op, parts, 0);
    if (failed(whole))
      return failure();
    l.set(op->getResult(result), *whole);
  }
  return success();
}

/// As a loop; `changesShape` tells that it cannot be one.
LogicalResult lowerAsLoop(Lowering &l, Operation *op, Block &source, const LoopOperands &given,
                          bool &changesShape) {
  OpFoldResult count;
  if (given.count)
    count = l.toDim(given.count);
  LoopBuilder loop(l, op);
  Type i64 = l.builder.getI64Type();
  Value next;
  {
    std::vector<Lowered> arguments;
    for (Lowered *initial : given.carried)
      arguments.push_back(loop.carry(initial));
    Lowering::Scope scope(l, loop.body());
    Scalars s = l.scalars(op->getLoc());
    l.facts.ranges[loop.iterator()] = {0, INT64_MAX};
    l.set(source.getArgument(0), scalarOf(l, s.toI64(loop.iterator())));
    l.set(source.getArgument(1), scalarOf(l, s.boolean(true)));
    for (auto [argument, value] : llvm::zip(source.getArguments().drop_front(2), arguments))
      l.set(argument, value);
    SmallVector<Lowered *> results = lowerBody(l, op, source, 1, 1 + given.carried.size());
    if (results.empty())
      return failure();
    if (!results[0]->isBool() || staticCount(results[0]->dims).value_or(1) != 1)
      return l.fail(op, "the condition of its body is not one bool");
    next = readScalar(l, op->getLoc(), results[0]);
    for (size_t i = 0; i < given.carried.size(); ++i)
      if (failed(loop.setNext(i, results[1 + i]))) {
        changesShape = loop.changedShape;
        return failure();
      }
    for (size_t i = given.carried.size(); i < op->getNumResults(); ++i) {
      if (!given.count)
        return l.fail(op, "it has scan outputs, but no M that bounds their length");
      if (failed(loop.collect(results[1 + i], 0, count, loop.iterator())))
        return failure();
    }
    loop.writeNext();
  }

  Scalars s = l.scalars(op->getLoc());
  OpFoldResult length;
  if (constantInteger(next) == 1 && given.count) {
    Value runs = s.select(given.condition, given.count, s.integer(i64, 0));
    loop.finish(s.toIndex(runs));
    length = l.toDim(runs);
  } else {
    loop.finishWhile(given.count ? s.toIndex(given.count) : Value(), given.condition, next);
    l.facts.ranges[loop.iterations] = {0, INT64_MAX};
    length = loop.iterations;
  }
  for (size_t i = 0; i < given.carried.size(); ++i)
    l.set(op->getResult(i), loop.carried(i));
  for (size_t i = given.carried.size(); i < op->getNumResults(); ++i) {
    Lowered whole = loop.collected(i - given.carried.size());
    Dims dims = whole.dims;
    dims[0] = length;
    if (l.resolve(whole.dims[0]) != l.resolve(length)) {
      Dims offsets(dims.size(), l.indexAttr(0)), strides(dims.size(), l.indexAttr(1));
      whole.tensor = sliceOf(l, op->getLoc(), whole.tensor, offsets, dims, strides, dims, whole.element);
    }
    l.setTensor(op, i, whole.tensor, dims, whole.element);
  }
  return success();
}

LogicalResult lowerLoop(Lowering &l, Operation *op) {
  Block *source = regionOf(l, op, "body");
  if (!source)
    return failure();
  FailureOr<LoopOperands> given = loopOperands(l, op);
  if (failed(given))
    return failure();
  size_t carried = given->carried.size();
  if (source->getNumArguments() != carried + 2 || op->getNumResults() < carried ||
      source->getTerminator()->getNumOperands() != op->getNumResults() + 1)
    return l.fail(op, "its body does not fit: it has " + Twine(carried) + " carried values and " +
                          Twine(op->getNumResults()) + " results, the body " +
                          Twine(source->getNumArguments()) + " inputs and " +
                          Twine(source->getTerminator()->getNumOperands()) + " outputs");
  // Sequences are lists of tensors that are known one by one: no loop carries them.
  bool changesShape = llvm::any_of(given->carried, [](Lowered *value) { return !value->isTensor(); });
  size_t failures = l.numFailures();
  if (!changesShape && succeeded(lowerAsLoop(l, op, *source, *given, changesShape)))
    return success();
  auto count = given->count ? constantInteger(given->count) : std::nullopt;
  bool isCounted = count && *count <= maxUnrolled && constantInteger(given->condition) == 1;
  if (!isCounted && !changesShape)
    return failure();
  l.forgetFailures(failures);
  if (!isCounted)
    return l.fail(op, "a carried value is a sequence, or changes its shape from iteration to "
                      "iteration; this needs a constant M of at most " + Twine(maxUnrolled));
  // What a loop cannot (a position in a list must be known), an iteration may.
  if (changesShape)
    return unroll(l, op, *source, *given, *count);
  if (succeeded(unroll(l, op, *source, *given, *count)))
    return success();
  // Told once, not for each iteration.
  l.forgetFailures(failures);
  return lowerAsLoop(l, op, *source, *given, changesShape);
}

} // namespace

void sq::registerLoops(LoweringTable &table) {
  table.add("Loop", 0, lowerLoop);
  table.takesLists("Loop", 2, UINT_MAX);
}
