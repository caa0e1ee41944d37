/// Reduce*, ArgMax, ArgMin, CumSum.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

enum class Kind { Sum, Mean, Prod, Max, Min, L1, L2, SumSquare, LogSum, LogSumExp };

/// The axes by attribute (older opsets) or by operand 1. Empty: nothing is reduced.
/// `runTime` gets those that are not constant.
FailureOr<SmallVector<int64_t>> reductionAxes(Lowering &l, Operation *op, int64_t rank,
                                              SmallVector<Value> &runTime) {
  SmallVector<int64_t> axes;
  if (std::optional<SmallVector<int64_t>> attr = l.intsAttr(op, "axes")) {
    axes = *attr;
  } else if (l.operand(op, 1)) {
    FailureOr<SmallVector<Value>> given = l.knownInts(op, 1, "axes");
    if (failed(given))
      return failure();
    std::optional<SmallVector<int64_t>> constants = constantIntegers(*given);
    if (!constants) {
      runTime = *given;
      return axes;
    }
    axes = *constants;
  }
  if (axes.empty()) {
    if (!l.intAttr(op, "noop_with_empty_axes", 0))
      axes.append(llvm::seq<int64_t>(rank).begin(), llvm::seq<int64_t>(rank).end());
    return axes;
  }
  FailureOr<SmallVector<int64_t>> normalized = l.normalizeAxes(op, axes, rank);
  if (succeeded(normalized))
    llvm::sort(*normalized);
  return normalized;
}

bool isFloat(Value v) { return isa<FloatType>(v.getType()); }

Value addScalars(Scalars &s, Value a, Value b) {
  return isFloat(a) ? s.make<arith::AddFOp>(a, b) : s.add(a, b);
}
Value mulScalars(Scalars &s, Value a, Value b) {
  return isFloat(a) ? s.make<arith::MulFOp>(a, b) : s.mul(a, b);
}

/// The smallest or largest value of a type.
Value extreme(Scalars &s, Type type, bool isUnsigned, bool smallest) {
  if (isa<FloatType>(type))
    return s.number(type, smallest ? -INFINITY : INFINITY);
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value = isUnsigned ? (smallest ? APInt::getMinValue(width) : APInt::getMaxValue(width))
                           : (smallest ? APInt::getSignedMinValue(width)
                                       : APInt::getSignedMaxValue(width));
  return s.constant(IntegerAttr::get(type, value));
}

/// One reduction: what happens to each element, how two are combined, and what
/// becomes of the whole. All in the accumulator's type.
struct Reduction {
  Kind kind;
  bool isUnsigned;

  /// These have no meaning in integers but of their rounded result.
  bool needsFloat() const {
    return kind == Kind::L2 || kind == Kind::LogSum || kind == Kind::LogSumExp;
  }

  Value identity(Scalars &s, Type type) const {
    switch (kind) {
    case Kind::Max:
      return extreme(s, type, isUnsigned, /*smallest=*/true);
    case Kind::Min:
      return extreme(s, type, isUnsigned, /*smallest=*/false);
    default:
      int64_t neutral = kind == Kind::Prod;
      return isa<FloatType>(type) ? s.number(type, neutral) : s.integer(type, neutral);
    }
  }

  Value prepare(Scalars &s, Value x) const {
    switch (kind) {
    case Kind::L1:
      if (isFloat(x))
        return s.make<math::AbsFOp>(x);
      return isUnsigned ? x : s.make<math::AbsIOp>(x);
    case Kind::L2:
    case Kind::SumSquare:
      return mulScalars(s, x, x);
    default:
      return x;
    }
  }

  Value combine(Scalars &s, Value x, Value total) const {
    switch (kind) {
    case Kind::Max:
      if (isFloat(x))
        return s.make<arith::MaximumFOp>(total, x);
      return isUnsigned ? s.make<arith::MaxUIOp>(total, x) : s.max(total, x);
    case Kind::Min:
      if (isFloat(x))
        return s.make<arith::MinimumFOp>(total, x);
      return isUnsigned ? s.make<arith::MinUIOp>(total, x) : s.min(total, x);
    case Kind::Prod:
      return mulScalars(s, total, x);
    default:
      return addScalars(s, total, x);
    }
  }

  bool hasFinish() const {
    return kind == Kind::Mean || kind == Kind::L2 || kind == Kind::LogSum;
  }

  /// `count` (i64) is the number of elements combined.
  Value finish(Scalars &s, Value total, Value count) const {
    switch (kind) {
    case Kind::Mean:
      if (isFloat(total))
        return s.make<arith::DivFOp>(total, s.make<arith::SIToFPOp>(total.getType(), count));
      return s.divide(total, convertInteger(s, count, total.getType(), false), isUnsigned);
    case Kind::L2:
      return s.make<math::SqrtOp>(total);
    case Kind::LogSum:
      return s.make<math::LogOp>(total);
    default:
      return total;
    }
  }
};

