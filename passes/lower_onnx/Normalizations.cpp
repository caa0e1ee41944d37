/// Softmax and its kin, and the normalizations.

#include "passes/lower_onnx/Generics.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

LogicalResult requireFloat(Lowering &l, Operation *op, Lowered *x) {
  if (isSupportedFloat(x->element))
    return success();
  return l.fail(op, "the input is not float, double, float16 or bfloat16; cast it");
}

//===----------------------------------------------------------------------===//
// Along one axis: Softmax, LogSoftmax, Hardmax, LpNormalization
//===----------------------------------------------------------------------===//

/// Applies `last` to the operand with `axis` made the last dim, and undoes that.
/// Before opset 13, all dims from `axis` on count as one.
LogicalResult alongAxis(Lowering &l, Operation *op,
                        llvm::function_ref<Value(Value, ArrayRef<OpFoldResult>)> last) {
  Lowered *x = l.operand(op, 0);
  if (failed(requireFloat(l, op, x)))
    return failure();
  bool flattens = l.opset() < 13;
  Location loc = op->getLoc();
  if (x->rank() == 0)
    return l.fail(op, "the input is a scalar and has no axis");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", flattens ? 1 : -1),
                                            x->rank());
  if (failed(axis))
    return failure();
  Value tensor = l.tensor(x);
  Dims dims = x->dims;
  int64_t rank = x->rank();
  if (*axis == rank - 1) {
    tensor = last(tensor, dims);
  } else if (flattens) {
    ArrayRef<OpFoldResult> all(dims);
    Dims rows(all.take_front(*axis));
    rows.push_back(l.product(all.drop_front(*axis)));
    Value flat = last(l.reshape(loc, tensor, dims, rows), rows);
    tensor = l.reshape(loc, flat, rows, dims);
  } else {
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(rank));
    std::swap(perm[*axis], perm.back());
    Dims swapped = dims;
    std::swap(swapped[*axis], swapped.back());
    Value result = last(l.transpose(loc, tensor, dims, perm), swapped);
    tensor = l.transpose(loc, result, swapped, perm);
  }
  l.setTensor(op, 0, tensor, dims, x->element);
  return success();
}

LogicalResult lowerSoftmax(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  return alongAxis(l, op, [&](Value tensor, ArrayRef<OpFoldResult> dims) {
    return softmax(l, op->getLoc(), tensor, dims, x->element);
  });
}

LogicalResult lowerLogSoftmax(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  return alongAxis(l, op, [&](Value tensor, ArrayRef<OpFoldResult> dims) {
    return logSoftmax(l, op->getLoc(), tensor, dims, dims.size() - 1, x->element);
  });
}

/// 1 at the first greatest element, 0 elsewhere.
LogicalResult lowerHardmax(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type();
  return alongAxis(l, op, [&](Value tensor, ArrayRef<OpFoldResult> dims) -> Value {
    int64_t last = dims.size() - 1;
    Scalars scalars = l.scalars(loc);
    AffineMap all = identityMap(l, dims.size()), row = mapWithout(l, dims.size(), last);
    Dims rows = dimsWithout(dims, last);
    Value best = l.filledTensor(loc, rows, scalars.number(x->element, -INFINITY));
    Value where = l.filledTensor(loc, rows, scalars.integer(i64, 0));
    Value first = generic(l, loc, Input{tensor, all}, {{best, row}, {where, row}}, last,
                          [&](Scalars &s, ValueRange args) {
                            Value better =
                                s.compare(arith::CmpFPredicate::OGT, args[0], args[1]);
                            return SmallVector<Value>{
                                s.select(better, args[0], args[1]),
                                s.select(better, s.toI64(loopIndex(s, last)), args[2])};
                          })[1];
    return pointwise(l, loc, Input{first, row}, dims, x->element,
                     [&](Scalars &s, ValueRange args) {
                       Value here = s.compare(arith::CmpIPredicate::eq,
                                              s.toI64(loopIndex(s, last)), args[0]);
                       return s.select(here, s.number(x->element, 1), s.number(x->element, 0));
                     });
  });
}

