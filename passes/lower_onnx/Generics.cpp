#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace sq {

Lowered asLowered(Value tensor, Dims dims, Type element) {
  Lowered result;
  result.element = element;
  result.stored = dims;
  result.dims = std::move(dims);
  result.tensor = tensor;
  return result;
}

SmallVector<Value> generic(Lowering &l, Location loc, ArrayRef<Input> inputs,
                           ArrayRef<Input> outputs, ArrayRef<int64_t> reduced, BodyFn body) {
  SmallVector<Value> ins, outs;
  SmallVector<AffineMap> maps;
  SmallVector<Type> types;
  for (const Input &input : inputs) {
    ins.push_back(input.tensor);
    maps.push_back(input.map);
  }
  for (const Input &output : outputs) {
    outs.push_back(output.tensor);
    types.push_back(output.tensor.getType());
    maps.push_back(output.map);
  }
  SmallVector<utils::IteratorType> iterators(maps.back().getNumDims(),
                                             utils::IteratorType::parallel);
  for (int64_t dim : reduced)
    iterators[dim] = utils::IteratorType::reduction;
  auto op = linalg::GenericOp::create(
      l.builder, loc, types, ins, outs, maps, iterators,
      [&](OpBuilder &builder, Location bodyLoc, ValueRange arguments) {
        Scalars s(builder, bodyLoc, nullptr);
        SmallVector<Value> results = body(s, arguments);
        linalg::YieldOp::create(builder, bodyLoc, results);
      });
  return SmallVector<Value>(op.getResults());
}

Value pointwise(Lowering &l, Location loc, ArrayRef<Input> inputs, ArrayRef<OpFoldResult> dims,
                Type element, ScalarFn fn) {
  Value init = l.emptyTensor(loc, dims, element);
  Input output{init, AffineMap::getMultiDimIdentityMap(dims.size(), l.builder.getContext())};
  return generic(l, loc, inputs, output, {}, [&](Scalars &s, ValueRange args) {
    return SmallVector<Value>{fn(s, args.drop_back())};
  })[0];
}

Value reduceAxes(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims,
                 ArrayRef<int64_t> axes, Value identity, ScalarFn fn) {
  Value init = l.filledTensor(loc, dimsWithout(dims, axes), identity);
  AffineMap all = AffineMap::getMultiDimIdentityMap(dims.size(), l.builder.getContext());
  Input output{init, mapWithout(l, dims.size(), axes)};
  return generic(l, loc, Input{x, all}, output, axes, [&](Scalars &s, ValueRange args) {
    return SmallVector<Value>{fn(s, args)};
  })[0];
}

AffineMap mapWithout(Lowering &l, int64_t rank, ArrayRef<int64_t> dropped) {
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(dropped, i))
      exprs.push_back(l.builder.getAffineDimExpr(i));
  return AffineMap::get(rank, 0, exprs, l.builder.getContext());
}

AffineMap broadcastMap(Lowering &l, ArrayRef<OpFoldResult> dims, ArrayRef<OpFoldResult> target) {
  SmallVector<AffineExpr> exprs;
  for (size_t i = 0; i < dims.size(); ++i) {
    size_t position = target.size() - dims.size() + i;
    bool still = isOne(dims[i]) && !isOne(target[position]);
    exprs.push_back(still ? l.builder.getAffineConstantExpr(0)
                          : l.builder.getAffineDimExpr(position));
  }
  return AffineMap::get(target.size(), 0, exprs, l.builder.getContext());
}

Dims dimsWithout(ArrayRef<OpFoldResult> dims, ArrayRef<int64_t> dropped) {
  Dims result;
  for (auto [i, dim] : llvm::enumerate(dims))
    if (!llvm::is_contained(dropped, static_cast<int64_t>(i)))
      result.push_back(dim);
  return result;
}

Dims dimsKept(Lowering &l, ArrayRef<OpFoldResult> dims, ArrayRef<int64_t> axes) {
  Dims result(dims);
  for (int64_t axis : axes)
    result[axis] = l.indexAttr(1);
  return result;
}

