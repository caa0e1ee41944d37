/// Constants, and ops whose result depends on shapes rather than on data.
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace sq;

//===----------------------------------------------------------------------===//
// Constant
//===----------------------------------------------------------------------===//

/// The range of a constant of integers, by which indices are known to be good.
static std::optional<Interval> valueRange(ElementsAttr value) {
  // Longer ones are weights.
  constexpr int64_t maxCount = 1 << 16;
  auto type = dyn_cast<IntegerType>(value.getElementType());
  if (!type || type.getWidth() == 1 || value.getNumElements() == 0 ||
      value.getNumElements() > maxCount)
    return std::nullopt;
  Interval range{INT64_MAX, INT64_MIN};
  auto include = [&](int64_t x) {
    range.min = std::min(range.min, x);
    range.max = std::max(range.max, x);
  };
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    for (const APInt &x : dense.getValues<APInt>())
      include(type.isUnsigned() ? x.getZExtValue() : x.getSExtValue());
    return range;
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob || (!type.isSignless() || (type.getWidth() != 64 && type.getWidth() != 32)))
    return std::nullopt;
  ArrayRef<char> bytes = blob->getData();
  size_t step = type.getWidth() / 8;
  // The blob lies in a file: nothing is known of its alignment.
  for (size_t at = 0; at + step <= bytes.size(); at += step) {
    int64_t wide;
    int32_t narrow;
    if (step == 8)
      std::memcpy(&wide, bytes.data() + at, step), include(wide);
    else
      std::memcpy(&narrow, bytes.data() + at, step), include(narrow);
  }
  return range;
}

static LogicalResult lowerConstant(Lowering &l, Operation *op) {
  auto value = op->getAttrOfType<ElementsAttr>("value");
  if (!value)
    return l.fail(op, "its attribute `value` must be a tensor");
  Type element = value.getElementType();
  auto type = dyn_cast<RankedTensorType>(value.getShapedType());
  if (!type || dtypeName(element).empty()) {
    std::string text;
    llvm::raw_string_ostream(text) << value.getShapedType();
    return l.fail(op, "constants of type " + text + " are not supported yet");
  }
  Lowered result;
  result.element = element;
  for (int64_t size : type.getShape())
    result.dims.push_back(l.indexAttr(size));
  if (auto range = valueRange(value); range && range->max < INT64_MAX) {
    result.lowest = range->min;
    result.below = l.indexAttr(range->max + 1);
  }
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    uint64_t bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
    if (!blob || blob->getData().size() != llvm::divideCeil(type.getNumElements() * bits, 8))
      return l.fail(op, "its data is missing or has the wrong size; was it left out when the file "
                        "was printed?");
  } else if (!isa<DenseElementsAttr>(value)) {
    return l.fail(op, "only dense constants are supported yet");
  }
  result.constant = storedConstant(value);
  l.set(op->getResult(0), std::move(result));
  return success();
}

//===----------------------------------------------------------------------===//
// Shape, Size, ConstantOfShape, Expand
//===----------------------------------------------------------------------===//

FailureOr<Dims> Lowering::sizesFrom(Operation *op, unsigned i, StringRef what) {
  FailureOr<SmallVector<Value>> sizes = knownElements(op, i, what);
  if (failed(sizes))
    return failure();
  Dims dims;
  for (Value size : *sizes) {
    if (!size.getType().isInteger(64))
      return fail(op, "its " + what + " must be of i64");
    auto number = constantInteger(size);
    if (number && *number < 0)
      return fail(op, "its " + what + " has the negative size " + Twine(*number));
    dims.push_back(toDim(atLeastZero(op, size, "a size of its " + what)));
  }
  return dims;
}

static LogicalResult lowerShape(Lowering &l, Operation *op) {
  ArrayRef<OpFoldResult> dims(l.operand(op, 0)->dims);
  int64_t rank = dims.size();
  auto clamp = [&](int64_t i) {
    return std::max<int64_t>(0, std::min(rank, i < 0 ? i + rank : i));
  };
  int64_t start = clamp(l.intAttr(op, "start", 0)), end = clamp(l.intAttr(op, "end", rank));
  SmallVector<Value> sizes;
  for (int64_t i = start; i < end; ++i)
    sizes.push_back(l.i64Value(dims[i]));
  Dims shape{l.indexAttr(sizes.size())};
  l.setElements(op, 0, std::move(sizes), shape, l.builder.getI64Type());
  return success();
}

static LogicalResult lowerSize(Lowering &l, Operation *op) {
  Value size = l.i64Value(l.product(l.operand(op, 0)->dims));
  l.setElements(op, 0, {size}, {}, l.builder.getI64Type());
  return success();
}