/// x / (sum |x|^p)^(1/p), p being 1 or 2.
LogicalResult lowerLpNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  int64_t p = l.intAttr(op, "p", 2);
  if (p != 1 && p != 2)
    return l.fail(op, "p is " + Twine(p) + "; it can be 1 or 2");
  if (failed(requireFloat(l, op, x)))
    return failure();
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", -1), x->rank());
  if (failed(axis))
    return failure();
  Location loc = op->getLoc();
  Type type = accumulatorType(x->element);
  Value tensor = l.tensor(x);
  Value sum = reduceAxes(l, loc, tensor, x->dims, *axis, l.scalars(loc).number(type, 0),
                         [&](Scalars &s, ValueRange args) {
                           Value value = convertFloat(s, args[0], type);
                           Value term = p == 1 ? s.make<math::AbsFOp>(value)
                                               : s.make<arith::MulFOp>(value, value);
                           return s.make<arith::AddFOp>(args[1], term);
                         });
  Value y = pointwise(
      l, loc, {{tensor, identityMap(l, x->rank())}, {sum, mapWithout(l, x->rank(), *axis)}},
      x->dims, x->element, [&](Scalars &s, ValueRange args) {
        Value norm = p == 1 ? args[1] : s.make<math::SqrtOp>(args[1]);
        Value quotient = s.make<arith::DivFOp>(convertFloat(s, args[0], type), norm);
        // A row of zeros stays one.
        Value isZero = s.compare(arith::CmpFPredicate::OEQ, norm, s.number(type, 0));
        return convertFloat(s, s.select(isZero, s.number(type, 0), quotient), x->element);
      });
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Mean and variance
//===----------------------------------------------------------------------===//

/// Mean and biased variance over axes, in the accumulator's type, without the axes.
struct Moments {
  Value mean, variance;
};

Value meanOver(Lowering &l, Location loc, Value sum, ArrayRef<OpFoldResult> sumDims,
               Value count, Type type) {
  return pointwise(l, loc, Input{sum, identityMap(l, sumDims.size())}, sumDims, type,
                   [&](Scalars &s, ValueRange args) {
                     return s.make<arith::DivFOp>(args[0],
                                                  s.make<arith::SIToFPOp>(type, count));
                   });
}

Value countOf(Lowering &l, ArrayRef<OpFoldResult> dims, ArrayRef<int64_t> axes) {
  OpFoldResult count = l.indexAttr(1);
  for (int64_t axis : axes)
    count = l.multiply(count, dims[axis]);
  return l.i64Value(count);
}

/// The variance in a second pass: the difference of squares would cancel.
Moments momentsOver(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims,
                    ArrayRef<int64_t> axes, Type type) {
  Value count = countOf(l, dims, axes);
  Dims rows = dimsWithout(dims, axes);
  Scalars scalars = l.scalars(loc);
  Value zero = scalars.number(type, 0);
  Value sum = reduceAxes(l, loc, x, dims, axes, zero, [&](Scalars &s, ValueRange args) {
    return s.make<arith::AddFOp>(args[1], convertFloat(s, args[0], type));
  });
  Moments moments;
  moments.mean = meanOver(l, loc, sum, rows, count, type);
  AffineMap all = identityMap(l, dims.size()), row = mapWithout(l, dims.size(), axes);
  Value squares = generic(l, loc, {{x, all}, {moments.mean, row}},
                          Input{l.filledTensor(loc, rows, zero), row}, axes,
                          [&](Scalars &s, ValueRange args) {
                            Value centred = s.make<arith::SubFOp>(
                                convertFloat(s, args[0], type), args[1]);
                            Value square = s.make<arith::MulFOp>(centred, centred);
                            return SmallVector<Value>{s.make<arith::AddFOp>(args[2], square)};
                          })[0];
  moments.variance = meanOver(l, loc, squares, rows, count, type);
  return moments;
}

/// 1 / sqrt(variance + epsilon)
Value inverseDeviation(Scalars &s, Value variance, double epsilon) {
  Type type = variance.getType();
  Value sum = s.make<arith::AddFOp>(variance, s.number(type, epsilon));
  return s.make<arith::DivFOp>(s.number(type, 1), s.make<math::SqrtOp>(sum));
}

