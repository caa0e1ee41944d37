/// Ops that give the same elements another shape.
#include "passes/lower_onnx/Lowering.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace sq;

namespace {
/// A product of dims, to be compared with another: symbols and one number.
struct Product {
  SmallVector<Value> symbols;
  int64_t number = 1;
  bool valid = true;

  void times(OpFoldResult dim) {
    if (auto size = staticDim(dim))
      valid &= !llvm::MulOverflow(number, *size, number);
    else
      times(cast<Value>(dim));
  }
  /// Products, which `Lowering::multiply` made, are taken apart; not without end, as
  /// x * x, squared again and again, has exponentially many factors.
  void times(Value size, unsigned depth = 0) {
    if (auto cast = size.getDefiningOp<arith::IndexCastOp>())
      size = cast.getIn();
    if (auto constant = constantInteger(size)) {
      valid &= !llvm::MulOverflow(number, *constant, number);
    } else if (auto product = size.getDefiningOp<arith::MulIOp>(); product && depth < 6) {
      times(product.getLhs(), depth + 1);
      times(product.getRhs(), depth + 1);
    } else {
      symbols.push_back(size);
    }
  }
  /// Symbols of this one, counted, that the other has not.
  bool hasMoreThan(const Product &other) const {
    SmallVector<Value> rest(other.symbols);
    for (Value symbol : symbols) {
      auto it = llvm::find(rest, symbol);
      if (it == rest.end())
        return true;
      rest.erase(it);
    }
    return false;
  }
};

/// Consecutive dims of both shapes that have one product.
struct Group {
  SmallVector<int64_t> from, to;
};
} // namespace

/// Splits both shapes into the smallest groups with provably equal products; one
/// group of everything where that fails.
static SmallVector<Group> groupDims(ArrayRef<OpFoldResult> from, ArrayRef<OpFoldResult> to) {
  SmallVector<Group> groups;
  size_t i = 0, j = 0;
  bool matched = true;
  while (matched && i < from.size() && j < to.size()) {
    Group group;
    Product a, b;
    auto takeFrom = [&] { a.times(from[i]), group.from.push_back(i++); };
    auto takeTo = [&] { b.times(to[j]), group.to.push_back(j++); };
    takeFrom(), takeTo();
    while (true) {
      bool moreFrom = a.hasMoreThan(b), moreTo = b.hasMoreThan(a);
      if (!moreFrom && !moreTo && a.number == b.number)
        break;
      bool extendTo = moreFrom ? !moreTo : !moreTo && b.number < a.number;
      if (moreFrom && moreTo) // Neither is a multiple of the other yet: both grow.
        extendTo = group.to.size() <= group.from.size();
      if (!a.valid || !b.valid || (extendTo ? j == to.size() : i == from.size())) {
        matched = false;
        break;
      }
      extendTo ? takeTo() : takeFrom();
    }
    groups.push_back(std::move(group));
  }
  // Ones at the end go with the last group.
  for (; matched && i < from.size(); ++i)
    (matched = isOne(from[i]) && !groups.empty()) ? groups.back().from.push_back(i) : void();
  for (; matched && j < to.size(); ++j)
    (matched = isOne(to[j]) && !groups.empty()) ? groups.back().to.push_back(j) : void();
  if (matched)
    return groups;
  Group all;
  llvm::append_range(all.from, llvm::seq<int64_t>(0, from.size()));
  llvm::append_range(all.to, llvm::seq<int64_t>(0, to.size()));
  return {all};
}

Value Lowering::reshape(Location loc, Value tensor, ArrayRef<OpFoldResult> fromDims,
                        ArrayRef<OpFoldResult> toDims) {
  Dims from = llvm::map_to_vector(fromDims, [&](OpFoldResult dim) { return resolve(dim); });
  Dims to = llvm::map_to_vector(toDims, [&](OpFoldResult dim) { return resolve(dim); });
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  auto castTo = [&](Value value, RankedTensorType type) -> Value {
    if (value.getType() == type)
      return value;
    return tensor::CastOp::create(builder, loc, type, value);
  };
  Value result = castTo(tensor, tensorType(from, element));
  if (from == to)
    return result;

  SmallVector<Group> groups;
  if (!from.empty() && !to.empty())
    groups = groupDims(from, to);
  SmallVector<ReassociationIndices> collapse, expand;
  Dims collapsed;
  for (Group &group : groups) {
    collapse.emplace_back(group.from.begin(), group.from.end());
    expand.emplace_back(group.to.begin(), group.to.end());
    Dims factors;
    for (int64_t i : group.from)
      factors.push_back(from[i]);
    collapsed.push_back(factors.size() == 1 ? factors[0] : product(factors));
  }
  if (collapsed.size() != from.size())
    result = tensor::CollapseShapeOp::create(builder, loc, result, collapse);
  if (collapsed.size() == to.size())
    return castTo(result, tensorType(to, element));

  // A dim to be expanded must be dynamic exactly when one of its parts is.
  SmallVector<int64_t> sourceShape;
  for (Group &group : groups) {
    Dims parts;
    for (int64_t d : group.to)
      parts.push_back(to[d]);
    sourceShape.push_back(staticCount(parts).value_or(ShapedType::kDynamic));
  }
  result = castTo(result, RankedTensorType::get(sourceShape, element));
  return tensor::ExpandShapeOp::create(builder, loc, tensorType(to, element), result, expand, to);
}

