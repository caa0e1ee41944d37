/// DeformConv: a convolution whose window elements are moved by offsets.
///
/// First the moved elements of all windows are sampled, `[N, G, C/G, k..,
/// o..]`, then they are multiplied with the weight: each is sampled once for
/// all channels of the result, at the price of a tensor as large as the input
/// times the window.

#include "passes/lower_onnx/Interpolation.h"
#include "passes/lower_onnx/Windows.h"

using namespace mlir;
using namespace sq;

namespace {

/// The dims of `offset` (`perPoint` numbers for each window element) or `mask`.
LogicalResult checkMoves(Lowering &l, Operation *op, Lowered *value, StringRef what, Type element,
                         OpFoldResult batch, int64_t channels, ArrayRef<WindowAxis> axes) {
  if (value->element != element || value->rank() != static_cast<int64_t>(2 + axes.size()))
    return l.fail(op, "the " + what + " is not of the input's type and rank");
  if (failed(l.unify(op, value->dims[0], batch, "the batch of the " + what)) ||
      failed(l.unify(op, value->dims[1], l.indexAttr(channels), "the channels of the " + what)))
    return failure();
  for (auto [d, axis] : llvm::enumerate(axes))
    if (failed(l.unify(op, value->dims[2 + d], axis.out,
                       "spatial dimension " + Twine(d) + " of the " + what)))
      return failure();
  return success();
}

LogicalResult lowerDeformConv(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *w = l.operand(op, 1), *offset = l.operand(op, 2);
  Lowered *bias = l.operand(op, 3), *mask = l.operand(op, 4);
  if (!isSupportedFloat(x->element) || w->element != x->element)
    return l.fail(op, "input and weight are not floats of one type");
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
  std::optional<int64_t> window = staticCount(*kernel);
  std::optional<int64_t> channels = staticDim(l.resolve(x->dims[1]));
  int64_t offsetGroups = l.intAttr(op, "offset_group", 1);
  if (!window || !channels)
    return l.fail(op, "the window or the number of channels is not static");
  if (offsetGroups < 1 || *channels % offsetGroups)
    return l.fail(op, "offset_group (" + Twine(offsetGroups) + ") does not divide the " +
                          Twine(*channels) + " channels");
  Type element = x->element, type = accumulatorType(element);
  if (failed(checkMoves(l, op, offset, "offset", element, x->dims[0],
                        offsetGroups * *window * spatial, *axes)) ||
      (mask &&
       failed(checkMoves(l, op, mask, "mask", element, x->dims[0], offsetGroups * *window, *axes))))
    return failure();
  int64_t perGroup = *channels / *group, perOffsetGroup = *channels / offsetGroups;
  int64_t outPerGroup = *staticDim(l.resolve(w->dims[0])) / *group;
  Dims outs;
  for (const WindowAxis &axis : *axes)
    outs.push_back(axis.out);
  Dims dims = {x->dims[0], w->dims[0]};
  dims.append(outs);
  assertReadable(l, op, x, dims);

  // Loops: n, g, c, k.., o..
  Location loc = op->getLoc();
  Dims sampledDims = {x->dims[0], l.indexAttr(*group), l.indexAttr(perGroup)};
  sampledDims.append(kernel->begin(), kernel->end());
  sampledDims.append(outs);
  Value source = l.tensor(x), moves = l.tensor(offset), factors = mask ? l.tensor(mask) : Value();
  Value sampled = pointwise(l, loc, {}, sampledDims, type, [&](Scalars &s, ValueRange) {
    Type index = s.builder.getIndexType();
    Value n = loopIndex(s, 0);
    Value channel = s.add(s.mul(loopIndex(s, 1), s.integer(index, perGroup)), loopIndex(s, 2));
    // The element's number in offset and mask: [offset group, k..].
    Value number = s.make<arith::DivUIOp>(channel, s.integer(index, perOffsetGroup));
    for (int64_t d = 0; d < spatial; ++d)
      number =
          s.add(s.mul(number, s.integer(index, *staticDim((*kernel)[d]))), loopIndex(s, 3 + d));
    auto numberAt = [&](Value tensor, Value which) {
      SmallVector<Value> at = {n, which};
      for (int64_t d = 0; d < spatial; ++d)
        at.push_back(loopIndex(s, 3 + spatial + d));
      return convertFloat(s, extract(s, tensor, at), type);
    };
    SmallVector<SmallVector<Tap>> taps;
    for (int64_t d = 0; d < spatial; ++d) {
      Type i64 = s.builder.getI64Type();
      const WindowAxis &axis = (*axes)[d];
      Value start = s.mul(s.toI64(loopIndex(s, 3 + spatial + d)), s.integer(i64, axis.stride));
      Value step = s.mul(s.toI64(loopIndex(s, 3 + d)), s.integer(i64, axis.dilation));
      Value position = s.sub(s.add(start, step), s.bring(axis.before));
      Value which = s.add(s.mul(number, s.integer(index, spatial)), s.integer(index, d));
      Value moved =
          s.make<arith::AddFOp>(s.make<arith::SIToFPOp>(type, position), numberAt(moves, which));
      Value size = s.bring(axis.size);
      Value past = s.make<arith::AddFOp>(s.make<arith::SIToFPOp>(type, size), s.number(type, 1));
      moved = clampFloat(s, moved, s.number(type, -2), past);
      taps.push_back(linearTaps(s, moved, size, Border::Zeros, false));
    }
    Value value = weightedSum(s, source, {n, channel}, taps, type, false);
    return factors ? s.make<arith::MulFOp>(value, numberAt(factors, number)) : value;
  });

  // Loops: n, g, m, o.., c, k..
  MLIRContext *context = l.builder.getContext();
  int64_t cLoop = 3 + spatial, loops = cLoop + 1 + spatial;
  auto mapOf = [&](std::initializer_list<int64_t> leading, int64_t from, int64_t count,
                   int64_t from2, int64_t count2) {
    SmallVector<AffineExpr> exprs;
    for (int64_t d : leading)
      exprs.push_back(l.builder.getAffineDimExpr(d));
    for (int64_t d = 0; d < count; ++d)
      exprs.push_back(l.builder.getAffineDimExpr(from + d));
    for (int64_t d = 0; d < count2; ++d)
      exprs.push_back(l.builder.getAffineDimExpr(from2 + d));
    return AffineMap::get(loops, 0, exprs, context);
  };
  Dims grouped = {x->dims[0], l.indexAttr(*group), l.indexAttr(outPerGroup)};
  grouped.append(outs);
  Dims weightDims = {l.indexAttr(*group), l.indexAttr(outPerGroup), l.indexAttr(perGroup)};
  weightDims.append(kernel->begin(), kernel->end());
  Value weight = l.reshape(loc, l.tensor(w), w->dims, weightDims);
  Value init = l.filledTensor(loc, grouped, l.scalars(loc).number(type, 0));
  SmallVector<int64_t> reduced = llvm::to_vector(llvm::seq<int64_t>(cLoop, loops));
  Value y = generic(
      l, loc,
      {{sampled, mapOf({0, 1, cLoop}, cLoop + 1, spatial, 3, spatial)},
       {weight, mapOf({1, 2, cLoop}, cLoop + 1, spatial, 0, 0)}},
      Input{init, mapWithout(l, loops, reduced)}, reduced, [&](Scalars &s, ValueRange args) {
        Value product = s.make<arith::MulFOp>(args[0], convertFloat(s, args[1], type));
        return SmallVector<Value>{s.make<arith::AddFOp>(args[2], product)};
      })[0];
  y = l.reshape(loc, y, grouped, dims);
  if (bias) {
    if (bias->rank() != 1 || bias->element != element)
      return l.fail(op, "the bias is not a vector of the input's type");
    if (failed(l.unify(op, bias->dims[0], w->dims[0], "the bias and the result's channels")))
      return failure();
    AffineMap map = AffineMap::get(dims.size(), 0, l.builder.getAffineDimExpr(1));
    y = pointwise(l, loc, {{y, identityMap(l, dims.size())}, {l.tensor(bias), map}}, dims, type,
                  [&](Scalars &s, ValueRange args) {
                    return s.make<arith::AddFOp>(args[0], convertFloat(s, args[1], type));
                  });
  }
  setRounded(l, op, y, dims, element);
  return success();
}

} // namespace

void sq::registerDeformConv(LoweringTable &table) { table.add("DeformConv", 3, lowerDeformConv); }