/// (x - mean) * scale / sqrt(variance + epsilon) + bias; scale and bias may be null.
Value normalize(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims, Type element,
                Input mean, Input variance, std::optional<Input> scale,
                std::optional<Input> bias, double epsilon) {
  Type type = accumulatorType(element);
  SmallVector<Input> inputs = {{x, identityMap(l, dims.size())}, mean, variance};
  if (scale)
    inputs.push_back(*scale);
  if (bias)
    inputs.push_back(*bias);
  return pointwise(l, loc, inputs, dims, element, [&](Scalars &s, ValueRange args) {
    auto wide = [&](Value v) { return convertFloat(s, v, type); };
    Value y = s.make<arith::SubFOp>(wide(args[0]), wide(args[1]));
    y = s.make<arith::MulFOp>(y, inverseDeviation(s, wide(args[2]), epsilon));
    if (scale)
      y = s.make<arith::MulFOp>(y, wide(args[3]));
    if (bias)
      y = s.make<arith::AddFOp>(y, wide(args[3 + scale.has_value()]));
    return convertFloat(s, y, element);
  });
}

/// The trailing dims from `axis` on as one, if there are several.
Dims collapseFrom(Lowering &l, ArrayRef<OpFoldResult> dims, int64_t axis) {
  Dims result(dims.take_front(axis));
  result.push_back(l.product(dims.drop_front(axis)));
  return result;
}

/// A scale or bias as a vector over the collapsed trailing dims.
FailureOr<Value> normVector(Lowering &l, Operation *op, Lowered *value,
                            ArrayRef<OpFoldResult> trailing, StringRef what) {
  FailureOr<Dims> dims = l.broadcast(op, value->dims, trailing);
  if (failed(dims))
    return failure();
  if (dims->size() != trailing.size() || shapeOf(*dims) != shapeOf(trailing))
    return l.fail(op, what + " does not broadcast to the normalized dimensions");
  Value tensor = broadcastTo(l, op->getLoc(), value, trailing);
  return l.reshape(op->getLoc(), tensor, trailing, l.product(trailing));
}

LogicalResult lowerLayerNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *bias = l.operand(op, 2);
  if (failed(requireFloat(l, op, x)))
    return failure();
  if (scale->element != x->element || (bias && bias->element != x->element))
    return l.fail(op, "scale or bias differ from the input in element type; cast them");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", -1), x->rank());
  if (failed(axis))
    return failure();
  double epsilon = l.floatAttr(op, "epsilon", 1e-5);
  Location loc = op->getLoc();

  // A dynamic last dim takes the scale's size where that is known.
  if (scale->rank() == 1 && *axis == x->rank() - 1 && !isOne(scale->dims[0])) {
    FailureOr<OpFoldResult> last =
        l.unify(op, x->dims.back(), scale->dims[0], "the normalized dimension");
    if (failed(last))
      return failure();
  }
  Dims dims = x->dims;
  dims.back() = l.resolve(dims.back());
  Dims rows = collapseFrom(l, dims, *axis);
  ArrayRef<OpFoldResult> trailing = ArrayRef<OpFoldResult>(dims).drop_front(*axis);
  FailureOr<Value> scaleVector = normVector(l, op, scale, trailing, "scale");
  FailureOr<Value> biasVector =
      bias ? normVector(l, op, bias, trailing, "bias") : FailureOr<Value>(Value());
  if (failed(scaleVector) || failed(biasVector))
    return failure();
  Value flat = l.reshape(loc, l.tensor(x), x->dims, rows);
  Value init = l.emptyTensor(loc, rows, x->element);
  Value y = LayerNormOp::create(l.builder, loc, TypeRange(init.getType()), flat, *scaleVector,
                                *biasVector, init, llvm::APFloat(static_cast<float>(epsilon)))
                .getResult()[0];
  l.setTensor(op, 0, l.reshape(loc, y, rows, dims), dims, x->element);

  // Mean and InvStdDev, in the stash type (float by default) with kept dims.
  bool wantsMean = op->getNumResults() > 1 && !op->getResult(1).use_empty();
  bool wantsDeviation = op->getNumResults() > 2 && !op->getResult(2).use_empty();
  if (!wantsMean && !wantsDeviation)
    return success();
  Type type = x->element.isF64() ? x->element : Type(l.builder.getF32Type());
  Moments moments = momentsOver(l, loc, flat, rows, *axis, type);
  Dims outer(ArrayRef<OpFoldResult>(dims).take_front(*axis));
  Dims kept = outer;
  kept.append(dims.size() - *axis, l.indexAttr(1));
  if (wantsMean)
    l.setTensor(op, 1, l.reshape(loc, moments.mean, outer, kept), kept, type);
  if (wantsDeviation) {
    Value inverse = pointwise(
        l, loc, Input{moments.variance, identityMap(l, outer.size())}, outer, type,
        [&](Scalars &s, ValueRange args) { return inverseDeviation(s, args[0], epsilon); });
    l.setTensor(op, 2, l.reshape(loc, inverse, outer, kept), kept, type);
  }
  return success();
}

