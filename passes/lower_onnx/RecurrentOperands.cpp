/// What RNN, GRU and LSTM read, and what is made of it before their loop.

#include "passes/lower_onnx/Contractions.h"
#include "passes/lower_onnx/Recurrent.h"
#include "passes/lower_onnx/Regions.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace sq;

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
    // Not `given->dims`: its batch may have become known only by that of X.
    Dims offsets(3, l.indexAttr(0)), strides(3, l.indexAttr(1)), sizes = dims;
    offsets[directionAxis()] = l.indexAttr(d);
    sizes.insert(sizes.begin() + directionAxis(), l.indexAttr(1));
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
