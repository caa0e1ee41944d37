/// Conv, ConvInteger, ConvTranspose; NhwcConv of onnxruntime.
///
/// Each is one generic that reads the input at computed positions; positions in
/// the padding are clamped and do not count. These are the plain correct forms:
/// transformers have at most a patch embedding of this kind.

#include "passes/lower_onnx/Quantization.h"
#include "passes/lower_onnx/QuantizedProducts.h"
#include "passes/lower_onnx/Windows.h"

using namespace mlir;
using namespace sq;

namespace {

/// y[n, m, o] = sum over c, k of x[n, g C/G + c, o s + k d - p] w[m, c, k] (+
/// b[m]), where g = m / (M / G). `xZero` and `wZero` are subtracted from
/// integers.
FailureOr<Value> convolve(Lowering &l, Operation *op, Lowered *x, Lowered *w, Lowered *bias,
                          Lowered *xZero, Lowered *wZero, Type accumulator, Dims &dims) {
  auto kernel = kernelOf(l, op, x, w);
  if (failed(kernel))
    return failure();
  FailureOr<int64_t> group = groupsOf(l, op, x, w);
  if (failed(group))
    return failure();
  auto axes = slidingAxes(l, op, x, *kernel);
  if (failed(axes))
    return failure();
  int64_t spatial = kernel->size();
  dims = {x->dims[0], w->dims[0]};
  for (const WindowAxis &axis : *axes)
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
  Value init = l.filledTensor(
      loc, dims, isFloat ? scalars.number(accumulator, 0) : scalars.integer(accumulator, 0));
  if (bias) {
    if (bias->rank() != 1 || bias->element != x->element)
      return l.fail(op, "the bias is not a vector of the input's type");
    if (failed(l.unify(op, bias->dims[0], w->dims[0], "the bias and the result's channels")))
      return failure();
    AffineMap map = AffineMap::get(dims.size(), 0, l.builder.getAffineDimExpr(1));
    init = pointwise(
        l, loc, Input{l.tensor(bias), map}, dims, accumulator,
        [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], accumulator); });
  }
  SmallVector<Input> inputs = {{l.tensor(w), AffineMap::get(loops, 0, weightExprs, context)}};
  if (wZero) {
    bool isVector = wZero->rank() == 1 && !isOne(wZero->dims[0]);
    if (wZero->rank() > 1 ||
        (isVector && failed(l.unify(op, wZero->dims[0], w->dims[0], "the weight's zero point"))))
      return l.fail(op, "the weight's zero point is not a scalar or one per channel");
    SmallVector<AffineExpr> exprs(wZero->rank(), isVector ? l.builder.getAffineDimExpr(1)
                                                          : l.builder.getAffineConstantExpr(0));
    inputs.push_back({l.tensor(wZero), AffineMap::get(loops, 0, exprs, context)});
  }
  Value xZeroValue;
  if (xZero) {
    if (staticCount(xZero->dims) != 1)
      return l.fail(op, "the input's zero point is not one element");
    xZeroValue =
        convertInteger(scalars, readScalar(l, loc, xZero), accumulator, xZero->isUnsigned());
  }
  return generic(l, loc, inputs, Input{init, mapWithout(l, loops, reduced)}, reduced,
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
                       weight = s.sub(weight,
                                      convertInteger(s, args[1], accumulator, wZero->isUnsigned()));
                     sum = s.add(total, s.mul(value, weight));
                   }
                   return SmallVector<Value>{s.select(inside, sum, total)};
                 })[0];
}

LogicalResult lowerConv(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1);
  if (!isSupportedFloat(x->element) || w->element != x->element)
    return l.fail(op, "input and weight are not floats of one type");
  Dims dims;
  FailureOr<Value> y =
      convolve(l, op, x, w, l.operand(op, 2), nullptr, nullptr, accumulatorType(x->element), dims);
  if (failed(y))
    return failure();
  if (dequantizeOf(op->getOperand(0)) && dequantizeOf(op->getOperand(1)))
    noteFloat(l, op, "convolutions have no integer kernel");
  setRounded(l, op, *y, dims, x->element);
  return success();
}

