/// Pools over sliding windows or all of space, and LRN, a window over channels.
///
/// As in Convolutions.cpp, positions in the padding are clamped and do not
/// count.

#include "passes/lower_onnx/Windows.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

struct Pooling {
  SmallVector<WindowAxis> axes;
  Dims dims;
  Value range; // its dims are the window's
  AffineMap rangeMap, outMap;
  SmallVector<int64_t> reduced;
};

FailureOr<Pooling> poolingOf(Lowering &l, Operation *op, Lowered *x) {
  if (failed(requireSpatial(l, op, x)))
    return failure();
  size_t spatial = x->rank() - 2;
  if (!l.intsAttr(op, "kernel_shape"))
    return l.fail(op, "kernel_shape is missing");
  auto kernel = perAxis(l, op, "kernel_shape", spatial, 1, 1);
  if (failed(kernel))
    return failure();
  SmallVector<OpFoldResult> kernelDims;
  for (int64_t size : *kernel)
    kernelDims.push_back(l.indexAttr(size));
  auto axes = slidingAxes(l, op, x, kernelDims);
  if (failed(axes))
    return failure();
  Pooling pooling;
  pooling.axes = *axes;
  pooling.dims = {x->dims[0], x->dims[1]};
  for (const WindowAxis &axis : *axes)
    pooling.dims.push_back(axis.out);
  assertReadable(l, op, x, pooling.dims);
  // Loops: n, c, o.., k..
  int64_t loops = 2 + 2 * spatial;
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 2 + spatial; d < loops; ++d) {
    exprs.push_back(l.builder.getAffineDimExpr(d));
    pooling.reduced.push_back(d);
  }
  pooling.range = l.emptyTensor(op->getLoc(), kernelDims, l.builder.getI1Type());
  pooling.rangeMap = AffineMap::get(loops, 0, exprs, l.builder.getContext());
  pooling.outMap = mapWithout(l, loops, pooling.reduced);
  return pooling;
}

/// Where the window element of this iteration lies in x.
SmallVector<Value> windowPosition(Scalars &s, const Pooling &pooling, Value &inside) {
  SmallVector<Value> at = {loopIndex(s, 0), loopIndex(s, 1)};
  int64_t spatial = pooling.axes.size();
  for (int64_t d = 0; d < spatial; ++d)
    at.push_back(inputPosition(s, pooling.axes[d], loopIndex(s, 2 + d),
                               loopIndex(s, 2 + spatial + d), inside));
  return at;
}

