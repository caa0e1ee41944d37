/// RNN, GRU, LSTM: one product of all steps with W, then a loop of the schedule over the
/// steps. An iteration multiplies the state by R and computes all gates in one pass, which
/// overwrites the state and writes its row of Y.

#include "passes/lower_onnx/Activations.h"
#include "passes/lower_onnx/Contractions.h"
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/Regions.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace sq;

namespace {

enum class Cell { RNN, GRU, LSTM };

/// A matrix [n, k], or [k, n] when not transposed.
struct Matrix {
  Lowered value;
  bool transposed = true;
};

/// What one of the directions has of its own.
struct Direction {
  bool isReverse = false;
  SmallVector<Activation> functions; // f, g, h of the specification
  Value inputs;                      // X W' + b, [steps, batch, gates, hidden] as X is laid out
  Matrix recurrent;                  // R, or without the last gate
  Matrix lastRecurrent;              // of a GRU that multiplies after the reset: its last gate
  std::optional<Lowered> recurrentBias;
  Value peepholes; // [3, hidden]
  Value h, c;      // [batch, hidden]; in the loop as an iteration sees them
};

/// Operands of a generic under construction.
struct Operands {
  SmallVector<Input> list;
  unsigned add(Value tensor, AffineMap map) {
    list.push_back({tensor, map});
    return list.size() - 1;
  }
};

class Recurrence {
public:
  Recurrence(Lowering &l, Operation *op, Cell cell)
      : l(l), op(op), loc(op->getLoc()), cell(cell),
        gates(cell == Cell::LSTM ? 4 : cell == Cell::GRU ? 3 : 1) {}
  LogicalResult lower();

private:
  LogicalResult readAttributes();
  LogicalResult readFunctions();
  LogicalResult readShapes();
  LogicalResult readLengths();
  LogicalResult prepare(unsigned d);
  LogicalResult multiplyInputs(unsigned d);
  LogicalResult runSteps();
  FailureOr<Value> step(unsigned d, Value time, Value y);
  FailureOr<Value> resetState(Direction &dir, ArrayRef<Input> gates);
  void setResults(Value y);

  LogicalResult expect(Lowered *value, ArrayRef<OpFoldResult> dims, StringRef what);
  Lowered part(Lowered *value, unsigned d, int64_t from, int64_t size);
  Matrix rows(Lowered *value, unsigned d, int64_t from, int64_t size);
  FailureOr<Lowered> plus(Lowered value, std::vector<Lowered> biases);
  Value initialState(unsigned i, unsigned d);
  FailureOr<SmallVector<Input>> stateTimes(Value state, const Matrix &matrix, int64_t count,
                                           const Lowered *bias);
  SmallVector<Input> gatesOf(Value tensor, int64_t count);
  AffineMap map(ArrayRef<AffineExpr> exprs) { return AffineMap::get(2, 0, exprs, l.builder.getContext()); }
  AffineExpr row() { return l.builder.getAffineDimExpr(0); }
  AffineExpr column() { return l.builder.getAffineDimExpr(1); }
  /// Where direction and batch are in a shape of 3 and where step is before it.
  unsigned directionAxis() const { return batchFirst ? 1 : 0; }
  Value activate(Scalars &s, const Activation &function, Value x, bool isGate = true);
  std::pair<Value, Value> gateValues(Scalars &s, Direction &dir, ArrayRef<Value> x, ArrayRef<Value> r,
                                     ArrayRef<Value> p, Value h, Value c);

