/// Transpose, Concat, Slice.
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

/// Row-major strides of a static shape.
static SmallVector<int64_t> stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// Reads `elements` at every position of a static shape: at the sum of index times
/// stride, from an offset.
static SmallVector<Value> readStrided(ArrayRef<Value> elements, ArrayRef<int64_t> shape,
                                      ArrayRef<int64_t> strides, int64_t offset) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  SmallVector<Value> result;
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t rest = flat, position = offset;
    for (size_t i = shape.size(); i-- > 0;) {
      position += rest % shape[i] * strides[i];
      rest /= shape[i];
    }
    result.push_back(elements[position]);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

static LogicalResult lowerTranspose(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  int64_t rank = data->rank();
  SmallVector<int64_t> perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  if (auto given = l.intsAttr(op, "perm")) {
    if (int64_t(given->size()) != rank)
      return l.fail(op, "its perm has " + Twine(given->size()) + " axes, but its input has rank " +
                            Twine(rank));
    auto normal = l.normalizeAxes(op, *given, rank);
    if (failed(normal))
      return failure();
    perm = *normal;
  }
  Lowered result;
  result.element = data->element;
  result.lowest = data->lowest;
  result.below = data->below;
  for (int64_t axis : perm)
    result.dims.push_back(data->dims[axis]);
  if (Value scalar = l.splat(data)) {
    result.splat = scalar;
  } else if (auto known = l.elements(data)) {
    SmallVector<int64_t> from = stridesOf(shapeOf(data->dims)), strides;
    for (int64_t axis : perm)
      strides.push_back(from[axis]);
    result.elements = readStrided(*known, shapeOf(result.dims), strides, 0);
  } else {
    // A broadcast that is still to be done goes along.
    Value source = l.storedTensor(data);
    if (int64_t(data->stored.size()) != rank)
      source = l.tensor(data);
    for (int64_t axis : perm)
      result.stored.push_back(data->stored[axis]);
    result.tensor = l.transpose(op->getLoc(), source, data->stored, perm);
  }
  l.set(op->getResult(0), std::move(result));
  return success();
}

//===----------------------------------------------------------------------===//
// Concat
//===----------------------------------------------------------------------===//

/// A chain of insertions costs bufferization a time that grows with the cube of its length; a
/// single op does not, but passes that look for halves put together do not see through it.
constexpr size_t kLongConcat = 16;

FailureOr<Lowered> sq::concatenate(Lowering &l, Operation *op, ArrayRef<Lowered *> parts, int64_t axis) {
  Lowered *first = parts.front();
  for (Lowered *part : parts)
    if (part->element != first->element || part->rank() != first->rank())
      return l.fail(op, "its inputs differ in element type or rank");
  Dims dims = first->dims;
  for (Lowered *part : llvm::drop_begin(parts)) {
    for (int64_t i = 0; i < first->rank(); ++i) {
      if (i == axis) {
        dims[i] = l.add(dims[i], part->dims[i]);
        continue;
      }
      auto common = l.unify(op, dims[i], part->dims[i], "dimension " + Twine(i));
      if (failed(common))
        return failure();
      dims[i] = *common;
    }
  }
  for (OpFoldResult &dim : dims) // what a later part or dim has shown
    dim = l.resolve(dim);

  Lowered joined;
  joined.element = first->element;
  joined.dims = dims;
  auto count = staticCount(dims);
  bool isKnown = count && *count <= maxKnownElements;
  SmallVector<SmallVector<Value>> known;
  for (Lowered *part : parts)
    if (auto elements = isKnown ? l.elements(part) : std::nullopt)
      known.push_back(*elements);
  if (known.size() == parts.size()) {
    // Rows of the leading dims, each of all parts in turn.
    int64_t outer = 1;
    for (int64_t i = 0; i < axis; ++i)
      outer *= *staticDim(dims[i]);
    SmallVector<Value> elements;
    for (int64_t row = 0; row < outer; ++row)
      for (ArrayRef<Value> values : known)
        llvm::append_range(elements,
                           values.slice(row * values.size() / outer, values.size() / outer));
    joined.elements = std::move(elements);
    return joined;
  }

  Location loc = op->getLoc();
  SmallVector<Lowered *> filled;
  for (Lowered *part : parts)
    if (staticDim(l.resolve(part->dims[axis])) != 0)
      filled.push_back(part);
  joined.stored = dims;
  if (filled.size() > kLongConcat) {
    SmallVector<Value> tensors = llvm::map_to_vector(filled, [&](Lowered *part) { return l.tensor(part); });
    joined.tensor = tensor::ConcatOp::create(l.builder, loc, axis, tensors);
    return joined;
  }
  Value result = l.emptyTensor(loc, dims, first->element);
  Dims offsets(dims.size(), l.indexAttr(0)), strides(dims.size(), l.indexAttr(1));
  for (Lowered *part : filled) {
    Dims sizes = dims;
    sizes[axis] = l.resolve(part->dims[axis]);
    result = tensor::InsertSliceOp::create(l.builder, loc, l.tensor(part), result, offsets,
                                           sizes, strides);
    offsets[axis] = l.add(offsets[axis], sizes[axis]);
  }
  joined.tensor = result;
  return joined;
}

