/// DFT and STFT: products with a matrix of cosines and sines.
///
/// Quadratic in the length, but a matrix product. The matrix is made anew in every run,
/// which costs about as much as ten rows of the product.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/RunTimeAxes.h"
#include "passes/lower_onnx/Signals.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

namespace {

using P = arith::CmpIPredicate;

/// y[q] = sum over r of x[r] e^(-2 pi i r q / n), or with + and divided by n.
/// All sizes are numbers of complex (or real) elements.
struct Transform {
  OpFoldResult from, to; // how many r and q there are
  OpFoldResult n;
  int64_t fromParts, toParts; // 1 real, 2 complex
  bool inverse;
  /// x is the first half of a spectrum whose other half is its mirror image.
  bool halfSpectrum;
};

/// `[from * fromParts, to * toParts]`
Value fourierMatrix(Lowering &l, Location loc, const Transform &t, Type type) {
  Type i64 = l.builder.getI64Type(), f64 = l.builder.getF64Type();
  Value n = l.i64Value(t.n);
  auto table = [&](bool isSin) {
    return pointwise(l, loc, {}, t.n, f64, [&](Scalars &s, ValueRange) {
      Turn value = turn(s, s.toI64(loopIndex(s, 0)), s.bring(n));
      return isSin ? value.sin : value.cos;
    });
  };
  Value cosines = table(false), sines = table(true);
  OpFoldResult fromParts = l.indexAttr(t.fromParts), toParts = l.indexAttr(t.toParts);
  Dims dims = {t.from, fromParts, t.to, toParts};
  Value matrix = pointwise(l, loc, {}, dims, type, [&](Scalars &s, ValueRange) {
    Type index = s.builder.getIndexType();
    Value size = s.bring(n), zero = s.number(f64, 0);
    Value r = s.toI64(loopIndex(s, 0)), q = s.toI64(loopIndex(s, 2));
    Value at = s.toIndex(s.remainder(s.mul(r, q), size));
    Value value = extract(s, cosines, at);
    if (t.fromParts + t.toParts > 2) {
      Value sin = extract(s, sines, at);
      Value minus = s.make<arith::NegFOp>(sin);
      Value imaginary = s.compare(P::eq, loopIndex(s, 1), s.integer(index, 1));
      Value part = t.inverse ? s.select(imaginary, minus, sin) : s.select(imaginary, sin, minus);
      Value isSame = s.compare(P::eq, loopIndex(s, 1), loopIndex(s, 3));
      value = s.select(isSame, value, part);
    }
    // What goes beyond n is not part of the transform, nor of half of a
    // spectrum.
    Value counts = s.compare(P::slt, r, size);
    if (t.halfSpectrum) {
      Value twice = s.mul(r, s.integer(i64, 2));
      counts = s.compare(P::sle, twice, size);
      Value isMiddle = s.compare(P::eq, s.remainder(twice, size), s.integer(i64, 0));
      Value doubled = s.make<arith::AddFOp>(value, value);
      value = s.select(isMiddle, value, doubled);
    }
    value = s.select(counts, value, zero);
    if (t.inverse)
      value = s.make<arith::DivFOp>(value, s.make<arith::SIToFPOp>(f64, size));
    return convertFloat(s, value, type);
  });
  return l.reshape(loc, matrix, dims, {l.multiply(t.from, fromParts), l.multiply(t.to, toParts)});
}

/// Rows `[rows, from * fromParts]` in the accumulator's type to `[rows, to *
/// toParts]`.
Value transformRows(Lowering &l, Location loc, Value rows, OpFoldResult count, const Transform &t) {
  Type type = cast<ShapedType>(rows.getType()).getElementType();
  Value matrix = fourierMatrix(l, loc, t, type);
  Dims dims = {count, l.multiply(t.to, l.indexAttr(t.toParts))};
  if (!type.isF64()) {
    Value init = l.emptyTensor(loc, dims, type);
    return MatmulOp::create(l.builder, loc, TypeRange(init.getType()), rows, matrix, init)
        .getResult()[0];
  }
  // There is no matrix kernel of f64 on every target.
  auto mapOf = [&](unsigned a, unsigned b) {
    return AffineMap::get(3, 0, {l.builder.getAffineDimExpr(a), l.builder.getAffineDimExpr(b)},
                          l.builder.getContext());
  };
  Value init = l.filledTensor(loc, dims, l.scalars(loc).number(type, 0));
  return generic(l, loc, {{rows, mapOf(0, 2)}, {matrix, mapOf(2, 1)}}, Input{init, mapOf(0, 1)}, 2,
                 [&](Scalars &s, ValueRange args) {
                   Value product = s.make<arith::MulFOp>(args[0], args[1]);
                   return SmallVector<Value>{s.make<arith::AddFOp>(args[2], product)};
                 })[0];
}

Value converted(Lowering &l, Location loc, Value tensor, ArrayRef<OpFoldResult> dims, Type type) {
  if (cast<ShapedType>(tensor.getType()).getElementType() == type)
    return tensor;
  return pointwise(l, loc, Input{tensor, mapWithout(l, dims.size(), {})}, dims, type,
                   [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], type); });
}