LogicalResult lowerMaxPool(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "this element type has no order");
  FailureOr<Pooling> pooling = poolingOf(l, op, x);
  if (failed(pooling))
    return failure();
  Location loc = op->getLoc();
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  Scalars scalars = l.scalars(loc);
  Value lowest;
  if (x->isFloat()) {
    lowest = scalars.number(element, -INFINITY);
  } else {
    unsigned width = element.getIntOrFloatBitWidth();
    APInt value = x->isUnsigned() ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
    lowest = scalars.constant(IntegerAttr::get(element, value));
  }
  // The flat index of an element in x; column major among the spatial dims if
  // asked.
  bool columnMajor = l.intAttr(op, "storage_order", 0);
  SmallVector<Value> strides(x->rank());
  Value stride = scalars.integer(i64, 1);
  SmallVector<int64_t> order;
  for (int64_t d = x->rank() - 1; d >= 2; --d)
    order.push_back(d);
  if (columnMajor)
    std::reverse(order.begin(), order.end());
  order.append({1, 0});
  for (int64_t d : order) {
    strides[d] = stride;
    stride = scalars.mul(stride, l.i64Value(x->dims[d]));
  }

  Value source = l.tensor(x);
  Value values = l.filledTensor(loc, pooling->dims, lowest);
  Value indices = l.filledTensor(loc, pooling->dims, scalars.integer(i64, -1));
  bool wantsIndices = op->getNumResults() > 1 && !op->getResult(1).use_empty();
  SmallVector<Input> outputs = {{values, pooling->outMap}};
  if (wantsIndices)
    outputs.push_back({indices, pooling->outMap});
  SmallVector<Value> results = generic(
      l, loc, Input{pooling->range, pooling->rangeMap}, outputs, pooling->reduced,
      [&](Scalars &s, ValueRange args) {
        Value inside;
        SmallVector<Value> at = windowPosition(s, *pooling, inside);
        Value value = extract(s, source, at), best = args[1];
        Value isBetter;
        if (x->isFloat()) {
          // NaN wins and stays: "unordered or greater", unless NaN is there
          // already.
          Value greater = s.compare(arith::CmpFPredicate::UGT, value, best);
          Value isNumber = s.compare(arith::CmpFPredicate::ORD, best, best);
          isBetter = s.make<arith::AndIOp>(greater, isNumber);
        } else {
          isBetter = s.compare(
              x->isUnsigned() ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt, value, best);
        }
        isBetter = s.make<arith::AndIOp>(isBetter, inside);
        SmallVector<Value> result = {s.select(isBetter, value, best)};
        if (wantsIndices) {
          // The first element counts even when it is the lowest number.
          Value isFirst = s.compare(arith::CmpIPredicate::slt, args[2], s.integer(i64, 0));
          Value takes = s.make<arith::OrIOp>(isBetter, s.make<arith::AndIOp>(isFirst, inside));
          Value flat = s.integer(i64, 0);
          for (auto [index, step] : llvm::zip(at, strides))
            flat = s.add(flat, s.mul(s.toI64(index), step));
          result.push_back(s.select(takes, flat, args[2]));
        }
        return result;
      });
  l.setTensor(op, 0, results[0], pooling->dims, x->element);
  if (wantsIndices)
    l.setTensor(op, 1, results[1], pooling->dims, i64);
  return success();
}

LogicalResult lowerAveragePool(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  FailureOr<Pooling> pooling = poolingOf(l, op, x);
  if (failed(pooling))
    return failure();
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  Scalars scalars = l.scalars(loc);
  bool countsPadding = l.intAttr(op, "count_include_pad", 0);
  // How many elements of each window count: with the padding, all that lie in
  // the padded input (a window of ceil_mode may reach past it).
  SmallVector<Value> ends;
  auto pads = perAxis(l, op, "pads", 2 * pooling->axes.size(), 0, 0);
  if (failed(pads))
    return failure();
  for (auto [d, axis] : llvm::enumerate(pooling->axes))
    ends.push_back(scalars.add(
        axis.size, scalars.integer(l.builder.getI64Type(), (*pads)[pooling->axes.size() + d])));
  bool isAuto = l.stringAttr(op, "auto_pad", "NOTSET") != "NOTSET";

  Value source = l.tensor(x);
  Value zeros = l.filledTensor(loc, pooling->dims, scalars.number(type, 0));
  SmallVector<Value> sums = generic(
      l, loc, Input{pooling->range, pooling->rangeMap},
      {{zeros, pooling->outMap}, {zeros, pooling->outMap}}, pooling->reduced,
      [&](Scalars &s, ValueRange args) {
        Value inside;
        SmallVector<Value> at = windowPosition(s, *pooling, inside);
        Value value = convertFloat(s, extract(s, source, at), type);
        Value counts = inside;
        if (countsPadding && isAuto) {
          counts = s.boolean(true);
        } else if (countsPadding) {
          counts = s.boolean(true);
          Type i64 = s.builder.getI64Type();
          int64_t spatial = pooling->axes.size();
          for (int64_t d = 0; d < spatial; ++d) {
            const WindowAxis &axis = pooling->axes[d];
            Value position =
                s.add(s.mul(s.toI64(loopIndex(s, 2 + d)), s.integer(i64, axis.stride)),
                      s.mul(s.toI64(loopIndex(s, 2 + spatial + d)), s.integer(i64, axis.dilation)));
            position = s.sub(position, axis.before);
            counts = s.make<arith::AndIOp>(counts,
                                           s.compare(arith::CmpIPredicate::slt, position, ends[d]));
          }
        }
        Value sum = s.make<arith::AddFOp>(args[1], value);
        Value count = s.make<arith::AddFOp>(args[2], s.number(type, 1));
        return SmallVector<Value>{s.select(inside, sum, args[1]), s.select(counts, count, args[2])};
      });
  AffineMap identity = identityMap(l, pooling->dims.size());
  Value y = pointwise(l, loc, {{sums[0], identity}, {sums[1], identity}}, pooling->dims, element,
                      [&](Scalars &s, ValueRange args) {
                        Value mean = s.make<arith::DivFOp>(args[0], args[1]);
                        return convertFloat(s, mean, element);
                      });
  l.setTensor(op, 0, y, pooling->dims, element);
  return success();
}