/// onnxruntime's Conv of `[N, D1, .., C]` with an ordinary weight `[M, C / group, ..]`.
LogicalResult lowerNhwcConv(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1);
  if (!isSupportedFloat(x->element) || w->element != x->element)
    return l.fail(op, "input and weight are not floats of one type");
  if (failed(requireSpatial(l, op, x)))
    return failure();
  // Channels to the front, and back.
  int64_t rank = x->rank();
  SmallVector<int64_t> front = {0, rank - 1}, back = {0};
  for (int64_t d = 1; d < rank - 1; ++d) {
    front.push_back(d);
    back.push_back(d + 1);
  }
  back.push_back(1);
  auto permuted = [](const Dims &dims, ArrayRef<int64_t> perm) {
    return llvm::map_to_vector<6>(perm, [&](int64_t d) { return dims[d]; });
  };
  Location loc = op->getLoc();
  Lowered moved;
  moved.element = x->element;
  moved.tensor = l.transpose(loc, l.tensor(x), x->dims, front);
  moved.stored = moved.dims = permuted(x->dims, front);
  Dims dims;
  FailureOr<Value> y = convolve(l, op, &moved, w, l.operand(op, 2), nullptr, nullptr,
                                accumulatorType(x->element), dims);
  if (failed(y))
    return failure();
  setRounded(l, op, l.transpose(loc, *y, dims, back), permuted(dims, back), x->element);
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

/// y[n, g M/G + m, o] = sum over c, k of x[n, g C/G + c, i] w[g C/G + c, m, k]
/// with i s + k d - p = o: only the k for which i is whole and inside count.
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
  SmallVector<WindowAxis> axes;
  Dims dims = {x->dims[0], l.indexAttr(*perGroup * *group)};
  for (size_t d = 0; d < spatial; ++d) {
    WindowAxis axis;
    axis.kernel = (*kernel)[d];
    axis.stride = (*strides)[d];
    axis.dilation = (*dilations)[d];
    axis.size = l.i64Value(l.resolve(x->dims[d + 2]));
    Value one = number(1);
    Value extent = scalars.add(
        scalars.mul(scalars.sub(l.i64Value(axis.kernel), one), number(axis.dilation)), one);
    Value full = scalars.add(scalars.mul(scalars.sub(axis.size, one), number(axis.stride)),
                             scalars.add(extent, number((*extra)[d])));
    bool isSame = *mode == AutoPad::SameUpper || *mode == AutoPad::SameLower;
    Value out;
    if ((*wanted)[d] || isSame) {
      out = (*wanted)[d] ? number((*wanted)[d]) : scalars.mul(axis.size, number(axis.stride));
      // What is cut off; more of it goes to the end unless SAME_LOWER.
      Value total = scalars.max(scalars.sub(full, out), number(0));
      axis.before =
          scalars.divide(*mode == AutoPad::SameLower ? scalars.add(total, one) : total, number(2));
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

  // Loops: n, m, o.., c, k.. The ranges of c and k come from an operand whose
  // values are not used: w is read at computed positions.
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
  Value y =
      generic(l, loc, Input{range, rangeMap}, Input{init, mapWithout(l, loops, reduced)}, reduced,
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
                Value counts;
                for (size_t d = 0; d < spatial; ++d) {
                  Value k = loopIndex(s, cLoop + 1 + d);
                  at.push_back(s.toIndex(windowAt(s, axes[d], loopIndex(s, 2 + d), k, counts)));
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

} // namespace

void sq::registerConvolutions(LoweringTable &table) {
  table.add("Conv", 2, lowerConv);
  table.addMicrosoft("NhwcConv", 2, lowerNhwcConv);
  table.add("ConvInteger", 2, lowerConvInteger);
  table.add("ConvTranspose", 2, lowerConvTranspose);
}
