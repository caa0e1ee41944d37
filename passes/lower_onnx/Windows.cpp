/// Conv, ConvInteger, ConvTranspose, pooling and LRN: windows that slide over the
/// spatial dims of `[N, C, D1, ...]`.
///
/// Each is one generic that reads the input at computed positions; positions in
/// the padding are clamped and do not count. These are the plain correct forms:
/// transformers have at most a patch embedding of this kind.

#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

/// How the window moves along one spatial dim.
struct Axis {
  OpFoldResult kernel;
  int64_t stride = 1, dilation = 1;
  OpFoldResult out;
  Value before; // padding, i64
  Value size;   // of the input, i64
};

/// An attribute with `count` values in [min, 2^31), or the default for all.
FailureOr<SmallVector<int64_t>> perAxis(Lowering &l, Operation *op, StringRef name, size_t count,
                                        int64_t min, int64_t absent) {
  std::optional<SmallVector<int64_t>> given = l.intsAttr(op, name);
  if (!given || given->empty())
    return SmallVector<int64_t>(count, absent);
  if (given->size() != count)
    return l.fail(op, name + " has " + Twine(given->size()) + " values; expected " +
                          Twine(count));
  for (int64_t value : *given)
    if (value < min || value > INT32_MAX)
      return l.fail(op, name + " has the value " + Twine(value));
  return *given;
}

enum class AutoPad { None, Valid, SameUpper, SameLower };

FailureOr<AutoPad> autoPad(Lowering &l, Operation *op) {
  std::string name = l.stringAttr(op, "auto_pad", "NOTSET");
  auto found = llvm::StringSwitch<std::optional<AutoPad>>(name)
                   .Case("NOTSET", AutoPad::None)
                   .Case("VALID", AutoPad::Valid)
                   .Case("SAME_UPPER", AutoPad::SameUpper)
                   .Case("SAME_LOWER", AutoPad::SameLower)
                   .Default(std::nullopt);
  if (!found)
    return l.fail(op, "auto_pad '" + name + "' is not known");
  return *found;
}

/// Strides, dilations, paddings and result sizes of a convolution or pooling.
FailureOr<SmallVector<Axis>> slidingAxes(Lowering &l, Operation *op, Lowered *x,
                                         ArrayRef<OpFoldResult> kernel) {
  size_t count = kernel.size();
  auto strides = perAxis(l, op, "strides", count, 1, 1);
  auto dilations = perAxis(l, op, "dilations", count, 1, 1);
  auto pads = perAxis(l, op, "pads", 2 * count, 0, 0);
  FailureOr<AutoPad> mode = autoPad(l, op);
  if (failed(strides) || failed(dilations) || failed(pads) || failed(mode))
    return failure();
  bool ceil = l.intAttr(op, "ceil_mode", 0);
  Scalars s = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type();
  auto number = [&](int64_t value) { return s.integer(i64, value); };

  SmallVector<Axis> axes;
  for (size_t d = 0; d < count; ++d) {
    Axis axis;
    axis.kernel = kernel[d];
    axis.stride = (*strides)[d];
    axis.dilation = (*dilations)[d];
    axis.size = l.i64Value(l.resolve(x->dims[d + 2]));
    Value zero = number(0), one = number(1), stride = number(axis.stride);
    // From the first to the last element of the window, both included.
    Value extent =
        s.add(s.mul(s.sub(l.i64Value(kernel[d]), one), number(axis.dilation)), one);
    Value before = zero, after = zero;
    if (*mode == AutoPad::None) {
      before = number((*pads)[d]);
      after = number((*pads)[count + d]);
    } else if (*mode != AutoPad::Valid) {
      Value windows = s.divide(s.add(axis.size, s.sub(stride, one)), stride);
      Value covered = s.add(s.mul(s.sub(windows, one), stride), extent);
      Value total = s.max(s.sub(covered, axis.size), zero);
      before = s.divide(*mode == AutoPad::SameUpper ? total : s.add(total, one), number(2));
      after = s.sub(total, before);
    }
    axis.before = before;
    Value padded = s.add(s.add(axis.size, before), after);
    Value room = s.sub(padded, extent);
    if (std::optional<int64_t> known = constantInteger(room)) {
      if (*known < 0)
        return l.fail(op, "the window is larger than spatial dimension " + Twine(d) +
                              " with its padding");
    } else {
      l.assertTrue(op, s.compare(arith::CmpIPredicate::sge, room, zero),
                   "the window is larger than spatial dimension " + Twine(d) +
                       " with its padding");
    }
    Value steps = s.divide(ceil ? s.add(room, s.sub(stride, one)) : room, stride);
    // A window that would start past the input and its left padding is left out.
    if (ceil) {
      Value start = s.mul(steps, stride);
      Value isPast = s.compare(arith::CmpIPredicate::sge, start, s.add(axis.size, before));
      steps = s.select(isPast, s.sub(steps, one), steps);
    }
    axis.out = l.toDim(s.add(steps, one));
    axes.push_back(axis);
  }
  return axes;
}