static LogicalResult lowerConstantOfShape(Lowering &l, Operation *op) {
  FailureOr<Dims> dims = l.sizesFrom(op, 0, "shape");
  if (failed(dims))
    return failure();
  Type element = l.builder.getF32Type();
  TypedAttr scalar = l.builder.getF32FloatAttr(0);
  if (Attribute attr = op->getAttr("value")) {
    auto dense = dyn_cast<DenseElementsAttr>(attr);
    if (!dense || dense.getNumElements() != 1 || dtypeName(dense.getElementType()).empty())
      return l.fail(op, "its attribute `value` must be a tensor of one number");
    element = dense.getElementType();
    dense = cast<DenseElementsAttr>(storedConstant(dense));
    scalar = cast<TypedAttr>(*dense.getValues<Attribute>().begin());
  }
  l.setSplat(op, 0, l.scalars(op->getLoc()).constant(scalar), *dims, element);
  return success();
}

static LogicalResult lowerExpand(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  FailureOr<Dims> shape = l.sizesFrom(op, 1, "shape");
  if (failed(shape))
    return failure();
  // A size read at run time may turn out to be 1, as may that of a slice of at most one
  // row: then the data's own counts.
  Scalars s = l.scalars(op->getLoc());
  for (int64_t i = 1; i <= std::min<int64_t>(data->rank(), shape->size()); ++i) {
    OpFoldResult &size = (*shape)[shape->size() - i], dim = data->dims[data->rank() - i];
    Value wanted = (*l.elements(l.operand(op, 1)))[shape->size() - i];
    Interval range = l.facts.interval(wanted);
    if (!isOne(dim) && !isOne(size) && (range.min < 0 || range.max <= 1))
      size = selectDim(l, s.compare(arith::CmpIPredicate::eq, wanted,
                                    s.integer(s.builder.getI64Type(), 1)),
                       dim, size);
  }
  FailureOr<Dims> dims = l.broadcast(op, data->dims, *shape);
  if (failed(dims))
    return failure();
  if (Value scalar = l.splat(data)) {
    l.setSplat(op, 0, scalar, *dims, data->element);
    return success();
  }
  auto count = staticCount(*dims);
  if (l.elements(data) && count && *count <= maxKnownElements) {
    // The mapping of elements broadcasts; the second operand gives the shape only.
    Lowered ones;
    ones.element = data->element;
    ones.dims = *dims;
    ones.splat = l.scalars(op->getLoc())
                     .constant(cast<TypedAttr>(l.builder.getZeroAttr(signless(data->element))));
    return l.elementwise(op, {data, &ones}, data->element,
                         [](Scalars &, ValueRange args) { return args[0]; });
  }
  // Who reads it broadcasts.
  Lowered result;
  result.element = data->element;
  result.lowest = data->lowest;
  result.below = data->below;
  result.tensor = l.storedTensor(data);
  result.stored = data->stored;
  result.dims = *dims;
  l.set(op->getResult(0), std::move(result));
  return success();
}