FailureOr<Lowered> sq::stack(Lowering &l, Operation *op, ArrayRef<Lowered *> parts, int64_t axis) {
  std::vector<Lowered> expanded;
  for (Lowered *part : parts) {
    Dims dims = part->dims;
    dims.insert(dims.begin() + axis, l.indexAttr(1));
    Lowered value;
    value.element = part->element;
    value.dims = dims;
    if (auto elements = l.elements(part)) {
      value.elements = elements;
    } else {
      value.tensor = l.reshape(op->getLoc(), l.tensor(part), part->dims, dims);
      value.stored = dims;
    }
    expanded.push_back(std::move(value));
  }
  SmallVector<Lowered *> pointers;
  for (Lowered &value : expanded)
    pointers.push_back(&value);
  return concatenate(l, op, pointers, axis);
}

static LogicalResult lowerConcat(Lowering &l, Operation *op) {
  SmallVector<Lowered *> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    operands.push_back(l.operand(op, i));
    if (!operands.back())
      return l.fail(op, "its input " + Twine(i) + " is missing");
  }
  // Before opset 4 the axis had a default.
  if (l.opset() >= 4 && !op->hasAttr("axis"))
    return l.fail(op, "its axis is missing");
  auto axis = l.normalizeAxis(op, l.intAttr(op, "axis", 1), operands.front()->rank());
  if (failed(axis))
    return failure();
  if (operands.size() == 1) {
    l.alias(op->getResult(0), operands.front());
    return success();
  }
  FailureOr<Lowered> joined = concatenate(l, op, operands, *axis);
  if (failed(joined))
    return failure();
  l.set(op->getResult(0), *joined);
  return success();
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

namespace {
/// Where a slice of one axis begins, its length, and its step (i64).
struct AxisSlice {
  Value start;
  OpFoldResult size;
  Value step;
  bool isForward() const { return constantInteger(step).value_or(0) > 0; }
};
} // namespace

/// A bound as numpy understands it: negative ones count from the end, all are clamped
/// to [low, high].
static Value clampBound(Scalars &s, Value bound, Value size, Value low, Value high) {
  Value zero = s.integer(bound.getType(), 0);
  Value isNegative = s.compare(arith::CmpIPredicate::slt, bound, zero);
  // What is below the size needs no upper bound, which ranges alone do not tell.
  if (auto number = constantInteger(bound); number && *number < 0)
    return s.max(s.add(size, bound), low);
  Value position = s.select(isNegative, s.add(size, bound), bound);
  return s.min(s.max(position, low), high);
}

