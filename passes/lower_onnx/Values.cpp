/// The forms of a lowered tensor, and how SSA tensors are made from them.
#include "passes/lower_onnx/Lowering.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

Type sq::signless(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element))
    return IntegerType::get(element.getContext(), integer.getWidth());
  return element;
}

StringRef sq::dtypeName(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element)) {
    bool u = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return u ? "" : "bool8";
    case 8:
      return u ? "u8" : "i8";
    case 16:
      return u ? "u16" : "i16";
    case 32:
      return u ? "u32" : "i32";
    case 64:
      return u ? "u64" : "i64";
    default:
      return "";
    }
  }
  return element.isF32()    ? "f32"
         : element.isF64()  ? "f64"
         : element.isF16()  ? "f16"
         : element.isBF16() ? "bf16"
                            : "";
}

std::optional<int64_t> sq::staticDim(OpFoldResult dim) {
  if (auto attr = dyn_cast_if_present<Attribute>(dim))
    return cast<IntegerAttr>(attr).getInt();
  return std::nullopt;
}

bool sq::isOne(OpFoldResult dim) { return staticDim(dim) == 1; }

std::optional<int64_t> sq::staticCount(ArrayRef<OpFoldResult> dims) {
  int64_t count = 1;
  for (OpFoldResult dim : dims) {
    auto size = staticDim(dim);
    if (!size || llvm::MulOverflow(count, *size, count))
      return std::nullopt;
  }
  return count;
}

SmallVector<int64_t> sq::shapeOf(ArrayRef<OpFoldResult> dims) {
  return llvm::map_to_vector(
      dims, [](OpFoldResult dim) { return staticDim(dim).value_or(ShapedType::kDynamic); });
}

RankedTensorType sq::tensorType(ArrayRef<OpFoldResult> dims, Type element) {
  return RankedTensorType::get(shapeOf(dims), signless(element));
}

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

Lowered *Lowering::operand(Operation *op, unsigned i) {
  if (i >= op->getNumOperands() || isa<NoneType>(op->getOperand(i).getType()))
    return nullptr;
  return map.lookup(op->getOperand(i));
}

Lowered *Lowering::set(Value result, Lowered value) {
  for (OpFoldResult &dim : value.dims)
    dim = resolve(dim);
  values.push_back(std::move(value));
  owned.insert(&values.back());
  return map[result] = &values.back();
}

Lowered *Lowering::setTensor(Operation *op, unsigned i, Value tensor, Dims dims, Type element) {
  Lowered value;
  value.element = element;
  value.tensor = tensor;
  value.stored = value.dims = std::move(dims);
  return set(op->getResult(i), std::move(value));
}

Lowered *Lowering::setElements(Operation *op, unsigned i, SmallVector<Value> elements, Dims dims,
                               Type element) {
  Lowered value;
  value.element = element;
  value.dims = std::move(dims);
  value.elements = std::move(elements);
  return set(op->getResult(i), std::move(value));
}

Lowered *Lowering::setSplat(Operation *op, unsigned i, Value scalar, Dims dims, Type element) {
  Lowered value;
  value.element = element;
  value.dims = std::move(dims);
  value.splat = scalar;
  return set(op->getResult(i), std::move(value));
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

Value Lowering::splat(Lowered *value) {
  if (value->splat)
    return value->splat;
  keep(value);
  if (value->elements && !value->elements->empty() && llvm::all_equal(*value->elements))
    return value->splat = value->elements->front();
  auto dense = dyn_cast_if_present<DenseElementsAttr>(value->constant);
  if (dense && dense.isSplat() && dense.getNumElements() > 0)
    if (auto scalar = dyn_cast<TypedAttr>(dense.getSplatValue<Attribute>()))
      return value->splat = scalars(builder.getUnknownLoc()).constant(scalar);
  return Value();
}

TypedAttr Lowering::constantScalar(Lowered *value) { return constantOf(splat(value)); }

std::optional<SmallVector<Value>> Lowering::elements(Lowered *value) {
  if (value->elements)
    return value->elements;
  auto count = staticCount(value->dims);
  if (!count || *count > maxKnownElements)
    return std::nullopt;
  if (Value scalar = splat(value))
    return SmallVector<Value>(*count, scalar);
  auto dense = dyn_cast_if_present<DenseElementsAttr>(value->constant);
  if (!dense || !isa<IntegerType, FloatType>(dense.getElementType()))
    return std::nullopt;
  keep(value);
  Scalars s = scalars(builder.getUnknownLoc());
  SmallVector<Value> result;
  for (Attribute element : dense.getValues<Attribute>())
    result.push_back(s.constant(cast<TypedAttr>(element)));
  value->elements = result;
  return result;
}

/// The SSA tensor of a value that has none yet.
static Value materialize(Lowering &l, Location loc, Lowered *value) {
  OpBuilder &builder = l.builder;
  auto type = tensorType(value->dims, value->element);
  auto constant = [&](DenseElementsAttr attr) {
    return arith::ConstantOp::create(builder, loc, attr);
  };
  if (value->constant)
    return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(value->constant));
  if (value->elements) {
    SmallVector<Attribute> constants;
    for (Value element : *value->elements)
      if (TypedAttr attr = constantOf(element))
        constants.push_back(attr);
    if (constants.size() == value->elements->size())
      return constant(DenseElementsAttr::get(type, constants));
    return tensor::FromElementsOp::create(builder, loc, type, *value->elements);
  }
  if (TypedAttr attr = constantOf(value->splat); attr && type.hasStaticShape())
    return constant(DenseElementsAttr::get(type, ArrayRef<Attribute>(attr)));
  return l.filledTensor(loc, value->dims, value->splat);
}

