/// CenterCropPad and Col2Im.

#include "passes/lower_onnx/Interpolation.h"
#include "passes/lower_onnx/Windows.h"

using namespace mlir;
using namespace sq;

namespace {

/// The middle of each dim of `axes` in the size that `shape` gives; what is
/// larger than the input is surrounded by zeros. An odd element more or less is
/// at the end.
LogicalResult lowerCenterCropPad(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<SmallVector<Value>> shape = l.knownElements(op, 1, "shape");
  if (failed(shape))
    return failure();
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  if (!isSupportedFloat(element) && !isa<IntegerType>(element))
    return l.fail(op, "this element type has no zero");
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(x->rank()));
  if (std::optional<SmallVector<int64_t>> given = l.intsAttr(op, "axes")) {
    FailureOr<SmallVector<int64_t>> normalized = l.normalizeAxes(op, *given, x->rank());
    if (failed(normalized))
      return failure();
    axes = *normalized;
  }
  if (shape->size() != axes.size())
    return l.fail(op, "shape has " + Twine(shape->size()) + " elements for " + Twine(axes.size()) +
                          " axes");
  Dims dims = x->dims;
  for (auto [size, axis] : llvm::zip(*shape, axes)) {
    FailureOr<OpFoldResult> dim = sizeFrom(l, op, size, "the size of dimension " + Twine(axis));
    if (failed(dim))
      return failure();
    dims[axis] = *dim;
  }
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;

  // Position in the input = position in the result + offset; null where they
  // are equal.
  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  SmallVector<Value> offsets(x->rank()), sizes(x->rank());
  for (int64_t d : axes) {
    OpFoldResult in = l.resolve(x->dims[d]);
    if (in == l.resolve(dims[d]))
      continue;
    sizes[d] = l.i64Value(in);
    // (Rounded to zero on both sides of it.)
    offsets[d] =
        scalars.divide(scalars.sub(sizes[d], l.i64Value(dims[d])), scalars.integer(i64, 2));
  }
  if (llvm::none_of(offsets, [](Value offset) { return bool(offset); })) {
    l.alias(op->getResult(0), x);
    return success();
  }
  if (isStaticallyEmpty(x->dims)) {
    l.setSplat(op, 0, zeroScalar(scalars, element), dims, x->element);
    return success();
  }
  assertReadable(l, op, x, dims);
  Value source = l.tensor(x);
  Value y = pointwise(l, loc, {}, dims, element, [&](Scalars &s, ValueRange) {
    SmallVector<Value> at;
    Value inside = s.boolean(true);
    for (auto [d, offset] : llvm::enumerate(offsets)) {
      at.push_back(loopIndex(s, d));
      if (!offset)
        continue;
      Tap tap = tapAt(s, s.add(s.toI64(at.back()), s.bring(offset)), s.bring(sizes[d]),
                      Border::Zeros, false);
      inside = s.make<arith::AndIOp>(inside, tap.inside);
      at.back() = tap.index;
    }
    return s.select(inside, extract(s, source, at), zeroScalar(s, element));
  });
  l.setTensor(op, 0, y, dims, x->element);
  return success();
}