static AxisSlice sliceAxis(Lowering &l, Operation *op, OpFoldResult dim, Value start, Value end,
                           Value step) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = s.builder.getI64Type();
  Value size = l.i64Value(dim), zero = s.integer(i64, 0);
  Value below = s.integer(i64, -1), last = s.add(size, below);
  std::optional<int64_t> number = constantInteger(step);
  AxisSlice slice;
  slice.step = step;
  Value distance, stride;
  auto forwards = [&] {
    slice.start = clampBound(s, start, size, zero, size);
    distance = s.sub(clampBound(s, end, size, zero, size), slice.start);
    stride = step;
  };
  auto backwards = [&] {
    slice.start = clampBound(s, start, size, below, last);
    distance = s.sub(slice.start, clampBound(s, end, size, below, last));
    // (-INT64_MIN does not exist; no tensor is that long.)
    stride = s.sub(zero, s.max(step, s.integer(i64, -INT64_MAX)));
  };
  if (number && *number > 0) {
    forwards();
  } else if (number) {
    backwards();
  } else {
    l.assertTrue(op, s.compare(arith::CmpIPredicate::ne, step, zero), "a step is 0");
    forwards();
    Value start = slice.start, length = distance;
    backwards();
    Value isForward = s.compare(arith::CmpIPredicate::sgt, step, zero);
    slice.start = s.select(isForward, start, slice.start);
    distance = s.select(isForward, length, distance);
    stride = s.select(isForward, step, stride);
  }
  Value length = s.max(distance, zero);
  if (constantInteger(stride) != 1) {
    // ceil(length / stride), without a sum that could overflow.
    Value whole = s.divide(length, stride);
    Value rest = s.remainder(length, stride);
    Value isPart = s.compare(arith::CmpIPredicate::ne, rest, zero);
    length = s.add(whole, s.select(isPart, s.integer(i64, 1), zero));
  }
  slice.size = l.toDim(length);
  return slice;
}

/// The slices of all axes, whole ones where not sliced.
static FailureOr<SmallVector<AxisSlice>> readSlices(Lowering &l, Operation *op, Lowered *data) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = s.builder.getI64Type();
  SmallVector<Value> starts, ends;
  std::optional<SmallVector<Value>> axes, steps;
  auto constants = [&](ArrayRef<int64_t> numbers) {
    return llvm::map_to_vector(numbers, [&](int64_t number) { return s.integer(i64, number); });
  };
  if (l.opset() < 10) {
    auto startsAttr = l.intsAttr(op, "starts"), endsAttr = l.intsAttr(op, "ends");
    if (!startsAttr || !endsAttr)
      return l.fail(op, "its attribute `starts` or `ends` is missing");
    starts = constants(*startsAttr);
    ends = constants(*endsAttr);
    if (auto attr = l.intsAttr(op, "axes"))
      axes = constants(*attr);
  } else {
    for (unsigned i : {0, 1}) {
      auto known = l.knownInts(op, i + 1, i ? "ends" : "starts");
      if (failed(known))
        return failure();
      (i ? ends : starts) = *known;
    }
    for (unsigned i : {0, 1}) {
      if (!l.operand(op, i + 3))
        continue;
      auto known = l.knownInts(op, i + 3, i ? "steps" : "axes");
      if (failed(known))
        return failure();
      (i ? steps : axes) = *known;
    }
  }
  size_t count = starts.size();
  if (!axes)
    axes = constants(llvm::to_vector(llvm::seq<int64_t>(0, count)));
  if (!steps)
    steps = SmallVector<Value>(count, s.integer(i64, 1));
  if (ends.size() != count || axes->size() != count || steps->size() != count)
    return l.fail(op, "its starts, ends, axes and steps have different lengths: " + Twine(count) +
                          ", " + Twine(ends.size()) + ", " + Twine(axes->size()) + ", " +
                          Twine(steps->size()));
  SmallVector<AxisSlice> slices;
  for (OpFoldResult dim : data->dims)
    slices.push_back({s.integer(i64, 0), dim, s.integer(i64, 1)});
  for (Value step : *steps)
    if (constantInteger(step) == 0)
      return l.fail(op, "a step is 0");
  if (auto numbers = constantIntegers(*axes)) {
    auto normal = l.normalizeAxes(op, *numbers, data->rank());
    if (failed(normal))
      return failure();
    for (auto [axis, start, end, step] : llvm::zip_equal(*normal, starts, ends, *steps))
      slices[axis] = sliceAxis(l, op, data->dims[axis], start, end, step);
    return slices;
  }
  // Any axis may be sliced; where none is meant, all of it is taken.
  if (count > data->dims.size())
    return l.fail(op, "it has " + Twine(count) + " axes for rank " + Twine(data->rank()));
  SmallVector<SmallVector<Value>> flags;
  for (Value axis : *axes)
    flags.push_back(axisFlags(l, op, axis, data->rank()));
  for (auto [d, slice] : llvm::enumerate(slices)) {
    Value start = s.integer(i64, 0), end = l.i64Value(data->dims[d]), step = s.integer(i64, 1);
    for (size_t i = 0; i < count; ++i) {
      start = s.select(flags[i][d], starts[i], start);
      end = s.select(flags[i][d], ends[i], end);
      step = s.select(flags[i][d], (*steps)[i], step);
    }
    slice = sliceAxis(l, op, data->dims[d], start, end, step);
  }
  return slices;
}

