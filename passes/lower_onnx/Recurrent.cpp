/// RNN, GRU, LSTM: one product of all steps with W, then a loop of the schedule over the
/// steps. An iteration multiplies the state by R and computes all gates in one pass, which
/// overwrites the state and writes its row of Y.

#include "passes/lower_onnx/Contractions.h"
#include "passes/lower_onnx/Recurrent.h"
#include "passes/lower_onnx/Regions.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

//===----------------------------------------------------------------------===//
// A step
//===----------------------------------------------------------------------===//

Value Recurrence::activate(Scalars &s, const Activation &function, Value x, bool isGate) {
  // (Not on the way from c to h: so onnxruntime reads the specification.)
  if (clip && isGate) {
    x = s.make<arith::MaximumFOp>(x, s.number(compute, -*clip));
    x = s.make<arith::MinimumFOp>(x, s.number(compute, *clip));
  }
  return function.fn(s, x, function.alpha.value_or(0), function.beta.value_or(0));
}

/// `tensor` [batch, count, hidden] gate by gate.
SmallVector<Input> Recurrence::gatesOf(Value tensor, int64_t count) {
  SmallVector<Input> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back({tensor, map({row(), l.builder.getAffineConstantExpr(i), column()})});
  return result;
}

/// The products of a state with `count` gates of R.
FailureOr<SmallVector<Input>> Recurrence::stateTimes(Value state, const Matrix &matrix, int64_t count,
                                                     const Lowered *bias) {
  Lowered h = asLowered(state, {batch, l.indexAttr(hidden)}, element), weight = matrix.value;
  FailureOr<Lowered> product = multiplyByMatrix(l, op, &h, &weight, matrix.transposed);
  if (succeeded(product) && bias)
    product = plus(*product, {*bias});
  if (failed(product))
    return failure();
  Value tensor = l.reshape(loc, l.tensor(&*product), product->dims,
                           {batch, l.indexAttr(count), l.indexAttr(hidden)});
  return gatesOf(tensor, count);
}

/// The next h and c: the formulas of the specification, with x the products of X and W
/// and r those of the state and R, in its order of gates: iofc, zrh.
std::pair<Value, Value> Recurrence::gateValues(Scalars &s, Direction &dir, ArrayRef<Value> x,
                                               ArrayRef<Value> r, ArrayRef<Value> p, Value h, Value c) {
  auto add = [&](Value a, Value b) { return s.make<arith::AddFOp>(a, b); };
  auto mul = [&](Value a, Value b) { return s.make<arith::MulFOp>(a, b); };
  auto oneMinus = [&](Value a) { return s.make<arith::SubFOp>(s.number(compute, 1), a); };
  ArrayRef<Activation> fn = dir.functions;
  if (cell == Cell::RNN)
    return {activate(s, fn[0], add(x[0], r[0])), Value()};
  if (cell == Cell::GRU) {
    Value z = activate(s, fn[0], add(x[0], r[0]));
    Value last = r.back();
    if (linearBeforeReset)
      last = mul(activate(s, fn[0], add(x[1], r[1])), last);
    Value candidate = activate(s, fn[1], add(x[2], last));
    return {add(mul(oneMinus(z), candidate), mul(z, h)), Value()};
  }
  auto gate = [&](unsigned i, std::optional<unsigned> peephole, Value cellState) {
    Value sum = add(x[i], r[i]);
    return peephole && !p.empty() ? add(sum, mul(p[*peephole], cellState)) : sum;
  };
  Value input = activate(s, fn[0], gate(0, 0, c));
  Value forget = inputForget ? oneMinus(input) : activate(s, fn[0], gate(2, 2, c));
  Value candidate = activate(s, fn[1], gate(3, std::nullopt, c));
  Value next = add(mul(forget, c), mul(input, candidate));
  Value output = activate(s, fn[0], gate(1, 1, next));
  return {mul(output, activate(s, fn[2], next, /*isGate=*/false)), next};
}