/// x / sqrt(mean(x^2) + epsilon) * scale over the trailing dims (Zhang and
/// Sennrich 2019, equation 4).
LogicalResult lowerRMSNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1);
  if (failed(requireFloat(l, op, x)) || failed(requireFloat(l, op, scale)))
    return failure();
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", -1), x->rank());
  if (failed(axis))
    return failure();
  double epsilon = l.floatAttr(op, "epsilon", 1e-5);
  Location loc = op->getLoc();
  FailureOr<Dims> dims = l.broadcast(op, {x, scale});
  if (failed(dims))
    return failure();
  if (shapeOf(*dims) != shapeOf(x->dims))
    return l.fail(op, "scale does not broadcast to the input");
  if (x->element.isF32() && scale->element.isF32()) {
    Dims rows = collapseFrom(l, *dims, *axis);
    FailureOr<Value> vector =
        normVector(l, op, scale, ArrayRef<OpFoldResult>(*dims).drop_front(*axis), "scale");
    if (failed(vector))
      return failure();
    Value flat = l.reshape(loc, l.tensor(x), x->dims, rows);
    Value init = l.emptyTensor(loc, rows, x->element);
    Value y = RmsNormOp::create(l.builder, loc, TypeRange(init.getType()), flat, *vector, init,
                                llvm::APFloat(static_cast<float>(epsilon)))
                  .getResult()[0];
    l.setTensor(op, 0, l.reshape(loc, y, rows, *dims), *dims, x->element);
    return success();
  }

  // Other types have no kernel: loops.
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(*axis, x->rank()));
  Type type = accumulatorType(x->element);
  Value tensor = l.tensor(x), scaleTensor = l.tensor(scale);
  Value count = countOf(l, x->dims, axes);
  Value sum = reduceAxes(l, loc, tensor, x->dims, axes, l.scalars(loc).number(type, 0),
                         [&](Scalars &s, ValueRange args) {
                           Value value = convertFloat(s, args[0], type);
                           Value square = s.make<arith::MulFOp>(value, value);
                           return s.make<arith::AddFOp>(args[1], square);
                         });
  AffineMap row = mapWithout(l, x->rank(), axes);
  Value y = pointwise(
      l, loc,
      {{tensor, identityMap(l, x->rank())},
       {sum, row},
       {scaleTensor, broadcastMap(l, scale->dims, x->dims)}},
      x->dims, x->element, [&](Scalars &s, ValueRange args) {
        Value mean = s.make<arith::DivFOp>(args[1], s.make<arith::SIToFPOp>(type, count));
        Value value = s.make<arith::MulFOp>(convertFloat(s, args[0], type),
                                            inverseDeviation(s, mean, epsilon));
        value = s.make<arith::MulFOp>(value, convertFloat(s, args[2], type));
        return convertFloat(s, value, x->element);
      });
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

/// A vector over the channels (dim 1) of x.
FailureOr<Input> channelVector(Lowering &l, Operation *op, Lowered *x, Lowered *value,
                               StringRef what) {
  if (value->rank() != 1 || !isSupportedFloat(value->element))
    return l.fail(op, what + " is not a vector of floats, one per channel");
  if (failed(l.unify(op, x->dims[1], value->dims[0], "the channel dimension")))
    return failure();
  AffineMap map = AffineMap::get(x->rank(), 0, l.builder.getAffineDimExpr(1));
  return Input{l.tensor(value), map};
}