/// Slices with steps that are or may be negative, element by element.
static Value extractReversed(Lowering &l, Location loc, Value source, ArrayRef<AxisSlice> slices,
                             ArrayRef<OpFoldResult> dims, Type element) {
  Scalars outer = l.scalars(loc);
  SmallVector<Value> starts, stepIndices;
  for (const AxisSlice &slice : slices) {
    starts.push_back(outer.toIndex(slice.start));
    stepIndices.push_back(outer.toIndex(slice.step));
  }
  Value init = l.emptyTensor(loc, dims, element);
  AffineMap map = l.builder.getMultiDimIdentityMap(dims.size());
  SmallVector<utils::IteratorType> iterators(dims.size(), utils::IteratorType::parallel);
  auto read = [&](OpBuilder &b, Location loc, ValueRange) {
    Scalars s(b, loc, nullptr);
    SmallVector<Value> indices;
    for (auto [i, slice] : llvm::enumerate(slices)) {
      Value index = linalg::IndexOp::create(b, loc, i);
      Value offset = s.mul(index, s.bring(stepIndices[i]));
      indices.push_back(s.add(offset, s.bring(starts[i])));
    }
    linalg::YieldOp::create(b, loc,
                            tensor::ExtractOp::create(b, loc, source, indices).getResult());
  };
  return linalg::GenericOp::create(l.builder, loc, init.getType(), ValueRange(), init, map,
                                   iterators, read)
      .getResult(0);
}

static LogicalResult lowerSlice(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0);
  FailureOr<SmallVector<AxisSlice>> slices = readSlices(l, op, data);
  if (failed(slices))
    return failure();
  Lowered result;
  result.element = data->element;
  result.lowest = data->lowest;
  result.below = data->below;
  bool isWhole = true, isReversed = false, isStatic = true;
  for (auto [slice, dim] : llvm::zip_equal(*slices, data->dims)) {
    result.dims.push_back(slice.size);
    isWhole &= constantInteger(slice.step) == 1 && constantInteger(slice.start) == 0 &&
               l.resolve(slice.size) == l.resolve(dim);
    isReversed |= !slice.isForward();
    isStatic &= constantInteger(slice.start) && constantInteger(slice.step);
  }
  if (isWhole) {
    l.alias(op->getResult(0), data);
    return success();
  }
  auto count = staticCount(result.dims);
  auto known = isStatic && count ? l.elements(data) : std::nullopt;
  if (Value scalar = l.splat(data)) {
    result.splat = scalar;
  } else if (known) {
    SmallVector<int64_t> strides = stridesOf(shapeOf(data->dims));
    int64_t offset = 0;
    for (auto [i, slice] : llvm::enumerate(*slices)) {
      offset += *constantInteger(slice.start) * strides[i];
      strides[i] *= *constantInteger(slice.step);
    }
    result.elements = readStrided(*known, shapeOf(result.dims), strides, offset);
  } else {
    Location loc = op->getLoc();
    Value source = l.tensor(data);
    result.stored = result.dims;
    if (isStaticallyEmpty(result.dims) || isStaticallyEmpty(data->dims)) {
      result.tensor = l.emptyTensor(loc, result.dims, data->element);
    } else if (isReversed) {
      result.tensor = extractReversed(l, loc, source, *slices, result.dims, data->element);
    } else {
      Dims offsets, strides;
      for (const AxisSlice &slice : *slices) {
        offsets.push_back(l.toDim(slice.start));
        strides.push_back(l.toDim(slice.step));
      }
      result.tensor =
          sliceOf(l, loc, source, offsets, result.dims, strides, result.dims, data->element);
    }
  }
  l.set(op->getResult(0), std::move(result));
  return success();
}

void sq::registerMovement(LoweringTable &table) {
  table.add("Concat", 1, lowerConcat);
  table.add("Slice", 1, lowerSlice);
  table.add("Transpose", 1, lowerTranspose);
}