Value Lowering::storedTensor(Lowered *value) {
  keep(value);
  Location loc = target->getLoc();
  if (!value->tensor) {
    value->stored = value->dims;
    value->tensor = materialize(*this, loc, value);
  }
  // What has been found out about dims since belongs into the type: most verifiers
  // want equal types.
  for (OpFoldResult &dim : value->stored)
    dim = resolve(dim);
  auto type = tensorType(value->stored, value->element);
  if (value->tensor.getType() != type)
    value->tensor = tensor::CastOp::create(builder, loc, type, value->tensor);
  return value->tensor;
}

/// The map by which a loop nest over `loops` reads an operand whose dims, aligned at
/// the end, are equal to those of the nest or statically 1.
static AffineMap broadcastMap(ArrayRef<OpFoldResult> operand, ArrayRef<OpFoldResult> loops,
                              MLIRContext *context) {
  SmallVector<AffineExpr> exprs;
  size_t offset = loops.size() - operand.size();
  for (auto [i, dim] : llvm::enumerate(operand))
    exprs.push_back(isOne(dim) && !isOne(loops[offset + i])
                        ? getAffineConstantExpr(0, context)
                        : getAffineDimExpr(offset + i, context));
  return AffineMap::get(loops.size(), 0, exprs, context);
}

Value Lowering::tensor(Lowered *value) {
  keep(value);
  for (OpFoldResult &dim : value->dims)
    dim = resolve(dim);
  Value stored = storedTensor(value);
  bool isWhole = value->stored.size() == value->dims.size() &&
                 llvm::all_of(llvm::zip(value->stored, value->dims), [](auto pair) {
                   return !isOne(std::get<0>(pair)) || isOne(std::get<1>(pair));
                 });
  if (isWhole)
    return stored;
  Location loc = stored.getLoc();
  Value init = emptyTensor(loc, value->dims, value->element);
  AffineMap maps[] = {broadcastMap(value->stored, value->dims, builder.getContext()),
                      builder.getMultiDimIdentityMap(value->dims.size())};
  SmallVector<utils::IteratorType> iterators(value->dims.size(), utils::IteratorType::parallel);
  value->tensor =
      linalg::GenericOp::create(builder, loc, init.getType(), stored, init, maps, iterators,
                                [](OpBuilder &b, Location loc, ValueRange args) {
                                  linalg::YieldOp::create(b, loc, args[0]);
                                })
          .getResult(0);
  value->stored = value->dims;
  return value->tensor;
}

FailureOr<SmallVector<Value>> Lowering::knownElements(Operation *op, unsigned i, StringRef what) {
  Lowered *value = operand(op, i);
  if (!value)
    return fail(op, "its input `" + what + "` is missing");
  return readElements(op, value, "its input `" + what + "`");
}