/// The position in the input of window element `k` of result `o` (index), clamped
/// to the input; what says whether it lies inside is and-ed to `inside`.
Value inputPosition(Scalars &s, const Axis &axis, Value o, Value k, Value &inside) {
  Type i64 = s.builder.getI64Type();
  Value position = s.add(s.mul(s.toI64(o), s.integer(i64, axis.stride)),
                         s.mul(s.toI64(k), s.integer(i64, axis.dilation)));
  position = s.sub(position, axis.before);
  Value here = s.compare(arith::CmpIPredicate::ult, position, axis.size);
  inside = inside ? s.make<arith::AndIOp>(inside, here) : here;
  return s.toIndex(s.select(here, position, s.integer(i64, 0)));
}

LogicalResult requireSpatial(Lowering &l, Operation *op, Lowered *x) {
  if (x->rank() >= 3)
    return success();
  return l.fail(op, "the input has rank " + Twine(x->rank()) + "; it needs [N, C, D1, ...]");
}

/// Nothing may be read of an input with an empty dim.
void assertReadable(Lowering &l, Operation *op, Lowered *x, ArrayRef<OpFoldResult> dims) {
  Dims sizes;
  for (OpFoldResult dim : x->dims)
    sizes.push_back(l.resolve(dim));
  assertNotEmpty(l, op, sizes, dims);
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

/// Kernel dims of w `[M, C / group, ...]`, checked against x and `kernel_shape`.
FailureOr<SmallVector<OpFoldResult>> kernelOf(Lowering &l, Operation *op, Lowered *x,
                                              Lowered *w) {
  if (failed(requireSpatial(l, op, x)))
    return failure();
  if (w->rank() != x->rank())
    return l.fail(op, "the weight has rank " + Twine(w->rank()) + " for an input of rank " +
                          Twine(x->rank()));
  SmallVector<OpFoldResult> kernel(w->dims.begin() + 2, w->dims.end());
  if (std::optional<SmallVector<int64_t>> shape = l.intsAttr(op, "kernel_shape")) {
    if (shape->size() != kernel.size())
      return l.fail(op, "kernel_shape has " + Twine(shape->size()) + " values; expected " +
                            Twine(kernel.size()));
    for (auto [d, size] : llvm::enumerate(*shape))
      if (failed(l.unify(op, kernel[d], l.indexAttr(size), "kernel_shape and the weight")))
        return failure();
  }
  return kernel;
}

FailureOr<int64_t> groupsOf(Lowering &l, Operation *op, Lowered *w) {
  int64_t group = l.intAttr(op, "group", 1);
  std::optional<int64_t> channels = staticDim(l.resolve(w->dims[0]));
  if (!channels || group < 1 || *channels % group)
    return l.fail(op, "group (" + Twine(group) +
                          ") does not divide a static number of channels of the weight");
  return group;
}

/// y[n, m, o] = sum over c, k of x[n, g C/G + c, o s + k d - p] w[m, c, k] (+ b[m]),
/// where g = m / (M / G). `xZero` and `wZero` are subtracted from integers.
FailureOr<Value> convolve(Lowering &l, Operation *op, Lowered *x, Lowered *w, Lowered *bias,
                          Lowered *xZero, Lowered *wZero, Type accumulator, Dims &dims) {
  auto kernel = kernelOf(l, op, x, w);
  if (failed(kernel))
    return failure();
  FailureOr<int64_t> group = groupsOf(l, op, w);
  if (failed(group) ||
      failed(l.unify(op, x->dims[1], l.multiply(w->dims[1], l.indexAttr(*group)),
                     "the number of channels")))
    return failure();
  auto axes = slidingAxes(l, op, x, *kernel);
  if (failed(axes))
    return failure();
  int64_t spatial = kernel->size();
  dims = {x->dims[0], w->dims[0]};
  for (const Axis &axis : *axes)
    dims.push_back(axis.out);
  assertReadable(l, op, x, dims);

  // Loops: n, m, o.., c, k..
  Location loc = op->getLoc();
  int64_t cLoop = 2 + spatial, loops = cLoop + 1 + spatial;
  MLIRContext *context = l.builder.getContext();
  SmallVector<AffineExpr> weightExprs = {l.builder.getAffineDimExpr(1)};
  SmallVector<int64_t> reduced;
  for (int64_t d = cLoop; d < loops; ++d) {
    weightExprs.push_back(l.builder.getAffineDimExpr(d));
    reduced.push_back(d);
  }
  Scalars scalars = l.scalars(loc);
  bool isFloat = isa<FloatType>(accumulator);
  int64_t perGroup = *staticDim(l.resolve(w->dims[0])) / *group;
  Value channelsPerGroup = l.indexValue(w->dims[1]);
  Value source = l.tensor(x);
  Value init = l.filledTensor(loc, dims, isFloat ? scalars.number(accumulator, 0)
                                                 : scalars.integer(accumulator, 0));
  if (bias) {
    if (bias->rank() != 1 || bias->element != x->element)
      return l.fail(op, "the bias is not a vector of the input's type");
    if (failed(l.unify(op, bias->dims[0], w->dims[0], "the bias and the result's channels")))
      return failure();
    AffineMap map = AffineMap::get(dims.size(), 0, l.builder.getAffineDimExpr(1));
    init = pointwise(l, loc, Input{l.tensor(bias), map}, dims, accumulator,
                     [&](Scalars &s, ValueRange args) {
                       return convertFloat(s, args[0], accumulator);
                     });
  }
  SmallVector<Input> inputs = {{l.tensor(w), AffineMap::get(loops, 0, weightExprs, context)}};
  if (wZero) {
    bool isVector = wZero->rank() == 1 && !isOne(wZero->dims[0]);
    if (wZero->rank() > 1 ||
        (isVector && failed(l.unify(op, wZero->dims[0], w->dims[0], "the weight's zero point"))))
      return l.fail(op, "the weight's zero point is not a scalar or one per channel");
    SmallVector<AffineExpr> exprs(
        wZero->rank(), isVector ? l.builder.getAffineDimExpr(1)
                                : l.builder.getAffineConstantExpr(0));
    inputs.push_back({l.tensor(wZero), AffineMap::get(loops, 0, exprs, context)});
  }
  Value xZeroValue;
  if (xZero) {
    if (staticCount(xZero->dims) != 1)
      return l.fail(op, "the input's zero point is not one element");
    xZeroValue = convertInteger(scalars, readScalar(l, loc, xZero), accumulator,
                                xZero->isUnsigned());
  }
  return generic(
      l, loc, inputs, Input{init, mapWithout(l, loops, reduced)}, reduced,
      [&](Scalars &s, ValueRange args) {
        Type index = s.builder.getIndexType();
        Value channel = loopIndex(s, cLoop);
        if (*group > 1) {
          Value g = s.make<arith::DivUIOp>(loopIndex(s, 1), s.integer(index, perGroup));
          channel = s.add(s.mul(g, channelsPerGroup), channel);
        }
        SmallVector<Value> at = {loopIndex(s, 0), channel};
        Value inside;
        for (int64_t d = 0; d < spatial; ++d)
          at.push_back(inputPosition(s, (*axes)[d], loopIndex(s, 2 + d),
                                     loopIndex(s, cLoop + 1 + d), inside));
        Value value = extract(s, source, at);
        Value total = args.back(), sum;
        if (isFloat) {
          Value product = s.make<arith::MulFOp>(convertFloat(s, value, accumulator),
                                                convertFloat(s, args[0], accumulator));
          sum = s.make<arith::AddFOp>(total, product);
        } else {
          value = convertInteger(s, value, accumulator, x->isUnsigned());
          Value weight = convertInteger(s, args[0], accumulator, w->isUnsigned());
          if (xZeroValue)
            value = s.sub(value, xZeroValue);
          if (wZero)
            weight = s.sub(weight, convertInteger(s, args[1], accumulator, wZero->isUnsigned()));
          sum = s.add(total, s.mul(value, weight));
        }
        return SmallVector<Value>{s.select(inside, sum, total)};
      })[0];
}

/// Rounds a result in the accumulator's type.
void setRounded(Lowering &l, Operation *op, Value value, const Dims &dims, Type element) {
  if (cast<ShapedType>(value.getType()).getElementType() != element)
    value = pointwise(l, op->getLoc(), Input{value, identityMap(l, dims.size())}, dims, element,
                      [&](Scalars &s, ValueRange args) {
                        return convertFloat(s, args[0], element);
                      });
  l.setTensor(op, 0, value, dims, element);
}

LogicalResult lowerConv(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1);
  if (!isSupportedFloat(x->element) || w->element != x->element)
    return l.fail(op, "input and weight are not floats of one type");
  Dims dims;
  FailureOr<Value> y = convolve(l, op, x, w, l.operand(op, 2), nullptr, nullptr,
                                accumulatorType(x->element), dims);
  if (failed(y))
    return failure();
  setRounded(l, op, *y, dims, x->element);
  return success();
}