/// To the accumulator's type and back.
Value toAccumulator(Scalars &s, Value x, Type type, bool isUnsigned) {
  return isa<FloatType>(type) ? toFloat(s, x, type, isUnsigned) : x;
}
Value fromAccumulator(Scalars &s, Value x, Type element) {
  return x.getType() == signless(element) ? x : castScalar(s, x, x.getType(), element);
}

/// Reduces few known elements as scalars: shape arithmetic.
void reduceElements(Lowering &l, Operation *op, Lowered *x, ArrayRef<Value> elements,
                    ArrayRef<int64_t> axes, bool keepDims, const Reduction &reduction,
                    Type accumulator) {
  Scalars s = l.scalars(op->getLoc());
  SmallVector<int64_t> shape = shapeOf(x->dims);
  Dims dims = keepDims ? dimsKept(l, x->dims, axes) : dimsWithout(x->dims, axes);
  int64_t outCount = staticCount(dims).value_or(0);
  SmallVector<Value> totals(outCount, reduction.identity(s, accumulator));
  for (auto [flat, element] : llvm::enumerate(elements)) {
    // The index without the reduced axes, row major.
    int64_t out = 0, rest = flat, stride = 1;
    for (int64_t d = shape.size() - 1; d >= 0; --d) {
      int64_t i = rest % shape[d];
      rest /= shape[d];
      if (llvm::is_contained(axes, d))
        continue;
      out += i * stride;
      stride *= shape[d];
    }
    Value value = toAccumulator(s, element, accumulator, x->isUnsigned());
    totals[out] = reduction.combine(s, reduction.prepare(s, value), totals[out]);
  }
  int64_t count = outCount ? elements.size() / outCount : 0;
  for (Value &total : totals) {
    total = reduction.finish(s, total, s.integer(l.builder.getI64Type(), count));
    total = fromAccumulator(s, total, x->element);
  }
  l.setElements(op, 0, totals, dims, x->element);
}

/// log(sum exp x) = m + log(sum exp(x - m)) with m the maximum, so that nothing
/// overflows; an infinite m is left out, as inf - inf would be NaN.
Value logSumExp(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims,
                ArrayRef<int64_t> axes, Type type, bool isUnsigned) {
  Scalars scalars = l.scalars(loc);
  Value maximum = reduceAxes(l, loc, x, dims, axes, scalars.number(type, -INFINITY),
                             [&](Scalars &s, ValueRange args) {
                               Value value = toFloat(s, args[0], type, isUnsigned);
                               return s.make<arith::MaximumFOp>(args[1], value);
                             });
  auto finite = [&](Scalars &s, Value m) {
    Value size = s.make<math::AbsFOp>(m);
    Value isInfinite =
        s.compare(arith::CmpFPredicate::OEQ, size, s.number(type, INFINITY));
    return s.select(isInfinite, s.number(type, 0), m);
  };
  Dims outDims = dimsWithout(dims, axes);
  AffineMap outMap = mapWithout(l, dims.size(), axes);
  AffineMap all = AffineMap::getMultiDimIdentityMap(dims.size(), l.builder.getContext());
  Value init = l.filledTensor(loc, outDims, scalars.number(type, 0));
  Value sum = generic(l, loc, {{x, all}, {maximum, outMap}}, Input{init, outMap}, axes,
                      [&](Scalars &s, ValueRange args) {
                        Value value = toFloat(s, args[0], type, isUnsigned);
                        Value shifted = s.make<arith::SubFOp>(value, finite(s, args[1]));
                        Value power = s.make<math::ExpOp>(shifted);
                        return SmallVector<Value>{s.make<arith::AddFOp>(args[2], power)};
                      })[0];
  AffineMap identity =
      AffineMap::getMultiDimIdentityMap(outDims.size(), l.builder.getContext());
  return pointwise(l, loc, {{sum, identity}, {maximum, identity}}, outDims, type,
                   [&](Scalars &s, ValueRange args) {
                     Value log = s.make<math::LogOp>(args[0]);
                     return s.make<arith::AddFOp>(log, finite(s, args[1]));
                   });
}

/// Each dim of `x` as two: what stays of it and what is reduced, one of which is 1.
Lowered pairDims(Lowering &l, Location loc, Lowered *x, ArrayRef<Value> flags) {
  Lowered pairs;
  pairs.element = x->element;
  OpFoldResult one = l.indexAttr(1);
  for (auto [dim, flag] : llvm::zip(x->dims, flags)) {
    pairs.dims.push_back(selectDim(l, flag, one, dim));
    pairs.dims.push_back(selectDim(l, flag, dim, one));
  }
  pairs.stored = pairs.dims;
  Value tensor = l.tensor(x);
  pairs.tensor = l.reshape(loc, tensor, x->dims, pairs.dims);
  return pairs;
}