/// In training mode by the mean and variance of the batch, of which it gives the running
/// averages; before opset 14 that is so when these are asked for, and the moments of the
/// batch follow as outputs 3 and 4.
LogicalResult lowerBatchNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Location loc = op->getLoc();
  bool usesStatistics = false;
  for (Value result : op->getResults().drop_front())
    usesStatistics |= !result.use_empty();
  bool isTraining = l.opset() >= 14 ? l.intAttr(op, "training_mode", 0) != 0 : usesStatistics;
  if (usesStatistics && !isTraining)
    return l.fail(op, "running statistics are outputs of training mode only; set training_mode");
  if (!l.intAttr(op, "spatial", 1))
    return l.fail(op, "spatial = 0 is not supported");
  if (failed(requireFloat(l, op, x)))
    return failure();
  if (x->rank() < 2)
    return l.fail(op, "the input has rank " + Twine(x->rank()) + " and so no channels");
  SmallVector<Input> vectors;
  for (StringRef what : {"scale", "bias", "mean", "variance"}) {
    FailureOr<Input> vector =
        channelVector(l, op, x, l.operand(op, vectors.size() + 1), what);
    if (failed(vector))
      return failure();
    vectors.push_back(*vector);
  }
  Value tensor = l.tensor(x);
  if (isTraining) {
    SmallVector<int64_t> axes = {0};
    llvm::append_range(axes, llvm::seq<int64_t>(2, x->rank()));
    Moments moments = momentsOver(l, loc, tensor, x->dims, axes, accumulatorType(x->element));
    AffineMap row = mapWithout(l, x->rank(), axes), vector = identityMap(l, 1);
    Dims channels = {x->dims[1]};
    double momentum = l.floatAttr(op, "momentum", 0.9);
    Value batches[] = {moments.mean, moments.variance};
    for (unsigned i : {0, 1}) {
      Value batch = batches[i];
      Lowered *running = l.operand(op, 3 + i);
      Type type = accumulatorType(running->element);
      auto define = [&](unsigned result, ScalarFn fn) {
        if (result >= op->getNumResults() || op->getResult(result).use_empty())
          return;
        Value average = pointwise(l, loc, {{l.tensor(running), vector}, {batch, vector}}, channels,
                                  running->element, [&](Scalars &s, ValueRange args) {
                                    Value wide[] = {convertFloat(s, args[0], type),
                                                    convertFloat(s, args[1], type)};
                                    return convertFloat(s, fn(s, wide), running->element);
                                  });
        l.setTensor(op, result, average, channels, running->element);
      };
      define(1 + i, [&](Scalars &s, ValueRange args) {
        Value old = s.make<arith::MulFOp>(args[0], s.number(type, momentum));
        return s.make<arith::AddFOp>(
            old, s.make<arith::MulFOp>(args[1], s.number(type, 1 - momentum)));
      });
      define(3 + i, [](Scalars &, ValueRange args) { return args[1]; });
      vectors[2 + i] = {batch, row};
    }
  }
  Value y = normalize(l, loc, tensor, x->dims, x->element, vectors[2], vectors[3], vectors[0],
                      vectors[1], l.floatAttr(op, "epsilon", 1e-5));
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

LogicalResult lowerInstanceNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (failed(requireFloat(l, op, x)))
    return failure();
  if (x->rank() < 3)
    return l.fail(op, "the input has rank " + Twine(x->rank()) + "; it needs [N, C, D1, ...]");
  FailureOr<Input> scale = channelVector(l, op, x, l.operand(op, 1), "scale");
  FailureOr<Input> bias = channelVector(l, op, x, l.operand(op, 2), "bias");
  if (failed(scale) || failed(bias))
    return failure();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, x->rank()));
  Value tensor = l.tensor(x);
  Moments moments = momentsOver(l, op->getLoc(), tensor, x->dims, axes,
                                accumulatorType(x->element));
  AffineMap row = mapWithout(l, x->rank(), axes);
  Value y = normalize(l, op->getLoc(), tensor, x->dims, x->element, {moments.mean, row},
                      {moments.variance, row}, *scale, *bias, l.floatAttr(op, "epsilon", 1e-5));
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