/// 1 for real and 2 for complex numbers: the last dim.
FailureOr<int64_t> partsOf(Lowering &l, Operation *op, Lowered *x) {
  std::optional<int64_t> parts =
      x->rank() ? staticDim(l.resolve(x->dims.back())) : std::optional<int64_t>();
  if (!isSupportedFloat(x->element) || !parts || (*parts != 1 && *parts != 2))
    return l.fail(op, "the input is not of floats whose last dimension is 1 (real) or 2 (complex)");
  return *parts;
}

/// A positive size, asserted at run time where it is not known.
FailureOr<OpFoldResult> positiveSize(Lowering &l, Operation *op, Value size, StringRef what) {
  Scalars s = l.scalars(op->getLoc());
  Value one = s.integer(l.builder.getI64Type(), 1);
  // The square of twice the largest, elements of a matrix, is a number of 64 bits.
  constexpr int64_t kLargest = int64_t(1) << 30;
  if (std::optional<int64_t> known = constantInteger(size); known && (*known < 1 || *known > kLargest))
    return l.fail(op, what + " is " + Twine(*known) + "; it must be from 1 to " + Twine(kLargest));
  l.assertTrue(op, s.compare(P::sge, size, one), what + " is not positive");
  return l.toDim(s.max(size, one));
}

LogicalResult lowerDFT(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<int64_t> parts = partsOf(l, op, x);
  if (failed(parts))
    return failure();
  int64_t rank = x->rank();
  if (rank < 2)
    return l.fail(op, "the input has rank " + Twine(rank) + "; it needs at least 2");
  bool inverse = l.intAttr(op, "inverse", 0), onesided = l.intAttr(op, "onesided", 0);
  Location loc = op->getLoc();
  Scalars s = l.scalars(loc);
  Type i64 = l.builder.getI64Type();
  FailureOr<Value> axis = s.integer(i64, l.intAttr(op, "axis", l.opset() < 20 ? 1 : -2));
  if (l.operand(op, 2) && failed(axis = oneInteger(l, op, 2, "axis")))
    return failure();
  // The last dim is no axis.
  if (std::optional<int64_t> known = constantInteger(*axis)) {
    FailureOr<int64_t> normalized = l.normalizeAxis(op, *known, rank);
    if (failed(normalized))
      return failure();
    if (*normalized == rank - 1)
      return l.fail(op, "the axis is the last dimension, which holds real and imaginary parts");
  }

  // The dims before, of and after the axis, which may be known only at run time. The
  // last one is none of them, so that a negative axis is counted from one less.
  ArrayRef<OpFoldResult> signal = ArrayRef<OpFoldResult>(x->dims).drop_back();
  Value one = s.integer(i64, 1);
  Value fromEnd = s.compare(P::slt, *axis, s.integer(i64, 0));
  l.assertTrue(op, s.compare(P::ne, *axis, s.integer(i64, -1)), "the axis is the last dimension");
  Value position = s.select(fromEnd, s.add(*axis, one), *axis);
  Dims around = splitAround(l, op, signal, position);
  SmallVector<Value> isAxis = axisFlags(l, op, position, rank - 1);
  Value size = l.i64Value(around[1]);

  Transform t;
  t.inverse = inverse;
  t.halfSpectrum = inverse && onesided;
  t.fromParts = *parts;
  t.toParts = t.halfSpectrum ? 1 : 2;
  t.from = around[1];
  Value n = t.halfSpectrum ? s.mul(s.sub(size, one), s.integer(i64, 2)) : size;
  if (Lowered *length = l.operand(op, 1); length && staticCount(length->dims) != 0) {
    FailureOr<Value> given = oneInteger(l, op, 1, "dft_length");
    if (failed(given))
      return failure();
    n = *given;
  }
  FailureOr<OpFoldResult> points = positiveSize(l, op, n, "the length of the transform");
  if (failed(points))
    return failure();
  t.n = *points;
  Value count = l.i64Value(t.n);
  if (onesided && !inverse)
    count = s.add(s.divide(count, s.integer(i64, 2)), one);
  t.to = l.toDim(count);
  Dims dims;
  for (int64_t d = 0; d < rank - 1; ++d)
    dims.push_back(selectDim(l, isAxis[d], t.to, x->dims[d]));
  dims.push_back(l.indexAttr(t.toParts));
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;

  // The axis next to the parts, and back.
  Type type = accumulatorType(x->element);
  OpFoldResult before = around[0], after = around[2], from = l.indexAttr(t.fromParts),
               to = l.indexAttr(t.toParts), rows = l.multiply(before, after);
  Value tensor = converted(l, loc, l.tensor(x), x->dims, type);
  Dims split = {before, t.from, after, from}, moved = {before, after, t.from, from};
  tensor = l.transpose(loc, l.reshape(loc, tensor, x->dims, split), split, {0, 2, 1, 3});
  tensor = l.reshape(loc, tensor, moved, {rows, l.multiply(t.from, from)});
  tensor = transformRows(l, loc, tensor, rows, t);
  moved = {before, after, t.to, to};
  tensor = l.reshape(loc, tensor, {rows, l.multiply(t.to, to)}, moved);
  tensor = l.transpose(loc, tensor, moved, {0, 2, 1, 3});
  tensor = l.reshape(loc, tensor, {before, t.to, after, to}, dims);
  l.setTensor(op, 0, converted(l, loc, tensor, dims, x->element), dims, x->element);
  return success();
}