/// x `[N, C * prod(block), windows]` holds the elements of all windows of an
/// image; each element of the result is the sum of those that come from it:
/// y[n, c, i] = sum over k of x[n, c B + k, o], where o stride + k dilation -
/// pad = i.
LogicalResult lowerCol2Im(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "this element type cannot be added");
  FailureOr<SmallVector<Value>> image = l.knownElements(op, 1, "image_shape");
  FailureOr<SmallVector<Value>> block = l.knownElements(op, 2, "block_shape");
  if (failed(image) || failed(block))
    return failure();
  int64_t spatial = image->size();
  if (x->rank() != 3 || spatial < 1 || static_cast<int64_t>(block->size()) != spatial)
    return l.fail(op, "the input has rank " + Twine(x->rank()) + ", image_shape " + Twine(spatial) +
                          " and block_shape " + Twine(block->size()) +
                          " elements; expected rank 3 and equal numbers");
  auto strides = perAxis(l, op, "strides", spatial, 1, 1);
  auto dilations = perAxis(l, op, "dilations", spatial, 1, 1);
  auto pads = perAxis(l, op, "pads", 2 * spatial, 0, 0);
  if (failed(strides) || failed(dilations) || failed(pads))
    return failure();

  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  Type i64 = l.builder.getI64Type();
  auto number = [&](int64_t value) { return scalars.integer(i64, value); };
  Dims imageDims, blockDims;
  OpFoldResult blockSize = l.indexAttr(1);
  for (int64_t d = 0; d < spatial; ++d) {
    FailureOr<OpFoldResult> size = sizeFrom(l, op, (*image)[d], "image_shape " + Twine(d));
    FailureOr<OpFoldResult> window = sizeFrom(l, op, (*block)[d], "block_shape " + Twine(d));
    if (failed(size) || failed(window))
      return failure();
    imageDims.push_back(*size);
    blockDims.push_back(*window);
    blockSize = l.multiply(blockSize, *window);
  }
  Value rows = l.i64Value(x->dims[1]), perChannel = l.i64Value(blockSize);
  Value rest = scalars.remainder(rows, perChannel);
  Value isWhole = scalars.make<arith::AndIOp>(
      scalars.compare(arith::CmpIPredicate::eq, rest, number(0)),
      scalars.compare(arith::CmpIPredicate::sgt, perChannel, number(0)));
  if (constantInteger(isWhole) == 0)
    return l.fail(op, "block_shape has " + Twine(*staticDim(blockSize)) +
                          " elements, which does not divide dimension 1 of the input (" +
                          Twine(*constantInteger(rows)) + ")");
  l.assertTrue(op, isWhole, "the size of a block does not divide dimension 1 of the input");
  Dims dims = {x->dims[0], l.toDim(scalars.divide(rows, perChannel))};
  dims.append(imageDims);
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;

  SmallVector<WindowAxis> axes;
  OpFoldResult windows = l.indexAttr(1);
  for (int64_t d = 0; d < spatial; ++d) {
    WindowAxis axis;
    axis.stride = (*strides)[d];
    axis.dilation = (*dilations)[d];
    axis.before = number((*pads)[d]);
    // Here the windows are what is read.
    Value reach =
        scalars.mul(scalars.sub(l.i64Value(blockDims[d]), number(1)), number(axis.dilation));
    Value room = scalars.sub(
        scalars.add(l.i64Value(dims[2 + d]), number((*pads)[d] + (*pads)[spatial + d] - 1)), reach);
    Value fits = scalars.compare(arith::CmpIPredicate::sge, room, number(0));
    if (constantInteger(fits) == 0)
      return l.fail(op, "a block is larger than dimension " + Twine(d) +
                            " of the image with its padding");
    l.assertTrue(op, fits,
                 "a block is larger than dimension " + Twine(d) + " of the image with its padding");
    axis.size = scalars.add(scalars.divide(room, number(axis.stride)), number(1));
    windows = l.multiply(windows, l.toDim(axis.size));
    axes.push_back(axis);
  }
  if (failed(l.unify(op, windows, x->dims[2], "the number of windows")))
    return failure();
  assertReadable(l, op, x, dims);

  // Loops: n, c, i.., k..
  int64_t loops = 2 + 2 * spatial;
  SmallVector<AffineExpr> rangeExprs;
  SmallVector<int64_t> reduced;
  SmallVector<Value> blockSizes;
  for (int64_t d = 0; d < spatial; ++d) {
    reduced.push_back(2 + spatial + d);
    rangeExprs.push_back(l.builder.getAffineDimExpr(reduced.back()));
    blockSizes.push_back(l.indexValue(blockDims[d]));
  }
  Value range = l.emptyTensor(loc, blockDims, l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(loops, 0, rangeExprs, l.builder.getContext());
  Type element = signless(x->element), type = accumulatorType(element);
  Value source = l.tensor(x), init = l.filledTensor(loc, dims, zeroScalar(scalars, type));
  Value y = generic(l, loc, Input{range, rangeMap}, Input{init, mapWithout(l, loops, reduced)},
                    reduced, [&](Scalars &s, ValueRange args) {
                      Value row = loopIndex(s, 1), window = s.integer(i64, 0), inside;
                      for (int64_t d = 0; d < spatial; ++d) {
                        Value k = loopIndex(s, reduced[d]);
                        row = s.add(s.mul(row, s.bring(blockSizes[d])), k);
                        Value position = windowAt(s, axes[d], loopIndex(s, 2 + d), k, inside);
                        window = s.add(s.mul(window, s.bring(axes[d].size)), position);
                      }
                      Value value = extract(s, source, {loopIndex(s, 0), row, s.toIndex(window)});
                      Value sum = isa<FloatType>(type)
                                      ? s.make<arith::AddFOp>(args[1], convertFloat(s, value, type))
                                      : s.add(args[1], value);
                      return SmallVector<Value>{s.select(inside, sum, args[1])};
                    })[0];
  if (isa<FloatType>(type))
    setRounded(l, op, y, dims, element);
  else
    l.setTensor(op, 0, y, dims, x->element);
  return success();
}

} // namespace

void sq::registerImages(LoweringTable &table) {
  table.add("CenterCropPad", 2, lowerCenterCropPad);
  table.add("Col2Im", 3, lowerCol2Im);
}