/// f(x + r) h of the reset gate.
FailureOr<Value> Recurrence::resetState(Direction &dir, ArrayRef<Input> gates) {
  Input state{dir.h, map({row(), column()})};
  return pointwise(l, loc, {gates[0], gates[1], state}, {batch, l.indexAttr(hidden)}, element,
                   [&](Scalars &s, ValueRange args) {
                     Value x = convertFloat(s, args[0], compute), r = convertFloat(s, args[1], compute);
                     Value reset = activate(s, dir.functions[0], s.make<arith::AddFOp>(x, r));
                     Value h = convertFloat(s, args[2], compute);
                     return convertFloat(s, s.make<arith::MulFOp>(reset, h), element);
                   });
}

/// Step `time` of direction `d`: its state is replaced, and its row of `y` (null: none),
/// which is returned.
FailureOr<Value> Recurrence::step(unsigned d, Value time, Value y) {
  Direction &dir = directions[d];
  Dims dims = {batch, l.indexAttr(hidden)};
  OpFoldResult zero = l.indexAttr(0), one = l.indexAttr(1);
  Dims offsets = {zero, zero, zero, zero}, strides(4, one);
  offsets[batchFirst] = time;
  Dims sizes = {one, batch, l.indexAttr(gates), dims[1]};
  if (batchFirst)
    std::swap(sizes[0], sizes[1]);
  Value now = tensor::ExtractSliceOp::create(
      l.builder, loc, tensorType({batch, l.indexAttr(gates), dims[1]}, element), dir.inputs, offsets,
      sizes, strides);
  SmallVector<Input> inputs = gatesOf(now, gates);

  bool splits = !dir.lastRecurrent.value.dims.empty();
  auto products = stateTimes(dir.h, dir.recurrent, gates - splits,
                             dir.recurrentBias ? &*dir.recurrentBias : nullptr);
  if (failed(products))
    return failure();
  if (splits) {
    auto state = resetState(dir, {inputs[1], (*products)[1]});
    if (failed(state))
      return failure();
    auto last = stateTimes(*state, dir.lastRecurrent, 1, nullptr);
    if (failed(last))
      return failure();
    products->back() = last->front();
  }
  size_t numProducts = products->size();
  llvm::append_range(inputs, *products);
  if (dir.peepholes)
    for (int64_t i = 0; i < 3; ++i)
      inputs.push_back({dir.peepholes, map({l.builder.getAffineConstantExpr(i), column()})});
  size_t numFloats = inputs.size();
  if (lengths)
    inputs.push_back({lengths, map({row()})});

  SmallVector<Value> results = {dir.h};
  if (dir.c)
    results.push_back(dir.c);
  // [step, direction, batch, hidden], or [batch, step, direction, hidden].
  offsets = {zero, zero, zero, zero};
  offsets[batchFirst] = time;
  offsets[1 + batchFirst] = l.indexAttr(d);
  sizes = {one, one, batch, dims[1]};
  if (batchFirst)
    sizes = {batch, one, one, dims[1]};
  if (y)
    results.push_back(tensor::ExtractSliceOp::create(l.builder, loc, tensorType(dims, element), y,
                                                     offsets, sizes, strides));
  SmallVector<Input> outputs;
  for (Value result : results)
    outputs.push_back({result, map({row(), column()})});
  Value position = l.scalars(loc).toI64(time);
  results = generic(l, loc, inputs, outputs, {}, [&](Scalars &s, ValueRange args) {
    SmallVector<Value> values;
    for (Value arg : args.take_front(numFloats))
      values.push_back(convertFloat(s, arg, compute));
    ValueRange before = args.drop_front(inputs.size());
    Value h = convertFloat(s, before[0], compute);
    Value c = dir.c ? convertFloat(s, before[1], compute) : Value();
    ArrayRef<Value> all = values;
    auto [nextH, nextC] = gateValues(s, dir, all.take_front(gates), all.slice(gates, numProducts),
                                     all.drop_front(gates + numProducts), h, c);
    SmallVector<Value> next = {convertFloat(s, nextH, element)};
    if (dir.c)
      next.push_back(convertFloat(s, nextC, element));
    if (y)
      next.push_back(next[0]);
    if (lengths) {
      Value length = convertInteger(s, args[numFloats], position.getType(), false);
      Value runs = s.compare(arith::CmpIPredicate::slt, position, length);
      for (unsigned i = 0; i < next.size(); ++i)
        next[i] = s.select(runs, next[i], y && i + 1 == next.size() ? s.number(element, 0) : before[i]);
    }
    return next;
  });
  // In place where the body has read what it overwrites, a copy where it has not.
  auto replace = [&](Value &state, Value next) {
    Lowered value = asLowered(next, dims, element);
    state = writeTo(l, loc, &value, state);
  };
  replace(dir.h, results[0]);
  if (dir.c)
    replace(dir.c, results[1]);
  if (y)
    y = tensor::InsertSliceOp::create(l.builder, loc, results.back(), y, offsets, sizes, strides);
  return y;
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

LogicalResult Recurrence::runSteps() {
  Value y;
  if (!op->getResult(0).use_empty()) {
    Dims dims = {steps, l.indexAttr(directions.size()), batch, l.indexAttr(hidden)};
    if (batchFirst)
      dims = {batch, steps, dims[1], dims[3]};
    y = l.emptyTensor(loc, dims, element);
  }
  // What is carried: the states of each direction, then Y.
  auto collect = [&](SmallVector<Value *> &places) {
    for (Direction &dir : directions) {
      places.push_back(&dir.h);
      if (dir.c)
        places.push_back(&dir.c);
    }
    if (y)
      places.push_back(&y);
  };
  SmallVector<Value *> places;
  collect(places);
  auto values = [&] { return llvm::map_to_vector(places, [](Value *place) { return *place; }); };
  auto assign = [&](ValueRange from) {
    for (auto [place, value] : llvm::zip_equal(places, from))
      *place = value;
  };

  Scalars s = l.scalars(loc);
  Type index = l.builder.getIndexType();
  Value count = l.indexValue(steps);
  auto loop = scf::ForOp::create(l.builder, loc, s.integer(index, 0), count, s.integer(index, 1), values());
  assign(loop.getRegionIterArgs());
  {
    Lowering::Scope scope(l, loop.getBody());
    l.facts.ranges[loop.getInductionVar()] = {0, INT64_MAX};
    Scalars inner = l.scalars(loc);
    Value backwards = inner.sub(inner.sub(count, inner.integer(index, 1)), loop.getInductionVar());
    for (unsigned d = 0; d < directions.size(); ++d) {
      auto next = step(d, directions[d].isReverse ? backwards : loop.getInductionVar(), y);
      if (failed(next))
        return failure();
      y = *next;
    }
    scf::YieldOp::create(l.builder, loc, values());
  }
  assign(loop.getResults());
  setResults(y);
  return success();
}

void Recurrence::setResults(Value y) {
  int64_t count = directions.size();
  Dims state = {l.indexAttr(count), batch, l.indexAttr(hidden)};
  Dims all = {steps, l.indexAttr(count), batch, l.indexAttr(hidden)};
  if (batchFirst) {
    std::swap(state[0], state[1]);
    all = {batch, steps, all[1], all[3]};
  }
  if (y)
    l.setTensor(op, 0, y, all, element);
  for (unsigned i = 1; i < op->getNumResults(); ++i) {
    if (op->getResult(i).use_empty())
      continue;
    Value whole = l.emptyTensor(loc, state, element);
    Dims offsets(3, l.indexAttr(0)), strides(3, l.indexAttr(1)), sizes = state;
    sizes[directionAxis()] = l.indexAttr(1);
    for (auto [d, dir] : llvm::enumerate(directions)) {
      offsets[directionAxis()] = l.indexAttr(d);
      whole = tensor::InsertSliceOp::create(l.builder, loc, i == 1 ? dir.h : dir.c, whole, offsets,
                                            sizes, strides);
    }
    l.setTensor(op, i, whole, state, element);
  }
}

LogicalResult Recurrence::lower() {
  if (op->getNumResults() > (cell == Cell::LSTM ? 3u : 2u))
    return l.fail(op, "it has " + Twine(op->getNumResults()) + " outputs");
  if (failed(readAttributes()) || failed(readShapes()) || failed(readLengths()))
    return failure();
  for (unsigned d = 0; d < directions.size(); ++d)
    if (failed(prepare(d)))
      return failure();
  return runSteps();
}

void sq::registerRecurrent(LoweringTable &table) {
  for (auto [name, cell] :
       {std::pair("RNN", Cell::RNN), std::pair("GRU", Cell::GRU), std::pair("LSTM", Cell::LSTM)})
    table.add(name, 3, [cell = cell](Lowering &l, Operation *op) {
      return Recurrence(l, op, cell).lower();
    });
}