bool isStaticallyEmpty(ArrayRef<OpFoldResult> dims) {
  return llvm::any_of(dims, [](OpFoldResult dim) { return staticDim(dim) == 0; });
}

Value sliceOf(Lowering &l, Location loc, Value source, const Dims &offsets, const Dims &sizes,
              const Dims &strides, const Dims &dims, Type element) {
  bool isEmpty = isStaticallyEmpty(dims);
  for (auto [i, whole] : llvm::enumerate(cast<RankedTensorType>(source.getType()).getShape())) {
    std::optional<int64_t> offset = staticDim(offsets[i]);
    // (A size that is known and too large is left for the verifier to see.)
    bool isBehind = !ShapedType::isDynamic(whole) && offset && *offset >= whole && !staticDim(sizes[i]);
    isEmpty |= whole == 0 || isBehind;
  }
  if (isEmpty)
    return l.emptyTensor(loc, dims, element);
  return tensor::ExtractSliceOp::create(l.builder, loc, tensorType(dims, element), source, offsets, sizes,
                                        strides);
}

Value broadcastTo(Lowering &l, Location loc, Lowered *value, ArrayRef<OpFoldResult> dims) {
  if (Value scalar = l.splat(value))
    return l.filledTensor(loc, dims, scalar);
  Value tensor = l.tensor(value);
  AffineMap map = broadcastMap(l, value->dims, dims);
  if (map.isIdentity())
    return tensor;
  return pointwise(l, loc, Input{tensor, map}, dims, signless(value->element),
                   [](Scalars &, ValueRange args) { return args[0]; });
}

/// Whether a scalar of the function is computed from elements of a run-time tensor.
static bool dependsOnData(Value scalar) {
  SmallVector<Value> work = {scalar};
  llvm::SmallDenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || !seen.insert(value).second || isa<tensor::DimOp>(op))
      continue;
    if (isa<tensor::ExtractOp>(op))
      return true;
    work.append(op->operand_begin(), op->operand_end());
  }
  return false;
}

FailureOr<Dims> withDeclaredDims(Lowering &l, Operation *op, unsigned i, Dims dims) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(i).getType());
  if (!type || type.getRank() != static_cast<int64_t>(dims.size()))
    return dims;
  for (auto [d, dim] : llvm::enumerate(dims)) {
    auto value = dyn_cast<Value>(l.resolve(dim));
    if (!value || type.isDynamicDim(d) || !dependsOnData(value))
      continue;
    FailureOr<OpFoldResult> common =
        l.unify(op, value, l.indexAttr(type.getDimSize(d)),
                "dimension " + Twine(d) + " of its result, declared and computed,");
    if (failed(common))
      return failure();
    dim = *common;
  }
  return dims;
}

FailureOr<OpFoldResult> sizeFrom(Lowering &l, Operation *op, Value size, const Twine &what) {
  Scalars s = l.scalars(op->getLoc());
  if (!isa<IntegerType>(size.getType()))
    return l.fail(op, what + " is not an integer");
  size = convertInteger(s, size, l.builder.getI64Type(), false);
  if (std::optional<int64_t> known = constantInteger(size); known && *known < 0)
    return l.fail(op, what + " is " + Twine(*known));
  return l.toDim(l.atLeastZero(op, size, what));
}

Value readScalar(Lowering &l, Location loc, Lowered *value) {
  if (auto elements = l.elements(value))
    return (*elements)[0];
  Scalars s = l.scalars(loc);
  SmallVector<Value> zeros(value->rank(), s.integer(l.builder.getIndexType(), 0));
  return tensor::ExtractOp::create(l.builder, loc, l.tensor(value), zeros);
}

Type accumulatorType(Type element) {
  return element.isF16() || element.isBF16() ? Float32Type::get(element.getContext()) : element;
}

bool isSupportedFloat(Type element) {
  return isa<Float32Type, Float64Type, Float16Type, BFloat16Type>(element);
}

Value convertFloat(Scalars &s, Value value, Type to) {
  Type from = value.getType();
  if (from == to)
    return value;
  // f16 and bf16 have one width: by way of f32.
  if (from.getIntOrFloatBitWidth() == to.getIntOrFloatBitWidth())
    value = s.make<arith::ExtFOp>(s.builder.getF32Type(), value);
  else if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return s.make<arith::ExtFOp>(to, value);
  return s.make<arith::TruncFOp>(to, value);
}