FailureOr<SmallVector<Value>> Lowering::readElements(Operation *op, Lowered *value,
                                                     const Twine &what) {
  if (auto known = elements(value))
    return *known;
  auto count = staticCount(value->dims);
  if (!count || *count > maxKnownElements)
    return fail(op, what + " has " +
                        (count ? Twine(*count) : Twine("an unknown number of")) +
                        " elements, of which none is known before the run; at most " +
                        Twine(maxKnownElements) + " are read at run time");
  // Read once: equal sizes stay the same SSA values.
  Scalars s = scalars(op->getLoc());
  Value source = tensor(value);
  SmallVector<int64_t> shape = shapeOf(value->dims);
  SmallVector<Value> read;
  for (int64_t flat = 0; flat < *count; ++flat) {
    SmallVector<Value> indices(shape.size());
    for (int64_t i = shape.size(), rest = flat; i-- > 0; rest /= shape[i])
      indices[i] = s.integer(builder.getIndexType(), rest % shape[i]);
    read.push_back(tensor::ExtractOp::create(builder, op->getLoc(), source, indices));
  }
  keep(value);
  value->elements = read;
  return read;
}

FailureOr<SmallVector<Value>> Lowering::knownInts(Operation *op, unsigned i, StringRef what) {
  FailureOr<SmallVector<Value>> scalars = knownElements(op, i, what);
  if (failed(scalars))
    return failure();
  if (!operand(op, i)->isInteger())
    return fail(op, "its input `" + what + "` must be of integers");
  Scalars s = this->scalars(op->getLoc());
  for (Value &scalar : *scalars)
    scalar = castScalar(s, scalar, operand(op, i)->element, builder.getI64Type());
  return scalars;
}

Value Lowering::atLeastZero(Operation *op, Value size, const Twine &what) {
  if (facts.interval(size).min >= 0)
    return size;
  Scalars s = scalars(op->getLoc());
  Value zero = s.integer(size.getType(), 0);
  assertTrue(op, s.compare(arith::CmpIPredicate::sge, size, zero), what + " is negative");
  return s.max(size, zero);
}