static LogicalResult lowerIdentity(Lowering &l, Operation *op) {
  l.alias(op->getResult(0), l.operand(op, 0));
  return success();
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

/// Defines start + i * delta for i in [0, length).
static LogicalResult setRange(Lowering &l, Operation *op, Value start, Value delta,
                              OpFoldResult length, Type element) {
  Location loc = op->getLoc();
  Type type = start.getType(), wide = accumulatorType(type);
  if (isa<FloatType>(type)) {
    Scalars outer = l.scalars(loc);
    start = convertFloat(outer, start, wide);
    delta = convertFloat(outer, delta, wide);
  }
  auto at = [&](Scalars &s, Value index) -> Value {
    if (isa<FloatType>(type)) {
      Value i = s.make<arith::SIToFPOp>(wide, s.toI64(index));
      Value step = s.make<arith::MulFOp>(i, s.bring(delta));
      return convertFloat(s, s.make<arith::AddFOp>(s.bring(start), step), type);
    }
    Value i = s.make<arith::IndexCastOp>(type, index);
    return s.add(s.mul(i, s.bring(delta)), s.bring(start));
  };
  auto count = staticDim(length);
  if (count && *count <= maxKnownElements) {
    Scalars s = l.scalars(loc);
    SmallVector<Value> elements;
    for (int64_t i = 0; i < *count; ++i)
      elements.push_back(at(s, s.integer(s.builder.getIndexType(), i)));
    l.setElements(op, 0, std::move(elements), {length}, element);
    return success();
  }
  Value init = l.emptyTensor(loc, {length}, element);
  AffineMap map = l.builder.getMultiDimIdentityMap(1);
  auto iota = linalg::GenericOp::create(
      l.builder, loc, init.getType(), ValueRange(), init, map, utils::IteratorType::parallel,
      [&](OpBuilder &b, Location loc, ValueRange) {
        Scalars s(b, loc, nullptr);
        linalg::YieldOp::create(b, loc, at(s, linalg::IndexOp::create(b, loc, 0)));
      });
  l.setTensor(op, 0, iota.getResult(0), {length}, element);
  return success();
}

/// ceil((limit - start) / delta), at least 0; of floats that only the run knows.
static OpFoldResult floatRangeLength(Lowering &l, Operation *op, Value start, Value limit,
                                     Value delta) {
  Scalars s = l.scalars(op->getLoc());
  Type f64 = s.builder.getF64Type(), i64 = s.builder.getI64Type();
  auto wide = [&](Value v) { return convertFloat(s, v, f64); };
  Value length = s.make<math::CeilOp>(s.make<arith::DivFOp>(
      s.make<arith::SubFOp>(wide(limit), wide(start)), wide(delta)));
  Value isFinite = s.compare(arith::CmpFPredicate::OLT, length, s.number(f64, 1e12));
  l.assertTrue(op, isFinite, "its length is not finite");
  Value isSome = s.make<arith::AndIOp>(
      isFinite, s.compare(arith::CmpFPredicate::OGT, length, s.number(f64, 0)));
  Value whole = s.make<arith::FPToSIOp>(i64, s.select(isSome, length, s.number(f64, 0)));
  return l.toDim(s.max(whole, s.integer(i64, 0)));
}

static LogicalResult lowerRange(Lowering &l, Operation *op) {
  Type element = l.operand(op, 0)->element;
  SmallVector<Value> given;
  const char *names[] = {"start", "limit", "delta"};
  for (auto [i, what] : llvm::enumerate(names)) {
    FailureOr<SmallVector<Value>> scalar = l.knownElements(op, i, what);
    if (failed(scalar))
      return failure();
    if (scalar->size() != 1 || l.operand(op, i)->element != element)
      return l.fail(op, "its " + Twine(what) + " must be one number of type " + dtypeName(element));
    given.push_back(scalar->front());
  }
  Value start = given[0], limit = given[1], delta = given[2];
  Scalars s = l.scalars(op->getLoc());

  if (isa<FloatType>(element)) {
    double numbers[3];
    for (int i = 0; i < 3; ++i) {
      auto attr = dyn_cast_if_present<FloatAttr>(l.constantScalar(l.operand(op, i)));
      if (!attr)
        return setRange(l, op, start, delta, floatRangeLength(l, op, start, limit, delta), element);
      numbers[i] = attr.getValueAsDouble();
    }
    double length = std::ceil((numbers[1] - numbers[0]) / numbers[2]);
    // (Also refuses NaN.)
    if (!(length < 1e12))
      return l.fail(op, "its length is not finite; start " + std::to_string(numbers[0]) +
                            ", limit " + std::to_string(numbers[1]) + ", delta " +
                            std::to_string(numbers[2]));
    return setRange(l, op, start, delta, l.indexAttr(std::max<int64_t>(0, int64_t(length))), element);
  }

  Type i64 = s.builder.getI64Type();
  Value first = castScalar(s, start, element, i64), last = castScalar(s, limit, element, i64);
  Value step = castScalar(s, delta, element, i64), zero = s.integer(i64, 0);
  auto number = constantInteger(step);
  if (number == 0)
    return l.fail(op, "its delta is 0");
  if (!number)
    l.assertTrue(op, s.compare(arith::CmpIPredicate::ne, step, zero), "its delta is 0");
  Value distance = s.sub(last, first);
  if (number != 1) {
    // Away from zero: the last step may be a part of one.
    Value one = s.integer(i64, 1);
    Value isUp = s.compare(arith::CmpIPredicate::sgt, step, zero);
    Value rounded = s.add(distance, s.select(isUp, s.sub(step, one), s.add(step, one)));
    distance = s.divide(rounded, step);
  }
  OpFoldResult length = l.toDim(s.max(distance, zero));
  if (failed(setRange(l, op, start, delta, length, element)))
    return failure();
  if (Interval low = l.facts.interval(first); number > 0 && low.min >= 0) {
    Lowered *result = l.lowered(op->getResult(0));
    result->lowest = low.min;
    result->below = l.toDim(last);
  }
  return success();
}

void sq::registerShapes(LoweringTable &table) {
  table.add("Constant", 0, lowerConstant);
  table.add("ConstantOfShape", 1, lowerConstantOfShape);
  table.add("Expand", 2, lowerExpand);
  table.add("Identity", 1, lowerIdentity);
  table.add("Range", 3, lowerRange);
  table.add("Shape", 1, lowerShape);
  table.add("Size", 1, lowerSize);
}