void Lowering::setReshaped(Operation *op, Lowered *value, Dims dims) {
  Lowered result;
  result.element = value->element;
  result.lowest = value->lowest;
  result.below = value->below;
  result.dims = dims;
  auto type = tensorType(dims, value->element);
  if (value->elements || value->splat) {
    result.elements = value->elements;
    result.splat = value->splat;
  } else if (value->constant && type.hasStaticShape()) {
    if (auto dense = dyn_cast<DenseElementsAttr>(value->constant))
      result.constant = dense.reshape(type);
    else
      result.constant = DenseResourceElementsAttr::get(
          type, cast<DenseResourceElementsAttr>(value->constant).getRawHandle());
  } else {
    Value whole = tensor(value);
    result.tensor = reshape(op->getLoc(), whole, value->dims, dims);
    result.stored = dims;
  }
  set(op->getResult(0), std::move(result));
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// The dim that -1 stands for: the product of `from` by that of `others`.
static FailureOr<OpFoldResult> inferDim(Lowering &l, Operation *op, ArrayRef<OpFoldResult> from,
                                        ArrayRef<OpFoldResult> others) {
  Product total, known;
  for (OpFoldResult dim : from)
    total.times(l.resolve(dim));
  for (OpFoldResult dim : others)
    known.times(l.resolve(dim));
  if (known.number == 0 || !total.valid || !known.valid)
    return l.fail(op, "the dimension that -1 stands for is not determined, as another one is 0");
  SmallVector<Value> rest(total.symbols), unknown;
  for (Value symbol : known.symbols) {
    auto it = llvm::find(rest, symbol);
    if (it == rest.end())
      unknown.push_back(symbol);
    else
      rest.erase(it);
  }
  if (unknown.empty() && total.number % known.number == 0) {
    Dims factors;
    for (Value symbol : rest)
      factors.push_back(l.toDim(symbol));
    factors.push_back(l.indexAttr(total.number / known.number));
    return l.product(factors);
  }
  if (unknown.empty() && rest.empty())
    return l.fail(op, "its " + Twine(total.number) + " elements cannot be divided by " +
                          Twine(known.number) + " for the dimension that -1 stands for");
  Scalars s = l.scalars(op->getLoc());
  Value dividend = l.i64Value(l.product(from)), divisor = l.i64Value(l.product(others));
  Value zero = s.integer(s.builder.getI64Type(), 0);
  l.assertTrue(op, s.compare(arith::CmpIPredicate::eq, s.remainder(dividend, divisor), zero),
               "the elements cannot be divided among the dimensions of the new shape");
  return l.toDim(s.divide(dividend, divisor));
}

/// Both shapes must have the same number of elements.
static LogicalResult checkCounts(Lowering &l, Operation *op, ArrayRef<OpFoldResult> from,
                                 ArrayRef<OpFoldResult> to) {
  Product a, b;
  for (OpFoldResult dim : from)
    a.times(l.resolve(dim));
  for (OpFoldResult dim : to)
    b.times(l.resolve(dim));
  if (!a.valid || !b.valid)
    return l.fail(op, "a shape has more than 2^63 - 1 elements");
  if (!a.hasMoreThan(b) && !b.hasMoreThan(a) && a.number == b.number)
    return success();
  if (a.symbols.empty() && b.symbols.empty())
    return l.fail(op, "a tensor of " + Twine(a.number) + " elements cannot have a shape of " +
                          Twine(b.number));
  Scalars s = l.scalars(op->getLoc());
  l.assertTrue(op,
               s.compare(arith::CmpIPredicate::eq, l.i64Value(l.product(from)),
                         l.i64Value(l.product(to))),
               "the new shape has another number of elements");
  return success();
}

/// Sizes of which it is not known before the run whether they are -1 or 0.
static LogicalResult reshapeAtRunTime(Lowering &l, Operation *op, Lowered *data,
                                      ArrayRef<Value> shape, bool keepsZero) {
  Scalars s = l.scalars(op->getLoc());
  using P = arith::CmpIPredicate;
  Type i64 = s.builder.getI64Type();
  Value zero = s.integer(i64, 0), one = s.integer(i64, 1), total = l.i64Value(l.product(data->dims));
  Value others = one, inferred = zero;
  SmallVector<Value> sizes, isInferred;
  for (auto [i, scalar] : llvm::enumerate(shape)) {
    Value size = scalar;
    if (!keepsZero && i < data->dims.size())
      size = s.select(s.compare(P::eq, size, zero), l.i64Value(data->dims[i]), size);
    isInferred.push_back(s.compare(P::eq, size, s.integer(i64, -1)));
    size = s.select(isInferred.back(), one, size);
    inferred = s.add(inferred, s.select(isInferred.back(), one, zero));
    sizes.push_back(l.atLeastZero(op, size, "a size of the new shape"));
    others = s.mul(others, sizes.back());
  }
  l.assertTrue(op, s.compare(P::sle, inferred, one), "its shape has -1 twice");
  Value rest = s.divide(total, others);
  Dims to;
  Value count = one;
  for (auto [size, flag] : llvm::zip(sizes, isInferred)) {
    Value whole = s.select(flag, rest, size);
    to.push_back(l.toDim(whole));
    count = s.mul(count, whole);
  }
  l.assertTrue(op, s.compare(P::eq, total, count), "the new shape has another number of elements");
  l.setReshaped(op, data, to);
  return success();
}

static LogicalResult lowerReshape(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  bool keepsZero = l.intAttr(op, "allowzero", 0) != 0;
  Scalars s = l.scalars(op->getLoc());
  SmallVector<Value> shape;
  if (auto attr = l.intsAttr(op, "shape"); attr && l.opset() < 5) {
    for (int64_t size : *attr)
      shape.push_back(s.integer(s.builder.getI64Type(), size));
  } else {
    FailureOr<SmallVector<Value>> known = l.knownElements(op, 1, "shape");
    if (failed(known))
      return failure();
    shape = *known;
  }
  Dims to, others;
  std::optional<size_t> inferred;
  for (auto [i, scalar] : llvm::enumerate(shape)) {
    auto size = constantInteger(scalar);
    OpFoldResult dim = l.indexAttr(1);
    bool isRunTime = !size && l.facts.interval(scalar).min < 0;
    if (size == -1) {
      if (inferred)
        return l.fail(op, "its shape has -1 twice");
      inferred = i;
      to.push_back(dim);
      continue;
    }
    if (size == 0 && !keepsZero) {
      if (i >= data->dims.size())
        return l.fail(op, "its shape has 0 for dimension " + Twine(i) + ", but its input has rank " +
                              Twine(data->rank()));
      dim = data->dims[i];
    } else if (size && *size < 0) {
      return l.fail(op, "its shape has the size " + Twine(*size));
    } else if (isRunTime) {
      return reshapeAtRunTime(l, op, data, shape, keepsZero);
    } else {
      dim = l.toDim(scalar);
    }
    to.push_back(dim);
    others.push_back(dim);
  }
  if (inferred) {
    FailureOr<OpFoldResult> dim = inferDim(l, op, data->dims, others);
    if (failed(dim))
      return failure();
    to[*inferred] = *dim;
  } else if (failed(checkCounts(l, op, data->dims, to))) {
    return failure();
  }
  l.setReshaped(op, data, to);
  return success();
}

static LogicalResult lowerFlatten(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  int64_t axis = l.intAttr(op, "axis", 1), rank = data->rank();
  if (axis < -rank || axis > rank)
    return l.fail(op, "axis " + Twine(axis) + " is outside the rank; expected " + Twine(-rank) +
                          " to " + Twine(rank));
  if (axis < 0)
    axis += rank;
  ArrayRef<OpFoldResult> dims(data->dims);
  l.setReshaped(op, data, {l.product(dims.take_front(axis)), l.product(dims.drop_front(axis))});
  return success();
}

/// Axes as an attribute (before opset 13) or as input 1; nothing when not given.
static FailureOr<std::optional<SmallVector<Value>>> axesOf(Lowering &l, Operation *op) {
  Scalars s = l.scalars(op->getLoc());
  if (auto attr = l.intsAttr(op, "axes"))
    return std::optional(llvm::map_to_vector(
        *attr, [&](int64_t axis) { return s.integer(s.builder.getI64Type(), axis); }));
  if (!l.operand(op, 1))
    return std::optional<SmallVector<Value>>();
  FailureOr<SmallVector<Value>> axes = l.knownInts(op, 1, "axes");
  if (failed(axes))
    return failure();
  return std::optional(*axes);
}

/// Squeeze and Unsqueeze keep a pending broadcast: only ones come or go.
static LogicalResult setWithOnes(Lowering &l, Operation *op, Lowered *data, Dims dims,
                                 ArrayRef<int64_t> axes, bool inserts) {
  bool isPending = data->tensor && data->stored.size() == data->dims.size() &&
                   data->stored != data->dims;
  if (!isPending) {
    l.setReshaped(op, data, dims);
    return success();
  }
  Lowered result;
  result.element = data->element;
  result.lowest = data->lowest;
  result.below = data->below;
  result.dims = dims;
  size_t next = 0;
  for (size_t i = 0; i < (inserts ? dims.size() : data->dims.size()); ++i) {
    bool isAxis = llvm::is_contained(axes, int64_t(i));
    if (inserts)
      result.stored.push_back(isAxis ? l.indexAttr(1) : data->stored[next++]);
    else if (!isAxis)
      result.stored.push_back(data->stored[i]);
  }
  result.tensor = l.reshape(op->getLoc(), data->tensor, data->stored, result.stored);
  l.set(op->getResult(0), std::move(result));
  return success();
}

static LogicalResult lowerUnsqueeze(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  auto given = axesOf(l, op);
  if (failed(given))
    return failure();
  if (!*given)
    return l.fail(op, "its axes are missing");
  auto constants = constantIntegers(**given);
  if (!constants) {
    int64_t rank = data->rank() + (*given)->size();
    l.setReshaped(op, data, withOnesAt(l, data->dims, axisFlags(l, op, **given, rank)));
    return success();
  }
  auto axes = l.normalizeAxes(op, *constants, data->rank() + (*given)->size());
  if (failed(axes))
    return failure();
  Dims dims;
  size_t next = 0;
  for (size_t i = 0, rank = data->dims.size() + axes->size(); i < rank; ++i)
    dims.push_back(llvm::is_contained(*axes, int64_t(i)) ? OpFoldResult(l.indexAttr(1))
                                                         : data->dims[next++]);
  return setWithOnes(l, op, data, dims, *axes, /*inserts=*/true);
}

static LogicalResult squeezeAtRunTime(Lowering &l, Operation *op, Lowered *data,
                                      ArrayRef<Value> axes) {
  if (int64_t(axes.size()) > data->rank())
    return l.fail(op, Twine(axes.size()) + " axes cannot be removed from rank " +
                          Twine(data->rank()));
  SmallVector<Value> flags = axisFlags(l, op, axes, data->rank());
  Scalars s = l.scalars(op->getLoc());
  Value one = s.integer(s.builder.getI64Type(), 1);
  for (auto [flag, dim] : llvm::zip(flags, data->dims))
    l.assertTrue(op,
                 s.compare(arith::CmpIPredicate::eq, s.select(flag, l.i64Value(dim), one), one),
                 "a dimension to be removed is not 1");
  l.setReshaped(op, data, withoutFlagged(l, data->dims, flags, axes.size()));
  return success();
}

static LogicalResult lowerSqueeze(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  auto given = axesOf(l, op);
  if (failed(given))
    return failure();
  SmallVector<int64_t> axes;
  if (*given) {
    auto constants = constantIntegers(**given);
    if (!constants)
      return squeezeAtRunTime(l, op, data, **given);
    auto normal = l.normalizeAxes(op, *constants, data->rank());
    if (failed(normal))
      return failure();
    axes = *normal;
  } else {
    for (auto [i, dim] : llvm::enumerate(data->dims)) {
      if (!staticDim(dim))
        return l.fail(op, "without axes, whether dimension " + Twine(i) +
                              " goes depends on its run-time size; give it axes");
      if (isOne(dim))
        axes.push_back(i);
    }
  }
  Lowered source = *data;
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(data->dims)) {
    if (!llvm::is_contained(axes, int64_t(i))) {
      dims.push_back(dim);
      continue;
    }
    auto size = staticDim(dim);
    if (size && *size != 1)
      return l.fail(op, "dimension " + Twine(i) + " to be removed is " + Twine(*size) + ", not 1");
    if (!size) {
      Scalars s = l.scalars(op->getLoc());
      l.assertTrue(op,
                   s.compare(arith::CmpIPredicate::eq, l.indexValue(dim),
                             s.integer(s.builder.getIndexType(), 1)),
                   "dimension " + Twine(i) + " to be removed is not 1");
      source.tensor = l.tensor(data);
      source.stored = data->dims;
      source.stored[i] = source.dims[i] = l.indexAttr(1);
    }
  }
  return setWithOnes(l, op, &source, dims, axes, /*inserts=*/false);
}

void sq::registerReshape(LoweringTable &table) {
  table.add("Reshape", 1, lowerReshape);
  table.add("Flatten", 1, lowerFlatten);
  table.add("Squeeze", 1, lowerSqueeze);
  table.add("Unsqueeze", 1, lowerUnsqueeze);
}