/// |x|^p, or the p-th root of a sum of such; x is at least 0 in the second
/// case.
Value power(Scalars &s, Value x, int64_t p) {
  Value size = s.make<math::AbsFOp>(x);
  if (p == 1)
    return size;
  if (p == 2)
    return s.make<arith::MulFOp>(x, x);
  return s.make<math::PowFOp>(size, s.number(x.getType(), p));
}
Value root(Scalars &s, Value sum, int64_t p) {
  if (p == 1)
    return sum;
  if (p == 2)
    return s.make<math::SqrtOp>(sum);
  return s.make<math::PowFOp>(sum, s.number(sum.getType(), 1.0 / p));
}

FailureOr<int64_t> exponentOf(Lowering &l, Operation *op) {
  int64_t p = l.intAttr(op, "p", 2);
  if (p < 1 || p > INT32_MAX)
    return l.fail(op, "p is " + Twine(p) + "; it must be at least 1");
  return p;
}

/// (sum of |x|^p)^(1/p)
LogicalResult lowerLpPool(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  FailureOr<int64_t> p = exponentOf(l, op);
  FailureOr<Pooling> pooling = poolingOf(l, op, x);
  if (failed(p) || failed(pooling))
    return failure();
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  Value source = l.tensor(x);
  Value zeros = l.filledTensor(loc, pooling->dims, l.scalars(loc).number(type, 0));
  Value sums =
      generic(l, loc, Input{pooling->range, pooling->rangeMap}, Input{zeros, pooling->outMap},
              pooling->reduced, [&](Scalars &s, ValueRange args) {
                Value inside;
                SmallVector<Value> at = windowPosition(s, *pooling, inside);
                Value value = convertFloat(s, extract(s, source, at), type);
                Value sum = s.make<arith::AddFOp>(args[1], power(s, value, *p));
                return SmallVector<Value>{s.select(inside, sum, args[1])};
              })[0];
  Value y = pointwise(
      l, loc, Input{sums, identityMap(l, x->rank())}, pooling->dims, element,
      [&](Scalars &s, ValueRange args) { return convertFloat(s, root(s, args[0], *p), element); });
  l.setTensor(op, 0, y, pooling->dims, element);
  return success();
}

enum class Global { Max, Average, Lp };