/// Over groups of channels. Until opset 21 scale and bias are per group, then per
/// channel.
LogicalResult lowerGroupNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *bias = l.operand(op, 2);
  if (failed(requireFloat(l, op, x)) || failed(requireFloat(l, op, scale)) ||
      failed(requireFloat(l, op, bias)))
    return failure();
  int64_t groups = l.intAttr(op, "num_groups", 0);
  std::optional<int64_t> channels =
      x->rank() < 2 ? std::nullopt : staticDim(l.resolve(x->dims[1]));
  if (!channels || groups <= 0 || *channels % groups)
    return l.fail(op, "num_groups (" + Twine(groups) +
                          ") does not divide a static number of channels");
  Location loc = op->getLoc();
  int64_t perGroup = *channels / groups;
  bool isPerChannel = l.opset() >= 21;
  int64_t length = isPerChannel ? *channels : groups;
  for (Lowered *value : {scale, bias})
    if (value->rank() != 1 || staticDim(value->dims[0]) != length)
      return l.fail(op, "scale and bias need " + Twine(length) + " elements");

  // [N, groups, C / groups, D1, ...]
  Dims grouped = {x->dims[0], l.indexAttr(groups), l.indexAttr(perGroup)};
  grouped.append(x->dims.begin() + 2, x->dims.end());
  Value tensor = l.reshape(loc, l.tensor(x), x->dims, grouped);
  int64_t rank = grouped.size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Moments moments = momentsOver(l, loc, tensor, grouped, axes, accumulatorType(x->element));
  AffineMap row = mapWithout(l, rank, axes);
  auto vector = [&](Lowered *value) {
    MLIRContext *context = l.builder.getContext();
    AffineExpr group = l.builder.getAffineDimExpr(1), channel = l.builder.getAffineDimExpr(2);
    if (!isPerChannel)
      return Input{l.tensor(value), AffineMap::get(rank, 0, group, context)};
    Value matrix = l.reshape(loc, l.tensor(value), value->dims,
                             {l.indexAttr(groups), l.indexAttr(perGroup)});
    return Input{matrix, AffineMap::get(rank, 0, {group, channel}, context)};
  };
  Value y = normalize(l, loc, tensor, grouped, x->element, {moments.mean, row},
                      {moments.variance, row}, vector(scale), vector(bias),
                      l.floatAttr(op, "epsilon", 1e-5));
  l.setTensor(op, 0, l.reshape(loc, y, grouped, x->dims), x->dims, x->element);
  return success();
}

/// (x - mean) / (deviation + 1e-9), the constant as in ONNX's function body.
LogicalResult lowerMeanVarianceNormalization(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (failed(requireFloat(l, op, x)))
    return failure();
  FailureOr<SmallVector<int64_t>> axes = l.normalizeAxes(
      op, l.intsAttr(op, "axes").value_or(SmallVector<int64_t>{0, 2, 3}), x->rank());
  if (failed(axes))
    return failure();
  llvm::sort(*axes);
  Location loc = op->getLoc();
  Type type = accumulatorType(x->element);
  Value tensor = l.tensor(x);
  Moments moments = momentsOver(l, loc, tensor, x->dims, *axes, type);
  AffineMap row = mapWithout(l, x->rank(), *axes);
  Value y = pointwise(
      l, loc, {{tensor, identityMap(l, x->rank())}, {moments.mean, row}, {moments.variance, row}},
      x->dims, x->element, [&](Scalars &s, ValueRange args) {
        Value centred = s.make<arith::SubFOp>(convertFloat(s, args[0], type), args[1]);
        Value deviation =
            s.make<arith::AddFOp>(s.make<math::SqrtOp>(args[2]), s.number(type, 1e-9));
        return convertFloat(s, s.make<arith::DivFOp>(centred, deviation), x->element);
      });
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

} // namespace