LogicalResult lowerConvInteger(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1);
  for (Lowered *value : {x, w})
    if (!value->isInteger() || value->element.getIntOrFloatBitWidth() != 8)
      return l.fail(op, "input and weight are not 8-bit integers");
  Dims dims;
  Type i32 = l.builder.getI32Type();
  FailureOr<Value> y =
      convolve(l, op, x, w, nullptr, l.operand(op, 2), l.operand(op, 3), i32, dims);
  if (failed(y))
    return failure();
  l.setTensor(op, 0, *y, dims, i32);
  return success();
}

/// y[n, g M/G + m, o] = sum over c, k of x[n, g C/G + c, i] w[g C/G + c, m, k] with
/// i s + k d - p = o: only the k for which i is whole and inside count.
LogicalResult lowerConvTranspose(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1), *bias = l.operand(op, 2);
  if (!isSupportedFloat(x->element) || w->element != x->element)
    return l.fail(op, "input and weight are not floats of one type");
  auto kernel = kernelOf(l, op, x, w);
  if (failed(kernel))
    return failure();
  FailureOr<int64_t> group = groupsOf(l, op, w);
  if (failed(group) || failed(l.unify(op, x->dims[1], w->dims[0], "the number of channels")))
    return failure();
  std::optional<int64_t> perGroup = staticDim(l.resolve(w->dims[1]));
  if (!perGroup)
    return l.fail(op, "the weight's channels are not static");
  size_t spatial = kernel->size();
  auto strides = perAxis(l, op, "strides", spatial, 1, 1);
  auto dilations = perAxis(l, op, "dilations", spatial, 1, 1);
  auto pads = perAxis(l, op, "pads", 2 * spatial, 0, 0);
  auto extra = perAxis(l, op, "output_padding", spatial, 0, 0);
  auto wanted = perAxis(l, op, "output_shape", spatial, 1, 0);
  FailureOr<AutoPad> mode = autoPad(l, op);
  if (failed(strides) || failed(dilations) || failed(pads) || failed(extra) || failed(wanted) ||
      failed(mode))
    return failure();

  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  Type i64 = l.builder.getI64Type();
  auto number = [&](int64_t value) { return scalars.integer(i64, value); };
  SmallVector<Axis> axes;
  Dims dims = {x->dims[0], l.indexAttr(*perGroup * *group)};
  for (size_t d = 0; d < spatial; ++d) {
    Axis axis;
    axis.kernel = (*kernel)[d];
    axis.stride = (*strides)[d];
    axis.dilation = (*dilations)[d];
    axis.size = l.i64Value(l.resolve(x->dims[d + 2]));
    Value one = number(1);
    Value extent = scalars.add(
        scalars.mul(scalars.sub(l.i64Value(axis.kernel), one), number(axis.dilation)), one);
    Value full = scalars.add(
        scalars.mul(scalars.sub(axis.size, one), number(axis.stride)),
        scalars.add(extent, number((*extra)[d])));
    bool isSame = *mode == AutoPad::SameUpper || *mode == AutoPad::SameLower;
    Value out;
    if ((*wanted)[d] || isSame) {
      out = (*wanted)[d] ? number((*wanted)[d]) : scalars.mul(axis.size, number(axis.stride));
      // What is cut off; more of it goes to the end unless SAME_LOWER.
      Value total = scalars.max(scalars.sub(full, out), number(0));
      axis.before = scalars.divide(
          *mode == AutoPad::SameLower ? scalars.add(total, one) : total, number(2));
    } else {
      bool padded = *mode == AutoPad::None;
      int64_t both = padded ? (*pads)[d] + (*pads)[spatial + d] : 0;
      out = scalars.sub(full, number(both));
      axis.before = number(padded ? (*pads)[d] : 0);
    }
    if (std::optional<int64_t> known = constantInteger(out); known && *known < 0)
      return l.fail(op, "pads take more than spatial dimension " + Twine(d) + " has");
    else if (!known)
      l.assertTrue(op, scalars.compare(arith::CmpIPredicate::sge, out, number(0)),
                   "pads take more than spatial dimension " + Twine(d) + " has");
    axis.out = l.toDim(out);
    dims.push_back(axis.out);
    axes.push_back(axis);
  }
  assertReadable(l, op, x, dims);
  assertReadable(l, op, w, dims);

  // Loops: n, m, o.., c, k.. The ranges of c and k come from an operand whose values
  // are not used: w is read at computed positions.
  int64_t cLoop = 2 + spatial, loops = cLoop + 1 + spatial;
  int64_t channelsPerGroup = *staticDim(l.resolve(w->dims[0])) / *group;
  Dims rangeDims = {l.indexAttr(channelsPerGroup)};
  rangeDims.append(kernel->begin(), kernel->end());
  SmallVector<AffineExpr> rangeExprs;
  SmallVector<int64_t> reduced;
  for (int64_t d = cLoop; d < loops; ++d) {
    rangeExprs.push_back(l.builder.getAffineDimExpr(d));
    reduced.push_back(d);
  }
  Type element = x->element, type = accumulatorType(element);
  Value range = l.emptyTensor(loc, rangeDims, l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(loops, 0, rangeExprs, l.builder.getContext());
  Value init = l.filledTensor(loc, dims, scalars.number(type, 0));
  if (bias) {
    if (bias->rank() != 1 || bias->element != element)
      return l.fail(op, "the bias is not a vector of the input's type");
    if (failed(l.unify(op, bias->dims[0], dims[1], "the bias and the result's channels")))
      return failure();
    AffineMap map = AffineMap::get(dims.size(), 0, l.builder.getAffineDimExpr(1));
    init = pointwise(l, loc, Input{l.tensor(bias), map}, dims, type,
                     [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], type); });
  }
  Value source = l.tensor(x), weight = l.tensor(w);
  Value y = generic(
      l, loc, Input{range, rangeMap}, Input{init, mapWithout(l, loops, reduced)}, reduced,
      [&](Scalars &s, ValueRange args) {
        Type index = s.builder.getIndexType();
        Value m = loopIndex(s, 1), channel = loopIndex(s, cLoop);
        if (*group > 1) {
          Value size = s.integer(index, *perGroup);
          Value g = s.make<arith::DivUIOp>(m, size);
          channel = s.add(s.mul(g, s.integer(index, channelsPerGroup)), channel);
          m = s.make<arith::RemUIOp>(m, size);
        }
        SmallVector<Value> at = {loopIndex(s, 0), channel}, weightAt = {channel, m};
        Value counts = s.boolean(true);
        for (size_t d = 0; d < spatial; ++d) {
          const Axis &axis = axes[d];
          Value k = loopIndex(s, cLoop + 1 + d);
          Value offset = s.sub(s.add(s.toI64(loopIndex(s, 2 + d)), axis.before),
                               s.mul(s.toI64(k), s.integer(i64, axis.dilation)));
          Value stride = s.integer(i64, axis.stride), zero = s.integer(i64, 0);
          Value position = s.divide(offset, stride);
          Value isWhole =
              s.compare(arith::CmpIPredicate::eq, s.remainder(offset, stride), zero);
          Value here = s.compare(arith::CmpIPredicate::ult, position, axis.size);
          counts = s.make<arith::AndIOp>(counts, s.make<arith::AndIOp>(isWhole, here));
          at.push_back(s.toIndex(s.select(here, position, zero)));
          weightAt.push_back(k);
        }
        Value product =
            s.make<arith::MulFOp>(convertFloat(s, extract(s, source, at), type),
                                  convertFloat(s, extract(s, weight, weightAt), type));
        Value sum = s.make<arith::AddFOp>(args[1], product);
        return SmallVector<Value>{s.select(counts, sum, args[1])};
      })[0];
  setRounded(l, op, y, dims, element);
  return success();
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

