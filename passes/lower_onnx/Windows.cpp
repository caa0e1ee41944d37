/// What the windows of convolutions and pools share.

#include "passes/lower_onnx/Windows.h"

using namespace mlir;
using namespace sq;

AffineMap sq::identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

FailureOr<SmallVector<int64_t>> sq::perAxis(Lowering &l, Operation *op, StringRef name,
                                            size_t count, int64_t min, int64_t absent) {
  std::optional<SmallVector<int64_t>> given = l.intsAttr(op, name);
  if (!given || given->empty())
    return SmallVector<int64_t>(count, absent);
  if (given->size() != count)
    return l.fail(op, name + " has " + Twine(given->size()) + " values; expected " + Twine(count));
  for (int64_t value : *given)
    if (value < min || value > INT32_MAX)
      return l.fail(op, name + " has the value " + Twine(value));
  return *given;
}

FailureOr<AutoPad> sq::autoPad(Lowering &l, Operation *op) {
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

FailureOr<SmallVector<WindowAxis>> sq::slidingAxes(Lowering &l, Operation *op, Lowered *x,
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

  SmallVector<WindowAxis> axes;
  for (size_t d = 0; d < count; ++d) {
    WindowAxis axis;
    axis.kernel = kernel[d];
    axis.stride = (*strides)[d];
    axis.dilation = (*dilations)[d];
    axis.size = l.i64Value(l.resolve(x->dims[d + 2]));
    Value zero = number(0), one = number(1), stride = number(axis.stride);
    // From the first to the last element of the window, both included.
    Value extent = s.add(s.mul(s.sub(l.i64Value(kernel[d]), one), number(axis.dilation)), one);
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
                   "the window is larger than spatial dimension " + Twine(d) + " with its padding");
    }
    Value steps = s.divide(ceil ? s.add(room, s.sub(stride, one)) : room, stride);
    // A window that would start past the input and its left padding is left
    // out.
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

Value sq::inputPosition(Scalars &s, const WindowAxis &axis, Value o, Value k, Value &inside) {
  Type i64 = s.builder.getI64Type();
  Value position = s.add(s.mul(s.toI64(o), s.integer(i64, axis.stride)),
                         s.mul(s.toI64(k), s.integer(i64, axis.dilation)));
  position = s.sub(position, axis.before);
  Value here = s.compare(arith::CmpIPredicate::ult, position, axis.size);
  inside = inside ? s.make<arith::AndIOp>(inside, here) : here;
  return s.toIndex(s.select(here, position, s.integer(i64, 0)));
}

Value sq::windowAt(Scalars &s, const WindowAxis &axis, Value i, Value k, Value &inside) {
  Type i64 = s.builder.getI64Type();
  Value stride = s.integer(i64, axis.stride), zero = s.integer(i64, 0);
  Value offset = s.sub(s.add(s.toI64(i), s.bring(axis.before)),
                       s.mul(s.toI64(k), s.integer(i64, axis.dilation)));
  Value window = s.divide(offset, stride);
  Value isWhole = s.compare(arith::CmpIPredicate::eq, s.remainder(offset, stride), zero);
  Value here = s.make<arith::AndIOp>(
      isWhole, s.compare(arith::CmpIPredicate::ult, window, s.bring(axis.size)));
  inside = inside ? s.make<arith::AndIOp>(inside, here) : here;
  return s.select(here, window, zero);
}

LogicalResult sq::requireSpatial(Lowering &l, Operation *op, Lowered *x) {
  if (x->rank() >= 3)
    return success();
  return l.fail(op, "the input has rank " + Twine(x->rank()) + "; it needs [N, C, D1, ...]");
}

void sq::assertReadable(Lowering &l, Operation *op, Lowered *x, ArrayRef<OpFoldResult> dims) {
  Dims sizes;
  for (OpFoldResult dim : x->dims)
    sizes.push_back(l.resolve(dim));
  assertNotEmpty(l, op, sizes, dims);
}

void sq::setRounded(Lowering &l, Operation *op, Value value, const Dims &dims, Type element) {
  if (cast<ShapedType>(value.getType()).getElementType() != element)
    value =
        pointwise(l, op->getLoc(), Input{value, identityMap(l, dims.size())}, dims, element,
                  [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], element); });
  l.setTensor(op, 0, value, dims, element);
}

FailureOr<SmallVector<OpFoldResult>> sq::kernelOf(Lowering &l, Operation *op, Lowered *x,
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

FailureOr<int64_t> sq::groupsOf(Lowering &l, Operation *op, Lowered *w) {
  int64_t group = l.intAttr(op, "group", 1);
  std::optional<int64_t> channels = staticDim(l.resolve(w->dims[0]));
  if (!channels || group < 1 || *channels % group)
    return l.fail(op, "group (" + Twine(group) +
                          ") does not divide a static number of channels of the weight");
  return group;
}

FailureOr<int64_t> sq::groupsOf(Lowering &l, Operation *op, Lowered *x, Lowered *w) {
  FailureOr<int64_t> group = groupsOf(l, op, w);
  if (failed(group) || failed(l.unify(op, x->dims[1], l.multiply(w->dims[1], l.indexAttr(*group)),
                                      "the number of channels")))
    return failure();
  return group;
}