namespace {

/// Along `axis`: the maximum, and the sum of exp(x - maximum), in `type`.
struct Exponentials {
  Value maximum, sum;
};

Exponentials exponentials(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims,
                          int64_t axis, Type type) {
  Scalars scalars = l.scalars(loc);
  AffineMap all = identityMap(l, dims.size()), row = mapWithout(l, dims.size(), axis);
  Exponentials result;
  result.maximum = reduceAxes(l, loc, x, dims, axis, scalars.number(type, -INFINITY),
                              [&](Scalars &s, ValueRange args) {
                                Value value = convertFloat(s, args[0], type);
                                return s.make<arith::MaximumFOp>(args[1], value);
                              });
  Value init = l.filledTensor(loc, dimsWithout(dims, axis), scalars.number(type, 0));
  result.sum = generic(l, loc, {{x, all}, {result.maximum, row}}, Input{init, row}, axis,
                       [&](Scalars &s, ValueRange args) {
                         Value value = convertFloat(s, args[0], type);
                         Value power = s.make<math::ExpOp>(s.make<arith::SubFOp>(value, args[1]));
                         return SmallVector<Value>{s.make<arith::AddFOp>(args[2], power)};
                       })[0];
  return result;
}

} // namespace

Value sq::logSoftmax(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims,
                     int64_t axis, Type element) {
  Type type = accumulatorType(element);
  AffineMap all = identityMap(l, dims.size()), row = mapWithout(l, dims.size(), axis);
  Exponentials terms = exponentials(l, loc, x, dims, axis, type);
  return pointwise(l, loc, {{x, all}, {terms.maximum, row}, {terms.sum, row}}, dims, element,
                   [&](Scalars &s, ValueRange args) {
                     Value value = convertFloat(s, args[0], type);
                     Value shifted = s.make<arith::SubFOp>(value, args[1]);
                     Value log = s.make<math::LogOp>(args[2]);
                     return convertFloat(s, s.make<arith::SubFOp>(shifted, log), element);
                   });
}

Value sq::softmax(Lowering &l, Location loc, Value x, ArrayRef<OpFoldResult> dims, Type element) {
  AffineMap all = identityMap(l, dims.size());
  if (element.isF64()) { // sq.softmax sums in f32
    int64_t last = dims.size() - 1;
    AffineMap row = mapWithout(l, dims.size(), last);
    Exponentials terms = exponentials(l, loc, x, dims, last, element);
    return pointwise(l, loc, {{x, all}, {terms.maximum, row}, {terms.sum, row}}, dims, element,
                     [&](Scalars &s, ValueRange args) {
                       Value shifted = s.make<arith::SubFOp>(args[0], args[1]);
                       return s.make<arith::DivFOp>(s.make<math::ExpOp>(shifted), args[2]);
                     });
  }
  auto convertedTo = [&](Value tensor, Type from, Type to) {
    if (from == to)
      return tensor;
    return pointwise(l, loc, Input{tensor, all}, dims, to, [&](Scalars &s, ValueRange args) {
      return convertFloat(s, args[0], to);
    });
  };
  Type f32 = l.builder.getF32Type();
  Value wide = convertedTo(x, element, f32), init = l.emptyTensor(loc, dims, f32);
  Value y = SoftmaxOp::create(l.builder, loc, TypeRange(init.getType()), wide, init).getResult()[0];
  return convertedTo(y, f32, element);
}

void sq::registerNormalizations(LoweringTable &table) {
  table.add("Softmax", 1, lowerSoftmax);
  table.add("LogSoftmax", 1, lowerLogSoftmax);
  table.add("Hardmax", 1, lowerHardmax);
  table.add("LpNormalization", 1, lowerLpNormalization);
  table.add("LayerNormalization", 2, lowerLayerNormalization);
  table.add("RMSNormalization", 2, lowerRMSNormalization);
  table.add("BatchNormalization", 5, lowerBatchNormalization);
  table.add("InstanceNormalization", 3, lowerInstanceNormalization);
  table.add("GroupNormalization", 3, lowerGroupNormalization);
  table.add("MeanVarianceNormalization", 1, lowerMeanVarianceNormalization);
}