  Lowering &l;
  Operation *op;
  Location loc;
  Cell cell;
  int64_t gates;
  std::vector<Direction> directions;
  bool batchFirst = false, linearBeforeReset = false, inputForget = false;
  std::optional<double> clip;
  int64_t hidden = 0;
  OpFoldResult steps, batch;
  Type element, compute;
  Lowered *x = nullptr, *w = nullptr, *r = nullptr, *bias = nullptr, *peepholes = nullptr;
  Value lengths; // [batch], where steps are left out
};

Lowered asLowered(Value tensor, Dims dims, Type element) {
  Lowered value;
  value.element = element;
  value.stored = dims;
  value.dims = std::move(dims);
  value.tensor = tensor;
  return value;
}

//===----------------------------------------------------------------------===//
// Attributes and operands
//===----------------------------------------------------------------------===//

LogicalResult Recurrence::readAttributes() {
  std::string direction = l.stringAttr(op, "direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return l.fail(op, "its attribute `direction` must be forward, reverse or bidirectional, got '" +
                          direction + "'");
  directions.resize(direction == "bidirectional" ? 2 : 1);
  directions.back().isReverse = direction != "forward";
  batchFirst = l.intAttr(op, "layout", 0) != 0;
  linearBeforeReset = l.intAttr(op, "linear_before_reset", 0) != 0;
  inputForget = l.intAttr(op, "input_forget", 0) != 0;
  if (op->hasAttr("clip"))
    clip = l.floatAttr(op, "clip", 0);
  return readFunctions();
}

/// The functions of all directions are one list; each takes of the lists of parameters
/// what it needs, and its defaults when they are at their end.
LogicalResult Recurrence::readFunctions() {
  SmallVector<StringRef> defaults = {"Tanh"};
  if (cell == Cell::GRU)
    defaults = {"Sigmoid", "Tanh"};
  if (cell == Cell::LSTM)
    defaults = {"Sigmoid", "Tanh", "Tanh"};
  size_t count = defaults.size();
  SmallVector<StringRef> names;
  for (size_t d = 0; d < directions.size(); ++d)
    llvm::append_range(names, defaults);
  if (auto given = op->getAttrOfType<ArrayAttr>("activations")) {
    if (given.size() != names.size())
      return l.fail(op, "its attribute `activations` has " + Twine(given.size()) +
                            " names; expected " + Twine(names.size()));
    for (auto [name, attr] : llvm::zip(names, given.getAsRange<StringAttr>()))
      name = attr.getValue();
  }
  auto parameters = [&](StringRef name) {
    auto attr = op->getAttrOfType<DenseF32ArrayAttr>(name);
    return attr ? attr.asArrayRef() : ArrayRef<float>();
  };
  ArrayRef<float> alphas = parameters("activation_alpha"), betas = parameters("activation_beta");
  auto take = [](ArrayRef<float> &given, std::optional<double> &parameter) {
    if (given.empty())
      return;
    parameter = given.front();
    given = given.drop_front();
  };
  for (auto [i, name] : llvm::enumerate(names)) {
    std::optional<Activation> function = activationNamed(name);
    if (!function)
      return l.fail(op, "its activation '" + name + "' is unknown; the specification has Relu, Tanh, "
                        "Sigmoid, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, "
                        "Softsign and Softplus");
    if (function->parameters > 0)
      take(alphas, function->alpha);
    if (function->parameters > 1)
      take(betas, function->beta);
    if ((function->parameters > 0 && !function->alpha) || (function->parameters > 1 && !function->beta))
      return l.fail(op, "its activation '" + name + "' has no default parameters; give them in "
                        "activation_alpha and activation_beta");
    directions[i / count].functions.push_back(*function);
  }
  return success();
}

LogicalResult Recurrence::expect(Lowered *value, ArrayRef<OpFoldResult> dims, StringRef what) {
  if (!value)
    return success();
  if (value->element != element)
    return l.fail(op, "its input `" + what + "` has elements of type " + dtypeName(value->element) +
                          ", X of type " + dtypeName(element) + "; cast one of them");
  if (value->rank() != int64_t(dims.size()))
    return l.fail(op, "its input `" + what + "` has rank " + Twine(value->rank()) + "; expected " +
                          Twine(dims.size()));
  for (auto [i, dim] : llvm::enumerate(dims))
    if (failed(l.unify(op, value->dims[i], dim, "dimension " + Twine(i) + " of `" + what + "`")))
      return failure();
  return success();
}

LogicalResult Recurrence::readShapes() {
  x = l.operand(op, 0), w = l.operand(op, 1), r = l.operand(op, 2), bias = l.operand(op, 3);
  peepholes = cell == Cell::LSTM ? l.operand(op, 7) : nullptr;
  element = x->element;
  if (!isSupportedFloat(element))
    return l.fail(op, "it is not defined for elements of type " + dtypeName(element));
  compute = accumulatorType(element);
  if (x->rank() != 3 || w->rank() != 3 || r->rank() != 3)
    return l.fail(op, "its inputs X, W and R have ranks " + Twine(x->rank()) + ", " +
                          Twine(w->rank()) + " and " + Twine(r->rank()) + "; expected 3 each");
  std::optional<int64_t> size = staticDim(l.resolve(r->dims[2]));
  if (!size)
    return l.fail(op, "the size of its hidden state, the last dimension of R, is not known before "
                      "the run; fix it with --shape");
  hidden = *size;
  if (int64_t given = l.intAttr(op, "hidden_size", hidden); given != hidden)
    return l.fail(op, "its attribute `hidden_size` is " + Twine(given) + ", but R has " +
                          Twine(hidden) + " columns");
  OpFoldResult count = l.indexAttr(directions.size());
  auto dim = [&](int64_t factor) { return l.indexAttr(factor * hidden); };
  batch = x->dims[!batchFirst];
  Dims state = {count, batch, dim(1)};
  if (batchFirst)
    std::swap(state[0], state[1]);
  if (failed(expect(w, {count, dim(gates), x->dims[2]}, "W")) ||
      failed(expect(r, {count, dim(gates), dim(1)}, "R")) ||
      failed(expect(bias, {count, dim(2 * gates)}, "B")) ||
      failed(expect(l.operand(op, 5), state, "initial_h")) ||
      (cell == Cell::LSTM && failed(expect(l.operand(op, 6), state, "initial_c"))) ||
      failed(expect(peepholes, {count, dim(3)}, "P")))
    return failure();
  if (Lowered *given = l.operand(op, 4)) {
    if (!given->isInteger() || given->rank() != 1)
      return l.fail(op, "its input `sequence_lens` is not a vector of integers");
    if (failed(l.unify(op, given->dims[0], batch, "the length of `sequence_lens`")))
      return failure();
  }
  batch = l.resolve(batch);
  steps = l.resolve(x->dims[batchFirst]);
  return success();
}

/// Exporters give the whole length for each sequence; nothing is left out then.
LogicalResult Recurrence::readLengths() {
  Lowered *given = l.operand(op, 4);
  if (!given)
    return success();
  if (Value all = l.splat(given)) {
    // A size is given as i32; it fits, or the sequence would not fit into memory.
    while (Operation *cast = all.getDefiningOp()) {
      if (!isa<arith::TruncIOp, arith::ExtSIOp, arith::IndexCastOp>(cast))
        break;
      all = cast->getOperand(0);
    }
    std::optional<int64_t> known = constantInteger(all), count = staticDim(steps);
    if (l.resolve(all) == steps || (known && count && *known >= *count))
      return success();
  }
  lengths = l.tensor(given);
  return success();
}

//===----------------------------------------------------------------------===//
// Before the loop
//===----------------------------------------------------------------------===//

/// [from, from + size) of dim 1 of what direction `d` has of W, R, B or P; it stays a
/// constant.
Lowered Recurrence::part(Lowered *value, unsigned d, int64_t from, int64_t size) {
  Dims dims(ArrayRef<OpFoldResult>(value->dims).drop_front());
  dims[0] = l.indexAttr(size);
  Lowered result;
  result.element = element;
  result.dims = dims;
  RankedTensorType type = tensorType(dims, element);
  if (value->constant && type.hasStaticShape()) {
    int64_t stride = type.getNumElements() / std::max<int64_t>(size, 1);
    int64_t rows = *staticDim(value->dims[1]), bytes = element.getIntOrFloatBitWidth() / 8;
    size_t start = (d * rows + from) * stride * bytes, length = type.getNumElements() * bytes;
    auto dense = dyn_cast<DenseElementsAttr>(value->constant);
    if (dense && dense.isSplat()) {
      result.constant = dense.resizeSplat(type);
    } else if (dense) {
      result.constant = DenseElementsAttr::getFromRawBuffer(type, dense.getRawData().slice(start, length));
    } else {
      auto resource = cast<DenseResourceElementsAttr>(value->constant);
      ArrayRef<char> data = resource.getRawHandle().getBlob()->getData().slice(start, length);
      result.constant = DenseResourceElementsAttr::get(
          type, "part", HeapAsmResourceBlob::allocateAndCopyWithAlign(data, /*align=*/64));
    }
    return result;
  }
  Dims offsets(value->rank(), l.indexAttr(0)), strides(value->rank(), l.indexAttr(1));
  Dims sizes = value->dims;
  offsets[0] = l.indexAttr(d);
  sizes[0] = l.indexAttr(1);
  offsets[1] = l.indexAttr(from);
  sizes[1] = l.indexAttr(size);
  result.stored = dims;
  result.tensor = tensor::ExtractSliceOp::create(l.builder, loc, type, l.tensor(value), offsets,
                                                 sizes, strides);
  return result;
}

/// A matrix for products in the loop, all that can be done to it done before.
Matrix Recurrence::rows(Lowered *value, unsigned d, int64_t from, int64_t size) {
  Matrix matrix{part(value, d, from, size)};
  Value tensor = l.tensor(&matrix.value);
  if (!matrix.value.constant) {
    Dims swapped = {matrix.value.dims[1], matrix.value.dims[0]};
    matrix.value = asLowered(l.transpose(loc, tensor, matrix.value.dims, {1, 0}), swapped, element);
    matrix.transposed = false;
  }
  return matrix;
}

FailureOr<Lowered> Recurrence::plus(Lowered value, std::vector<Lowered> biases) {
  if (biases.empty())
    return value;
  SmallVector<Lowered *> operands = {&value};
  for (Lowered &term : biases)
    operands.push_back(&term);
  return l.mapElements(op, operands, element, [&](Scalars &s, ValueRange args) {
    Value sum = convertFloat(s, args[0], compute);
    for (Value term : args.drop_front())
      sum = s.make<arith::AddFOp>(sum, convertFloat(s, term, compute));
    return convertFloat(s, sum, element);
  });
}

LogicalResult Recurrence::multiplyInputs(unsigned d) {
  Dims first = {x->dims[0], x->dims[1]}, matrix = {l.product(first), x->dims[2]};
  Lowered input = asLowered(l.reshape(loc, l.tensor(x), x->dims, matrix), matrix, element);
  Lowered weight = part(w, d, 0, gates * hidden);
  FailureOr<Lowered> product = multiplyByMatrix(l, op, &input, &weight, /*transposed=*/true);
  std::vector<Lowered> biases;
  if (bias) {
    // Where the reset gate multiplies the product of the state, its bias is within.
    int64_t size = gates * hidden;
    biases.push_back(part(bias, d, 0, size));
    Lowered other = part(bias, d, size, size);
    if (cell == Cell::GRU && linearBeforeReset)
      directions[d].recurrentBias = other;
    else
      biases.push_back(other);
  }
  if (succeeded(product))
    product = plus(*product, biases);
  if (failed(product))
    return failure();
  Dims dims = {first[0], first[1], l.indexAttr(gates), l.indexAttr(hidden)};
  directions[d].inputs = l.reshape(loc, l.tensor(&*product), product->dims, dims);
  return success();
}

/// A copy of operand `i` for direction `d`, which the loop overwrites; zeros if absent.
Value Recurrence::initialState(unsigned i, unsigned d) {
  Dims dims = {batch, l.indexAttr(hidden)};
  Lowered initial;
  if (Lowered *given = l.operand(op, i)) {
    Dims offsets(3, l.indexAttr(0)), strides(3, l.indexAttr(1)), sizes = given->dims;
    offsets[directionAxis()] = l.indexAttr(d);
    sizes[directionAxis()] = l.indexAttr(1);
    initial = asLowered(
        tensor::ExtractSliceOp::create(l.builder, loc, tensorType(dims, element), l.tensor(given),
                                       offsets, sizes, strides),
        dims, element);
  } else {
    initial.element = element;
    initial.dims = dims;
    initial.splat = l.scalars(loc).number(element, 0);
  }
  return writeTo(l, loc, &initial, ownMemory(l, loc, dims, element));
}

LogicalResult Recurrence::prepare(unsigned d) {
  if (failed(multiplyInputs(d)))
    return failure();
  Direction &dir = directions[d];
  bool splits = cell == Cell::GRU && !linearBeforeReset;
  dir.recurrent = rows(r, d, 0, (gates - splits) * hidden);
  if (splits)
    dir.lastRecurrent = rows(r, d, (gates - 1) * hidden, hidden);
  if (peepholes) {
    Lowered vector = part(peepholes, d, 0, 3 * hidden);
    dir.peepholes =
        l.reshape(loc, l.tensor(&vector), vector.dims, {l.indexAttr(3), l.indexAttr(hidden)});
  }
  if (dir.recurrentBias)
    (void)l.tensor(&*dir.recurrentBias);
  dir.h = initialState(5, d);
  if (cell == Cell::LSTM)
    dir.c = initialState(6, d);
  return success();
}

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

} // namespace

void sq::registerRecurrent(LoweringTable &table) {
  for (auto [name, cell] :
       {std::pair("RNN", Cell::RNN), std::pair("GRU", Cell::GRU), std::pair("LSTM", Cell::LSTM)})
    table.add(name, 3, [cell = cell](Lowering &l, Operation *op) {
      return Recurrence(l, op, cell).lower();
    });
}