Value convertInteger(Scalars &s, Value value, Type to, bool isUnsigned) {
  if (value.getType() == to)
    return value;
  if (value.getType().isIndex() || to.isIndex())
    return to.isIndex() ? s.toIndex(convertInteger(s, value, s.builder.getI64Type(), isUnsigned))
                        : convertInteger(s, s.toI64(value), to, false);
  if (value.getType().getIntOrFloatBitWidth() > to.getIntOrFloatBitWidth())
    return s.make<arith::TruncIOp>(to, value);
  if (isUnsigned)
    return s.make<arith::ExtUIOp>(to, value);
  return s.make<arith::ExtSIOp>(to, value);
}

Value toFloat(Scalars &s, Value value, Type to, bool isUnsigned) {
  if (isa<FloatType>(value.getType()))
    return convertFloat(s, value, to);
  if (isUnsigned)
    return s.make<arith::UIToFPOp>(to, value);
  return s.make<arith::SIToFPOp>(to, value);
}

Value loopIndex(Scalars &s, int64_t dim) {
  return linalg::IndexOp::create(s.builder, s.loc, dim);
}

Value extract(Scalars &s, Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(s.builder, s.loc, tensor, indices);
}

Value checkedIndices(Lowering &l, Operation *op, Lowered *indices, ArrayRef<OpFoldResult> sizes) {
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type();
  Value tensor = l.tensor(indices);
  if (sizes.size() == 1 && tensor.getType() ==
          tensorType(indices->dims, i64) && l.provablyBelow(indices, sizes[0]))
    return tensor;

  SmallVector<Value> sizeValues;
  for (OpFoldResult size : sizes)
    sizeValues.push_back(l.i64Value(size));
  std::string message = nodeName(op) + ": index out of range";
  AffineMap identity =
      AffineMap::getMultiDimIdentityMap(indices->rank(), l.builder.getContext());
  return pointwise(
      l, loc, Input{tensor, identity}, indices->dims, i64, [&](Scalars &s, ValueRange args) {
        Value index = convertInteger(s, args[0], i64, indices->isUnsigned());
        Value zero = s.integer(i64, 0);
        Value size = sizeValues[0];
        for (size_t i = 1; i < sizeValues.size(); ++i) {
          Value here = s.compare(arith::CmpIPredicate::eq, loopIndex(s, indices->rank() - 1),
                                 s.integer(s.builder.getIndexType(), i));
          size = s.select(here, sizeValues[i], size);
        }
        Value fromEnd = s.add(index, size);
        index = s.select(s.compare(arith::CmpIPredicate::slt, index, zero), fromEnd, index);
        // Unsigned: negative numbers are large.
        Value inRange = s.compare(arith::CmpIPredicate::ult, index, size);
        cf::AssertOp::create(s.builder, s.loc, inRange, message);
        Value last = s.sub(size, s.integer(i64, 1));
        return s.max(s.min(index, last), zero);
      });
}

void assertNotEmpty(Lowering &l, Operation *op, ArrayRef<OpFoldResult> sizes,
                    ArrayRef<OpFoldResult> count) {
  if (isStaticallyEmpty(count))
    return;
  std::optional<int64_t> reads = staticCount(count);
  Scalars s = l.scalars(op->getLoc());
  Value zero = s.integer(l.builder.getI64Type(), 0);
  OpFoldResult total = l.product(count);
  for (OpFoldResult size : sizes) {
    // Where the size is a factor of the count, it is 0 only if that is.
    if (staticDim(size).value_or(0) > 0 || size == total || llvm::is_contained(count, size))
      continue;
    Value positive = s.compare(arith::CmpIPredicate::sgt, l.i64Value(size), zero);
    if (!reads) {
      Value none = s.compare(arith::CmpIPredicate::eq, l.i64Value(total), zero);
      positive = s.make<arith::OrIOp>(positive, none);
    }
    l.assertTrue(op, positive, "a dimension that indices point into is empty");
  }
}

} // namespace sq