struct Pooling {
  SmallVector<Axis> axes;
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
  for (const Axis &axis : *axes)
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
  // The flat index of an element in x; column major among the spatial dims if asked.
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
          // NaN wins and stays: "unordered or greater", unless NaN is there already.
          Value greater = s.compare(arith::CmpFPredicate::UGT, value, best);
          Value isNumber = s.compare(arith::CmpFPredicate::ORD, best, best);
          isBetter = s.make<arith::AndIOp>(greater, isNumber);
        } else {
          isBetter = s.compare(x->isUnsigned() ? arith::CmpIPredicate::ugt
                                               : arith::CmpIPredicate::sgt,
                               value, best);
        }
        isBetter = s.make<arith::AndIOp>(isBetter, inside);
        SmallVector<Value> result = {s.select(isBetter, value, best)};
        if (wantsIndices) {
          // The first element counts even when it is the lowest number.
          Value isFirst = s.compare(arith::CmpIPredicate::slt, args[2], s.integer(i64, 0));
          Value takes =
              s.make<arith::OrIOp>(isBetter, s.make<arith::AndIOp>(isFirst, inside));
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
  // How many elements of each window count: with the padding, all that lie in the
  // padded input (a window of ceil_mode may reach past it).
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
            const Axis &axis = pooling->axes[d];
            Value position =
                s.add(s.mul(s.toI64(loopIndex(s, 2 + d)), s.integer(i64, axis.stride)),
                      s.mul(s.toI64(loopIndex(s, 2 + spatial + d)),
                            s.integer(i64, axis.dilation)));
            position = s.sub(position, axis.before);
            counts = s.make<arith::AndIOp>(
                counts, s.compare(arith::CmpIPredicate::slt, position, ends[d]));
          }
        }
        Value sum = s.make<arith::AddFOp>(args[1], value);
        Value count = s.make<arith::AddFOp>(args[2], s.number(type, 1));
        return SmallVector<Value>{s.select(inside, sum, args[1]),
                                  s.select(counts, count, args[2])};
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

