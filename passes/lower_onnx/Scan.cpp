/// Scan: a loop of the schedule over the slices of its inputs, and the batched one of
/// opset 8, which is a loop over such loops.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/LoopBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

namespace {

/// What one scan goes over. Axes of inputs count from the front; those of outputs may
/// count from the end, as the ranks are known only in the body.
struct ScanOperands {
  SmallVector<Lowered *> states, inputs;
  SmallVector<int64_t> inputAxes, inputDirections, outputAxes, outputDirections;
  /// How many of the iterations count: from there on states stay as they are and
  /// outputs are 0. Null: all.
  Value length;
};

/// Attribute `name`, a number for each of `count` things; all 0 when absent.
FailureOr<SmallVector<int64_t>> numbersFor(Lowering &l, Operation *op, StringRef name, int64_t count) {
  SmallVector<int64_t> numbers = l.intsAttr(op, name).value_or(SmallVector<int64_t>(count, 0));
  if (int64_t(numbers.size()) != count)
    return l.fail(op, "its attribute `" + name + "` has " + Twine(numbers.size()) + " numbers for " +
                          Twine(count));
  return numbers;
}

/// Slice `position` of dim `axis`, without that dim.
Lowered sliceAt(Lowering &l, Location loc, Lowered *x, Value tensor, int64_t axis, Value position) {
  Dims offsets(x->rank(), l.indexAttr(0)), strides(x->rank(), l.indexAttr(1)), sizes = x->dims;
  offsets[axis] = position;
  sizes[axis] = l.indexAttr(1);
  Dims dims = dimsWithout(x->dims, {axis});
  Lowered slice;
  slice.element = x->element;
  slice.dims = slice.stored = dims;
  slice.tensor = sliceOf(l, loc, tensor, offsets, sizes, strides, dims, x->element);
  return slice;
}

/// `value` while `runs`; then `otherwise`, or null for zeros.
FailureOr<Lowered> onlyWhile(Lowering &l, Operation *op, Value runs, Lowered *value, Lowered *otherwise) {
  SmallVector<Lowered *> operands = {value};
  if (otherwise)
    operands.push_back(otherwise);
  return l.mapElements(op, operands, value->element, [&](Scalars &s, ValueRange x) {
    Value rest = otherwise ? x[1] : s.constant(cast<TypedAttr>(s.builder.getZeroAttr(x[0].getType())));
    return s.select(runs, x[0], rest);
  });
}

/// The last states, then what was collected; empty after a failure.
std::vector<Lowered> scan(Lowering &l, Operation *op, Block &source, const ScanOperands &given) {
  Location loc = op->getLoc();
  size_t states = given.states.size(), outputs = given.outputAxes.size();
  OpFoldResult count;
  SmallVector<Value> tensors;
  for (auto [x, axis] : llvm::zip_equal(given.inputs, given.inputAxes)) {
    auto common = count ? l.unify(op, count, x->dims[axis], "the length to scan")
                        : FailureOr<OpFoldResult>(x->dims[axis]);
    if (failed(common))
      return {};
    count = *common;
    tensors.push_back(l.tensor(x));
  }
  count = l.resolve(count);
  Value iterations = l.indexValue(count);

  LoopBuilder loop(l, op);
  {
    std::vector<Lowered> arguments;
    for (Lowered *state : given.states)
      arguments.push_back(loop.carry(state));
    Lowering::Scope scope(l, loop.body());
    Scalars s = l.scalars(loc);
    l.facts.ranges[loop.iterator()] = {0, INT64_MAX};
    Value one = s.integer(iterations.getType(), 1);
    auto before = [&](Value end) { return s.sub(s.sub(end, one), loop.iterator()); };
    Value backwards = before(iterations), backwardsIn = backwards, runs;
    if (given.length) {
      runs = s.compare(arith::CmpIPredicate::slt, loop.iterator(), given.length);
      backwardsIn = s.max(before(given.length), s.integer(iterations.getType(), 0));
    }
    for (size_t i = 0; i < states; ++i)
      l.set(source.getArgument(i), arguments[i]);
    for (auto [i, x] : llvm::enumerate(given.inputs))
      l.set(source.getArgument(states + i),
            sliceAt(l, loc, x, tensors[i], given.inputAxes[i],
                    given.inputDirections[i] ? backwardsIn : loop.iterator()));
    SmallVector<Lowered *> results = lowerBody(l, op, source);
    if (results.empty())
      return {};
    std::deque<Lowered> limited;
    for (size_t i = 0; runs && i < results.size(); ++i) {
      auto value = onlyWhile(l, op, runs, results[i], i < states ? &arguments[i] : nullptr);
      if (failed(value))
        return {};
      results[i] = &limited.emplace_back(*value);
    }
    for (size_t i = 0; i < states; ++i)
      if (failed(loop.setNext(i, results[i]))) {
        if (loop.changedShape)
          (void)l.fail(op, "state " + Twine(i) + " changes its shape");
        return {};
      }
    for (size_t i = 0; i < outputs; ++i) {
      Lowered *value = results[states + i];
      auto axis = l.normalizeAxis(op, given.outputAxes[i], value->rank() + 1);
      if (failed(axis) || failed(loop.collect(value, *axis, count,
                                              given.outputDirections[i] ? backwards : loop.iterator())))
        return {};
    }
    loop.writeNext();
  }
  loop.finish(iterations);
  std::vector<Lowered> results;
  for (size_t i = 0; i < states; ++i)
    results.push_back(loop.carried(i));
  for (size_t i = 0; i < outputs; ++i)
    results.push_back(loop.collected(i));
  return results;
}

/// Operands from `first` on as states and inputs. Fails when one is missing or the body
/// does not fit.
FailureOr<ScanOperands> operandsFrom(Lowering &l, Operation *op, Block &body, unsigned first) {
  int64_t operands = int64_t(op->getNumOperands()) - first;
  int64_t inputs = l.intAttr(op, "num_scan_inputs", 0), states = operands - inputs;
  if (inputs < 1 || states < 0 || int64_t(op->getNumResults()) < states ||
      int64_t(body.getNumArguments()) != operands ||
      body.getTerminator()->getNumOperands() != op->getNumResults())
    return l.fail(op, "its body does not fit its inputs and outputs");
  ScanOperands given;
  for (int64_t i = 0; i < operands; ++i) {
    Lowered *operand = l.operand(op, first + i);
    if (!operand)
      return l.fail(op, "its input " + Twine(first + i) + " is missing");
    (i < states ? given.states : given.inputs).push_back(operand);
  }
  return given;
}

LogicalResult lowerScan(Lowering &l, Operation *op, Block &body) {
  FailureOr<ScanOperands> given = operandsFrom(l, op, body, 0);
  if (failed(given))
    return failure();
  int64_t inputs = given->inputs.size(), outputs = op->getNumResults() - given->states.size();
  auto inputAxes = numbersFor(l, op, "scan_input_axes", inputs);
  auto inputDirections = numbersFor(l, op, "scan_input_directions", inputs);
  auto outputAxes = numbersFor(l, op, "scan_output_axes", outputs);
  auto outputDirections = numbersFor(l, op, "scan_output_directions", outputs);
  if (failed(inputAxes) || failed(inputDirections) || failed(outputAxes) || failed(outputDirections))
    return failure();
  for (auto [x, axis] : llvm::zip_equal(given->inputs, *inputAxes)) {
    auto normal = l.normalizeAxis(op, axis, x->rank());
    if (failed(normal))
      return failure();
    given->inputAxes.push_back(*normal);
  }
  given->inputDirections = *inputDirections;
  given->outputAxes = *outputAxes;
  given->outputDirections = *outputDirections;
  std::vector<Lowered> results = scan(l, op, body, *given);
  if (results.empty())
    return failure();
  for (auto [i, value] : llvm::enumerate(results))
    l.set(op->getResult(i), value);
  return success();
}

/// Opset 8: (sequence_lens?, states.., inputs..), all but the lengths [batch, ..], inputs
/// and outputs [batch, sequence, ..]. What a sequence is too short for is 0, as
/// onnxruntime leaves it.
LogicalResult lowerBatchedScan(Lowering &l, Operation *op, Block &body) {
  Location loc = op->getLoc();
  FailureOr<ScanOperands> given = operandsFrom(l, op, body, 1);
  if (failed(given))
    return failure();
  size_t states = given->states.size(), inputs = given->inputs.size();
  auto directions = numbersFor(l, op, "directions", inputs);
  if (failed(directions))
    return failure();
  OpFoldResult batch, length;
  Value lengths;
  auto isBatched = [&](Lowered *x, int64_t rank, unsigned operand) -> LogicalResult {
    if (x->rank() < rank)
      return l.fail(op, "its input " + Twine(operand) + " has rank " + Twine(x->rank()) +
                            "; opset 8 needs at least " + Twine(rank));
    auto common = batch ? l.unify(op, batch, x->dims[0], "the batch") : FailureOr<OpFoldResult>(x->dims[0]);
    if (succeeded(common))
      batch = *common;
    return common;
  };
  SmallVector<Lowered *> all = given->states;
  all.append(given->inputs);
  SmallVector<Value> tensors;
  for (auto [i, x] : llvm::enumerate(all)) {
    if (failed(isBatched(x, i < states ? 1 : 2, 1 + i)))
      return failure();
    tensors.push_back(l.tensor(x));
  }
  if (Lowered *given = l.operand(op, 0)) {
    if (given->rank() != 1 || !given->element.isInteger())
      return l.fail(op, "sequence_lens are not a vector of integers");
    if (failed(isBatched(given, 1, 0)))
      return failure();
    lengths = l.tensor(given);
    length = l.resolve(all[states]->dims[1]);
  }
  batch = l.resolve(batch);
  Value count = l.indexValue(batch), most = length ? l.indexValue(length) : Value();

  LoopBuilder loop(l, op);
  {
    Lowering::Scope scope(l, loop.body());
    Scalars s = l.scalars(loc);
    l.facts.ranges[loop.iterator()] = {0, INT64_MAX};
    std::deque<Lowered> slices;
    for (auto [x, tensor] : llvm::zip_equal(all, tensors))
      slices.push_back(sliceAt(l, loc, x, tensor, 0, loop.iterator()));
    ScanOperands one;
    for (auto [i, slice] : llvm::enumerate(slices))
      (i < states ? one.states : one.inputs).push_back(&slice);
    one.inputAxes.assign(inputs, 0);
    one.inputDirections = *directions;
    one.outputAxes.assign(op->getNumResults() - states, 0);
    one.outputDirections = one.outputAxes;
    if (lengths) {
      one.length = s.toIndex(tensor::ExtractOp::create(l.builder, loc, lengths, loop.iterator()));
      Value zero = s.integer(one.length.getType(), 0);
      for (Value fits : {s.compare(arith::CmpIPredicate::sge, one.length, zero),
                         s.compare(arith::CmpIPredicate::sle, one.length, most)})
        l.assertTrue(op, fits, "sequence_lens has an element outside of 0 to the sequence's length");
    }
    std::vector<Lowered> results = scan(l, op, body, one);
    if (results.empty())
      return failure();
    for (Lowered &value : results)
      if (failed(loop.collect(&value, 0, batch, loop.iterator())))
        return failure();
  }
  loop.finish(count);
  for (unsigned i = 0; i < op->getNumResults(); ++i)
    l.set(op->getResult(i), loop.collected(i));
  return success();
}

LogicalResult lowerScanOfOpset(Lowering &l, Operation *op) {
  Block *body = regionOf(l, op, "body");
  if (!body)
    return failure();
  return l.opset() < 9 ? lowerBatchedScan(l, op, *body) : lowerScan(l, op, *body);
}

} // namespace

void sq::registerScan(LoweringTable &table) {
  table.add("Scan", 0, lowerScanOfOpset); // (opset 8 may leave its first input out)
}