/// Over all spatial dims, which stay as 1.
template <Global kind> LogicalResult lowerGlobalPool(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  FailureOr<int64_t> p = exponentOf(l, op);
  if (failed(p) || failed(requireSpatial(l, op, x)))
    return failure();
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, x->rank()));
  Scalars scalars = l.scalars(loc);
  Value y = reduceAxes(l, loc, l.tensor(x), x->dims, axes,
                       scalars.number(type, kind == Global::Max ? -INFINITY : 0),
                       [&](Scalars &s, ValueRange args) {
                         Value value = convertFloat(s, args[0], type);
                         if (kind == Global::Max)
                           return s.make<arith::MaximumFOp>(args[1], value);
                         if (kind == Global::Lp)
                           value = power(s, value, *p);
                         return s.make<arith::AddFOp>(args[1], value);
                       });
  OpFoldResult count = l.product(ArrayRef<OpFoldResult>(x->dims).drop_front(2));
  Value countValue = l.i64Value(count);
  Dims rows = dimsWithout(x->dims, axes), kept = dimsKept(l, x->dims, axes);
  y = pointwise(l, loc, Input{y, identityMap(l, rows.size())}, rows, element,
                [&](Scalars &s, ValueRange args) {
                  Value value = args[0];
                  if (kind == Global::Average)
                    value = s.make<arith::DivFOp>(value, s.make<arith::SIToFPOp>(type, countValue));
                  if (kind == Global::Lp)
                    value = root(s, value, *p);
                  return convertFloat(s, value, element);
                });
  l.setTensor(op, 0, l.reshape(loc, y, rows, kept), kept, element);
  return success();
}

/// x / (bias + alpha / size * sum of x^2 over `size` channels around)^beta
LogicalResult lowerLRN(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  if (failed(requireSpatial(l, op, x)))
    return failure();
  int64_t size = l.intAttr(op, "size", 0);
  if (size < 1 || size > INT32_MAX)
    return l.fail(op, "size is " + Twine(size));
  double alpha = l.floatAttr(op, "alpha", 1e-4), beta = l.floatAttr(op, "beta", 0.75),
         bias = l.floatAttr(op, "bias", 1);
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  int64_t rank = x->rank();
  Scalars scalars = l.scalars(loc);
  WindowAxis channels;
  channels.size = l.i64Value(l.resolve(x->dims[1]));
  channels.before = scalars.integer(l.builder.getI64Type(), (size - 1) / 2);
  assertReadable(l, op, x, x->dims);
  Value source = l.tensor(x);
  Value range = l.emptyTensor(loc, l.indexAttr(size), l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(rank + 1, 0, l.builder.getAffineDimExpr(rank));
  Value init = l.filledTensor(loc, x->dims, scalars.number(type, 0));
  Value sum = generic(l, loc, Input{range, rangeMap}, Input{init, mapWithout(l, rank + 1, rank)},
                      rank, [&](Scalars &s, ValueRange args) {
                        SmallVector<Value> at;
                        Value inside;
                        for (int64_t d = 0; d < rank; ++d)
                          at.push_back(d == 1 ? inputPosition(s, channels, loopIndex(s, 1),
                                                              loopIndex(s, rank), inside)
                                              : loopIndex(s, d));
                        Value value = convertFloat(s, extract(s, source, at), type);
                        Value total =
                            s.make<arith::AddFOp>(args[1], s.make<arith::MulFOp>(value, value));
                        return SmallVector<Value>{s.select(inside, total, args[1])};
                      })[0];
  AffineMap identity = identityMap(l, rank);
  Value y =
      pointwise(l, loc, {{source, identity}, {sum, identity}}, x->dims, element,
                [&](Scalars &s, ValueRange args) {
                  Value scaled = s.make<arith::MulFOp>(args[1], s.number(type, alpha / size));
                  Value base = s.make<arith::AddFOp>(scaled, s.number(type, bias));
                  Value power = s.make<math::PowFOp>(base, s.number(type, beta));
                  return convertFloat(
                      s, s.make<arith::DivFOp>(convertFloat(s, args[0], type), power), element);
                });
  l.setTensor(op, 0, y, x->dims, element);
  return success();
}

} // namespace

void sq::registerPooling(LoweringTable &table) {
  table.add("MaxPool", 1, lowerMaxPool);
  table.add("AveragePool", 1, lowerAveragePool);
  table.add("LpPool", 1, lowerLpPool);
  table.add("GlobalMaxPool", 1, lowerGlobalPool<Global::Max>);
  table.add("GlobalAveragePool", 1, lowerGlobalPool<Global::Average>);
  table.add("GlobalLpPool", 1, lowerGlobalPool<Global::Lp>);
  table.add("LRN", 1, lowerLRN);
}