/// Over all spatial dims, which stay as 1.
LogicalResult lowerGlobalPool(Lowering &l, Operation *op, bool isMax) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  if (failed(requireSpatial(l, op, x)))
    return failure();
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, x->rank()));
  Scalars scalars = l.scalars(loc);
  Value y = reduceAxes(l, loc, l.tensor(x), x->dims, axes,
                       scalars.number(type, isMax ? -INFINITY : 0),
                       [&](Scalars &s, ValueRange args) {
                         Value value = convertFloat(s, args[0], type);
                         return isMax ? s.make<arith::MaximumFOp>(args[1], value)
                                      : s.make<arith::AddFOp>(args[1], value);
                       });
  OpFoldResult count = l.product(ArrayRef<OpFoldResult>(x->dims).drop_front(2));
  Value countValue = l.i64Value(count);
  Dims rows = dimsWithout(x->dims, axes), kept = dimsKept(l, x->dims, axes);
  y = pointwise(l, loc, Input{y, identityMap(l, rows.size())}, rows, element,
                [&](Scalars &s, ValueRange args) {
                  Value value = args[0];
                  if (!isMax)
                    value = s.make<arith::DivFOp>(value,
                                                  s.make<arith::SIToFPOp>(type, countValue));
                  return convertFloat(s, value, element);
                });
  l.setTensor(op, 0, l.reshape(loc, y, rows, kept), kept, element);
  return success();
}