template <Kind kind>
LogicalResult lowerReduce(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Reduction reduction{kind, x->isUnsigned() || x->isBool()};
  if (!isSupportedFloat(x->element) && !x->isInteger() &&
      !(x->isBool() && (kind == Kind::Max || kind == Kind::Min)))
    return l.fail(op, "this element type cannot be reduced");
  SmallVector<Value> runTimeAxes, flags;
  FailureOr<SmallVector<int64_t>> axes = reductionAxes(l, op, x->rank(), runTimeAxes);
  if (failed(axes))
    return failure();
  bool keepDims = l.intAttr(op, "keepdims", 1);
  Lowered pairs;
  if (!runTimeAxes.empty()) {
    flags = axisFlags(l, op, runTimeAxes, x->rank());
    pairs = pairDims(l, op->getLoc(), x, flags);
    x = &pairs;
    for (int64_t d = 1; d < x->rank(); d += 2)
      axes->push_back(d);
  } else if (axes->empty() && x->rank() > 0) {
    l.alias(op->getResult(0), x);
    return success();
  }
  Type element = signless(x->element);
  Type accumulator = reduction.needsFloat() && !x->isFloat()
                         ? Type(l.builder.getF64Type())
                         : accumulatorType(element);
  if (kind != Kind::LogSumExp && !x->isFloat() && x->isInteger())
    if (auto elements = l.elements(x)) {
      reduceElements(l, op, x, *elements, *axes, keepDims, reduction, accumulator);
      return success();
    }

  Location loc = op->getLoc();
  Value tensor = l.tensor(x);
  Dims dims = dimsWithout(x->dims, *axes);
  Value total;
  if (kind == Kind::LogSumExp) {
    total = logSumExp(l, loc, tensor, x->dims, *axes, accumulator, reduction.isUnsigned);
  } else {
    Scalars scalars = l.scalars(loc);
    total = reduceAxes(l, loc, tensor, x->dims, *axes, reduction.identity(scalars, accumulator),
                       [&](Scalars &s, ValueRange args) {
                         Value value =
                             toAccumulator(s, args[0], accumulator, reduction.isUnsigned);
                         return reduction.combine(s, reduction.prepare(s, value), args[1]);
                       });
  }
  if (reduction.hasFinish() || accumulator != element) {
    OpFoldResult count = l.indexAttr(1);
    for (int64_t axis : *axes)
      count = l.multiply(count, x->dims[axis]);
    Value countValue = l.i64Value(count);
    AffineMap identity = AffineMap::getMultiDimIdentityMap(dims.size(), l.builder.getContext());
    total = pointwise(l, loc, Input{total, identity}, dims, element,
                      [&](Scalars &s, ValueRange args) {
                        return fromAccumulator(s, reduction.finish(s, args[0], countValue),
                                               x->element);
                      });
  }
  Dims result = dims;
  if (flags.empty() && keepDims)
    result = dimsKept(l, x->dims, *axes);
  else if (!flags.empty() && !keepDims)
    result = withoutFlagged(l, dims, flags, runTimeAxes.size());
  l.setTensor(op, 0, l.reshape(loc, total, dims, result), result, x->element);
  return success();
}

/// The index of the first (or last) greatest or smallest element.
LogicalResult lowerArg(Lowering &l, Operation *op, bool largest) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "this element type has no order");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), x->rank());
  if (failed(axis))
    return failure();
  bool last = l.intAttr(op, "select_last_index", 0);
  Location loc = op->getLoc();
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  Scalars scalars = l.scalars(loc);
  Dims dims = dimsWithout(x->dims, *axis);
  AffineMap all = AffineMap::getMultiDimIdentityMap(x->rank(), l.builder.getContext());
  AffineMap out = mapWithout(l, x->rank(), *axis);
  Value tensor = l.tensor(x);
  Value best = l.filledTensor(loc, dims, extreme(scalars, element, x->isUnsigned(), largest));
  Value where = l.filledTensor(loc, dims, scalars.integer(i64, 0));
  // An element equal to the start value changes nothing but an index that is 0
  // already, or, for the last one, is replaced as it must be.
  Value index = generic(
      l, loc, Input{tensor, all}, {{best, out}, {where, out}}, *axis,
      [&](Scalars &s, ValueRange args) {
        Value better;
        if (x->isFloat()) {
          auto predicate = largest ? (last ? arith::CmpFPredicate::OGE : arith::CmpFPredicate::OGT)
                                   : (last ? arith::CmpFPredicate::OLE : arith::CmpFPredicate::OLT);
          better = s.compare(predicate, args[0], args[1]);
        } else {
          using P = arith::CmpIPredicate;
          P predicate = x->isUnsigned() ? (largest ? (last ? P::uge : P::ugt)
                                                   : (last ? P::ule : P::ult))
                                        : (largest ? (last ? P::sge : P::sgt)
                                                   : (last ? P::sle : P::slt));
          better = s.compare(predicate, args[0], args[1]);
        }
        Value here = s.toI64(loopIndex(s, *axis));
        return SmallVector<Value>{s.select(better, args[0], args[1]),
                                  s.select(better, here, args[2])};
      })[1];
  if (l.intAttr(op, "keepdims", 1)) {
    Dims kept = dimsKept(l, x->dims, *axis);
    index = l.reshape(loc, index, dims, kept);
    dims = kept;
  }
  l.setTensor(op, 0, index, dims, i64);
  return success();
}