LogicalResult lowerSTFT(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *window = l.operand(op, 2);
  FailureOr<int64_t> parts = partsOf(l, op, x);
  if (failed(parts))
    return failure();
  if (x->rank() != 3)
    return l.fail(op,
                  "the signal has rank " + Twine(x->rank()) + "; it needs [batch, length, 1 or 2]");
  FailureOr<Value> step = oneInteger(l, op, 1, "frame_step");
  if (failed(step))
    return failure();
  FailureOr<OpFoldResult> frameStep = positiveSize(l, op, *step, "frame_step");
  if (failed(frameStep))
    return failure();
  if (window && (window->rank() != 1 || window->element != x->element))
    return l.fail(op, "the window is not a vector of the signal's type");
  Location loc = op->getLoc();
  Scalars s = l.scalars(loc);
  Type i64 = l.builder.getI64Type();
  FailureOr<OpFoldResult> length = failure();
  if (l.operand(op, 3)) {
    FailureOr<Value> given = oneInteger(l, op, 3, "frame_length");
    if (failed(given) || failed(length = positiveSize(l, op, *given, "frame_length")) ||
        (window &&
         failed(length = l.unify(op, window->dims[0], *length, "the window and frame_length"))))
      return failure();
  } else if (window) {
    if (failed(length = positiveSize(l, op, l.i64Value(window->dims[0]), "the window's length")))
      return failure();
  } else {
    return l.fail(op, "neither a window nor frame_length is given");
  }

  Value room = s.sub(l.i64Value(x->dims[1]), l.i64Value(*length));
  Value fits = s.compare(P::sge, room, s.integer(i64, 0));
  if (constantInteger(fits) == 0)
    return l.fail(op, "a frame (" + Twine(*staticDim(*length)) + ") is longer than the signal (" +
                          Twine(*staticDim(l.resolve(x->dims[1]))) + ")");
  l.assertTrue(op, fits, "a frame is longer than the signal");
  Value frames =
      s.add(s.divide(s.max(room, s.integer(i64, 0)), l.i64Value(*frameStep)), s.integer(i64, 1));
  Transform t;
  t.inverse = t.halfSpectrum = false;
  t.fromParts = *parts;
  t.toParts = 2;
  t.from = t.n = *length;
  t.to = t.n;
  if (l.intAttr(op, "onesided", 1))
    t.to = l.toDim(s.add(s.divide(l.i64Value(t.n), s.integer(i64, 2)), s.integer(i64, 1)));
  FailureOr<Dims> declared =
      withDeclaredDims(l, op, 0, {x->dims[0], l.toDim(frames), t.to, l.indexAttr(t.toParts)});
  if (failed(declared))
    return failure();
  Dims dims = *declared;

  Type type = accumulatorType(x->element);
  Dims frameDims = {x->dims[0], dims[1], t.from, l.indexAttr(t.fromParts)};
  Value stepIndex = l.indexValue(*frameStep), source = l.tensor(x);
  SmallVector<Input> inputs;
  if (window)
    inputs.push_back({l.tensor(window), AffineMap::get(4, 0, l.builder.getAffineDimExpr(2))});
  Value framed = pointwise(l, loc, inputs, frameDims, type, [&](Scalars &s, ValueRange args) {
    Value start = s.mul(loopIndex(s, 1), s.bring(stepIndex));
    Value at = s.add(start, loopIndex(s, 2));
    Value value = extract(s, source, {loopIndex(s, 0), at, loopIndex(s, 3)});
    value = convertFloat(s, value, type);
    return args.empty() ? value : s.make<arith::MulFOp>(value, convertFloat(s, args[0], type));
  });
  OpFoldResult rows = l.multiply(dims[0], dims[1]);
  framed = l.reshape(loc, framed, frameDims, {rows, l.multiply(t.from, frameDims[3])});
  Value y = transformRows(l, loc, framed, rows, t);
  y = l.reshape(loc, y, {rows, l.multiply(t.to, dims[3])}, {dims[0], dims[1], t.to, dims[3]});
  l.setTensor(op, 0, converted(l, loc, y, dims, x->element), dims, x->element);
  return success();
}

} // namespace

void sq::registerFourier(LoweringTable &table) {
  table.add("DFT", 1, lowerDFT);
  table.add("STFT", 2, lowerSTFT);
}