LogicalResult lowerGlobalMaxPool(Lowering &l, Operation *op) {
  return lowerGlobalPool(l, op, true);
}
LogicalResult lowerGlobalAveragePool(Lowering &l, Operation *op) {
  return lowerGlobalPool(l, op, false);
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
  Axis channels;
  channels.size = l.i64Value(l.resolve(x->dims[1]));
  channels.before = scalars.integer(l.builder.getI64Type(), (size - 1) / 2);
  assertReadable(l, op, x, x->dims);
  Value source = l.tensor(x);
  Value range = l.emptyTensor(loc, l.indexAttr(size), l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(rank + 1, 0, l.builder.getAffineDimExpr(rank));
  Value init = l.filledTensor(loc, x->dims, scalars.number(type, 0));
  Value sum = generic(
      l, loc, Input{range, rangeMap}, Input{init, mapWithout(l, rank + 1, rank)}, rank,
      [&](Scalars &s, ValueRange args) {
        SmallVector<Value> at;
        Value inside;
        for (int64_t d = 0; d < rank; ++d)
          at.push_back(d == 1 ? inputPosition(s, channels, loopIndex(s, 1), loopIndex(s, rank),
                                              inside)
                              : loopIndex(s, d));
        Value value = convertFloat(s, extract(s, source, at), type);
        Value total = s.make<arith::AddFOp>(args[1], s.make<arith::MulFOp>(value, value));
        return SmallVector<Value>{s.select(inside, total, args[1])};
      })[0];
  AffineMap identity = identityMap(l, rank);
  Value y = pointwise(
      l, loc, {{source, identity}, {sum, identity}}, x->dims, element,
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

void sq::registerWindows(LoweringTable &table) {
  table.add("Conv", 2, lowerConv);
  table.add("ConvInteger", 2, lowerConvInteger);
  table.add("ConvTranspose", 2, lowerConvTranspose);
  table.add("MaxPool", 1, lowerMaxPool);
  table.add("AveragePool", 1, lowerAveragePool);
  table.add("GlobalMaxPool", 1, lowerGlobalMaxPool);
  table.add("GlobalAveragePool", 1, lowerGlobalAveragePool);
  table.add("LRN", 1, lowerLRN);
}