LogicalResult lowerArgMax(Lowering &l, Operation *op) { return lowerArg(l, op, true); }
LogicalResult lowerArgMin(Lowering &l, Operation *op) { return lowerArg(l, op, false); }

/// y[i] = sum of x[j] for j <= i (or <, >=, >): a running sum along each line.
LogicalResult lowerCumSum(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "this element type cannot be added");
  FailureOr<SmallVector<Value>> given = l.knownInts(op, 1, "axis");
  if (failed(given))
    return failure();
  if (given->size() != 1)
    return l.fail(op, "axis has " + Twine(given->size()) + " elements; give one");
  FailureOr<int64_t> axis = 1;
  Dims dims = x->dims;
  Value whole = l.tensor(x);
  if (std::optional<int64_t> number = constantInteger(given->front())) {
    axis = l.normalizeAxis(op, *number, x->rank());
    if (failed(axis))
      return failure();
  } else {
    dims = splitAround(l, op, x->dims, given->front());
    whole = l.reshape(op->getLoc(), whole, x->dims, dims);
  }
  bool exclusive = l.intAttr(op, "exclusive", 0), reverse = l.intAttr(op, "reverse", 0);

  Location loc = op->getLoc();
  Type element = signless(x->element), type = accumulatorType(element);
  int64_t rank = dims.size();
  AffineMap all = AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
  OpFoldResult size = dims[*axis];
  Value last = l.indexValue(size);
  // The reverse sum runs along a reversed line, and its result is reversed again.
  auto reversed = [&](Value source, Type of) {
    return pointwise(l, loc, {}, dims, of, [&](Scalars &s, ValueRange) {
      SmallVector<Value> at;
      for (int64_t d = 0; d < rank; ++d)
        at.push_back(loopIndex(s, d));
      at[*axis] = s.sub(s.sub(s.bring(last), s.integer(last.getType(), 1)), at[*axis]);
      return extract(s, source, at);
    });
  };
  if (reverse)
    whole = reversed(whole, element);
  Scalars scalars = l.scalars(loc);
  Value zero = x->isFloat() ? scalars.number(type, 0) : scalars.integer(type, 0);
  Value running = l.filledTensor(loc, dimsWithout(dims, *axis), zero);
  Value init = l.emptyTensor(loc, dims, type);
  Value sum = generic(l, loc, Input{whole, all}, {{running, mapWithout(l, rank, *axis)}, {init, all}},
                      *axis, [&](Scalars &s, ValueRange args) {
                        Value value = toAccumulator(s, args[0], type, x->isUnsigned());
                        Value next = addScalars(s, args[1], value);
                        return SmallVector<Value>{next, exclusive ? args[1] : next};
                      })[1];
  if (reverse)
    sum = reversed(sum, type);
  if (type != element)
    sum = pointwise(l, loc,
                    Input{sum, AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext())},
                    dims, element,
                    [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], element); });
  l.setTensor(op, 0, l.reshape(loc, sum, dims, x->dims), x->dims, x->element);
  return success();
}

} // namespace

void sq::registerReductions(LoweringTable &table) {
  table.add("ReduceSum", 1, lowerReduce<Kind::Sum>);
  table.add("ReduceMean", 1, lowerReduce<Kind::Mean>);
  table.add("ReduceProd", 1, lowerReduce<Kind::Prod>);
  table.add("ReduceMax", 1, lowerReduce<Kind::Max>);
  table.add("ReduceMin", 1, lowerReduce<Kind::Min>);
  table.add("ReduceL1", 1, lowerReduce<Kind::L1>);
  table.add("ReduceL2", 1, lowerReduce<Kind::L2>);
  table.add("ReduceSumSquare", 1, lowerReduce<Kind::SumSquare>);
  table.add("ReduceLogSum", 1, lowerReduce<Kind::LogSum>);
  table.add("ReduceLogSumExp", 1, lowerReduce<Kind::LogSumExp>);
  table.add("ArgMax", 1, lowerArgMax);
  table.add("ArgMin", 1, lowerArgMin);
  table.add("CumSum", 2, lowerCumSum);
}