std::optional<SmallVector<int64_t>> sq::constantIntegers(ArrayRef<Value> scalars) {
  SmallVector<int64_t> numbers;
  for (Value scalar : scalars) {
    std::optional<int64_t> number = constantInteger(scalar);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

FailureOr<SmallVector<int64_t>> Lowering::constantInts(Operation *op, unsigned i, StringRef what) {
  FailureOr<SmallVector<Value>> scalars = knownElements(op, i, what);
  if (failed(scalars))
    return failure();
  SmallVector<int64_t> result;
  for (Value scalar : *scalars) {
    auto value = constantInteger(scalar);
    if (!value)
      return fail(op, "its input `" + what + "` is not constant; make it an initializer");
    result.push_back(*value);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Value Lowering::emptyTensor(Location loc, ArrayRef<OpFoldResult> dims, Type element) {
  Dims sizes = llvm::map_to_vector(dims, [&](OpFoldResult dim) { return resolve(dim); });
  return tensor::EmptyOp::create(builder, loc, sizes, signless(element));
}

Value Lowering::filledTensor(Location loc, ArrayRef<OpFoldResult> dims, Value scalar) {
  Value init = emptyTensor(loc, dims, scalar.getType());
  return linalg::FillOp::create(builder, loc, scalar, init).getResult(0);
}

/// Elements of a small operand, repeated as broadcasting to `shape` asks.
static SmallVector<Value> broadcastElements(ArrayRef<Value> elements, ArrayRef<int64_t> from,
                                            ArrayRef<int64_t> shape, int64_t count) {
  SmallVector<Value> result;
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t rest = flat, stride = 1, position = 0;
    for (size_t i = 0; i < from.size(); ++i) {
      size_t d = from.size() - 1 - i, s = shape.size() - 1 - i;
      int64_t index = rest % shape[s];
      rest /= shape[s];
      if (from[d] != 1)
        position += index * stride;
      stride *= from[d];
    }
    result.push_back(elements[position]);
  }
  return result;
}

FailureOr<Lowered> Lowering::mapElements(Operation *op, ArrayRef<Lowered *> operands, Type element,
                                         ElementFn fn) {
  FailureOr<Dims> dims = broadcast(op, operands);
  if (failed(dims))
    return failure();
  Lowered result;
  result.element = element;
  result.dims = *dims;
  Location loc = op->getLoc();
  Scalars outer = scalars(loc);

  SmallVector<Value> splats;
  for (Lowered *operand : operands)
    splats.push_back(splat(operand));
  if (llvm::all_of(splats, [](Value v) { return bool(v); })) {
    result.splat = fn(outer, splats);
    return result;
  }

  auto count = staticCount(*dims);
  if (count && *count <= maxKnownElements) {
    SmallVector<SmallVector<Value>> known;
    for (Lowered *operand : operands)
      if (auto scalars = elements(operand))
        known.push_back(broadcastElements(*scalars, shapeOf(operand->dims), shapeOf(*dims), *count));
    if (known.size() == operands.size()) {
      result.elements.emplace();
      for (int64_t i = 0; i < *count; ++i) {
        SmallVector<Value> args;
        for (SmallVector<Value> &scalars : known)
          args.push_back(scalars[i]);
        result.elements->push_back(fn(outer, args));
      }
      return result;
    }
  }

  // Only what the operands store is computed; the rest of a broadcast stays to be done.
  size_t rank = dims->size();
  result.stored.assign(rank, indexAttr(1));
  SmallVector<Value> inputs;
  SmallVector<Lowered *> inputValues;
  for (auto [operand, scalar] : llvm::zip_equal(operands, splats)) {
    if (scalar)
      continue;
    inputs.push_back(storedTensor(operand));
    inputValues.push_back(operand);
    size_t offset = rank - operand->stored.size();
    for (auto [i, dim] : llvm::enumerate(operand->stored))
      if (!isOne(dim))
        result.stored[offset + i] = (*dims)[offset + i];
  }
  SmallVector<AffineMap> maps;
  for (Lowered *input : inputValues)
    maps.push_back(broadcastMap(input->stored, result.stored, builder.getContext()));
  maps.push_back(builder.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  Value init = emptyTensor(loc, result.stored, element);
  auto generic = linalg::GenericOp::create(
      builder, loc, init.getType(), inputs, init, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange blockArgs) {
        Scalars inner(b, loc, nullptr);
        SmallVector<Value> args;
        unsigned next = 0;
        for (Value scalar : splats)
          args.push_back(scalar ? inner.bring(scalar) : Value(blockArgs[next++]));
        linalg::YieldOp::create(b, loc, fn(inner, args));
      });
  result.tensor = generic.getResult(0);
  // What only passes an input on (And with true, Add of 0 known by folding) is none.
  auto arg = dyn_cast<BlockArgument>(generic.getBody()->getTerminator()->getOperand(0));
  if (arg && arg.getArgNumber() < inputs.size() && maps[arg.getArgNumber()].isIdentity() &&
      inputs[arg.getArgNumber()].getType() == result.tensor.getType()) {
    result.tensor = inputs[arg.getArgNumber()];
    generic->erase();
  }
  return result;
}

LogicalResult Lowering::elementwise(Operation *op, ArrayRef<Lowered *> operands, Type element,
                                    ElementFn fn) {
  FailureOr<Lowered> result = mapElements(op, operands, element, fn);
  if (failed(result))
    return failure();
  set(op->getResult(0), std::move(*result));
  return success();
}

LogicalResult Lowering::floatElementwise(Operation *op, ArrayRef<Lowered *> operands,
                                         ElementFn fn) {
  Type element = operands[0]->element;
  if (!operands[0]->isFloat())
    return fail(op, "it is not defined for elements of type " + dtypeName(element));
  for (Lowered *operand : operands)
    if (operand->element != element)
      return fail(op, "its inputs have elements of types " + dtypeName(element) + " and " +
                          dtypeName(operand->element) + "; cast one of them");
  if (!element.isF16() && !element.isBF16())
    return elementwise(op, operands, element, fn);
  return elementwise(op, operands, element, [&](Scalars &s, ValueRange args) {
    SmallVector<Value> wide;
    for (Value arg : args)
      wide.push_back(s.make<arith::ExtFOp>(s.builder.getF32Type(), arg));
    return s.make<arith::TruncFOp>(element, fn(s, wide));
  });
}

Value Lowering::transpose(Location loc, Value tensor, ArrayRef<OpFoldResult> dims,
                          ArrayRef<int64_t> perm) {
  if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return tensor;
  Dims permuted;
  for (int64_t axis : perm)
    permuted.push_back(dims[axis]);
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  Value init = emptyTensor(loc, permuted, element);
  return linalg::TransposeOp::create(builder, loc, tensor, init, perm)->getResult(0);
}
