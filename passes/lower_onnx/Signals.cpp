/// DFT, STFT, the window functions, MelWeightMatrix.
///
/// A Fourier transform is a product with a matrix of cosines and sines. Their
/// angles are fractions m / n of a turn, in integers: they are reduced to an
/// eighth of a turn exactly, so that what is 0 or symmetric is exactly so, and
/// evaluated in f64 by polynomials, on every target the same.

#include "passes/lower_onnx/Generics.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

using P = arith::CmpIPredicate;

struct Turn {
  Value cos, sin; // f64
};

/// Cosine and sine of 2 pi m / n, for i64 0 <= m < n. Taylor series at up to pi
/// / 4: the first term left out is below 5e-17.
Turn turn(Scalars &s, Value m, Value n) {
  Type i64 = s.builder.getI64Type(), f64 = s.builder.getF64Type();
  auto integer = [&](int64_t value) { return s.integer(i64, value); };
  Value eighths = s.mul(m, integer(8));
  Value octant = s.divide(eighths, n), rest = s.remainder(eighths, n);
  // Every other octant is counted from its end: cosine and sine swap there.
  auto bit = [&](Value value, int64_t shift) {
    Value shifted = s.make<arith::ShRSIOp>(value, integer(shift));
    return s.compare(P::ne, s.make<arith::AndIOp>(shifted, integer(1)), integer(0));
  };
  rest = s.select(bit(octant, 0), s.sub(n, rest), rest);
  Value part =
      s.make<arith::DivFOp>(s.make<arith::SIToFPOp>(f64, rest), s.make<arith::SIToFPOp>(f64, n));
  Value x = s.make<arith::MulFOp>(part, s.number(f64, M_PI / 4));
  Value square = s.make<arith::MulFOp>(x, x);
  // sum of (-1)^i x^(2i) / (2i + odd)!
  auto series = [&](int terms, int odd) {
    Value sum = s.number(f64, 1);
    for (int i = terms; i > 0; --i) {
      double factor = -1.0 / ((2 * i + odd) * (2 * i + odd - 1));
      Value step = s.make<arith::MulFOp>(s.make<arith::MulFOp>(sum, square), s.number(f64, factor));
      sum = s.make<arith::AddFOp>(step, s.number(f64, 1));
    }
    return sum;
  };
  Value cos = series(8, 0), sin = s.make<arith::MulFOp>(x, series(8, 1));
  // Octants 1, 2, 5, 6; 2 to 5; 4 to 7.
  Value swaps = bit(s.add(octant, integer(1)), 1);
  Value isLeft = bit(s.add(octant, integer(2)), 2), isLower = bit(octant, 2);
  auto negateIf = [&](Value condition, Value value) {
    return s.select(condition, s.make<arith::NegFOp>(value), value);
  };
  return {negateIf(isLeft, s.select(swaps, sin, cos)),
          negateIf(isLower, s.select(swaps, cos, sin))};
}

//===----------------------------------------------------------------------===//
// Window functions
//===----------------------------------------------------------------------===//

/// The onnx element type that `output_datatype` names; null after a failure.
Type outputType(Lowering &l, Operation *op) {
  int64_t number = l.intAttr(op, "output_datatype", 1);
  Type element = elementTypeOf(l.builder.getContext(), number);
  if (element && !element.isSignlessInteger(1))
    return element;
  (void)l.fail(op, "output_datatype " + Twine(number) +
                       " (TensorProto.DataType) is not a number that is supported");
  return Type();
}

/// The one element of operand `i` as i64.
FailureOr<Value> oneInteger(Lowering &l, Operation *op, unsigned i, StringRef what) {
  FailureOr<SmallVector<Value>> elements = l.knownElements(op, i, what);
  if (failed(elements))
    return failure();
  if (elements->size() != 1 || !isa<IntegerType>(elements->front().getType()))
    return l.fail(op, what + " is not one integer");
  Scalars s = l.scalars(op->getLoc());
  return convertInteger(s, elements->front(), l.builder.getI64Type(), false);
}

/// a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), n the size, or one less where
/// the window is to be symmetric instead of periodic.
LogicalResult lowerWindow(Lowering &l, Operation *op, double a0, double a1, double a2) {
  FailureOr<Value> size = oneInteger(l, op, 0, "size");
  Type element = outputType(l, op);
  if (failed(size) || !element)
    return failure();
  FailureOr<OpFoldResult> length = sizeFrom(l, op, *size, "size");
  if (failed(length))
    return failure();
  FailureOr<Dims> dims = withDeclaredDims(l, op, 0, {*length});
  if (failed(dims))
    return failure();
  Scalars scalars = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type(), f64 = l.builder.getF64Type();
  Value n = l.i64Value(dims->front()), one = scalars.integer(i64, 1);
  if (!l.intAttr(op, "periodic", 1))
    n = scalars.sub(n, one);
  n = scalars.max(n, one);
  Value window =
      pointwise(l, op->getLoc(), {}, *dims, signless(element), [&](Scalars &s, ValueRange) {
        Value i = s.toI64(loopIndex(s, 0)), turns = s.bring(n), value = s.number(f64, a0);
        auto subtract = [&](double factor, int64_t times) {
          if (factor == 0)
            return;
          Value m = s.remainder(s.mul(i, s.integer(i64, times)), turns);
          Value term = s.make<arith::MulFOp>(turn(s, m, turns).cos, s.number(f64, factor));
          value = s.make<arith::SubFOp>(value, term);
        };
        subtract(a1, 1);
        subtract(-a2, 2);
        return castScalar(s, value, f64, element);
      });
  l.setTensor(op, 0, window, *dims, element);
  return success();
}

//===----------------------------------------------------------------------===//
// Fourier transforms
//===----------------------------------------------------------------------===//

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
  Value init = l.emptyTensor(loc, {count, l.multiply(t.to, l.indexAttr(t.toParts))}, type);
  return MatmulOp::create(l.builder, loc, TypeRange(init.getType()), rows, matrix, init)
      .getResult()[0];
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
    return l.fail(op, "the input is not of floats whose last dimension is 1 "
                      "(real) or 2 (complex)");
  return *parts;
}

/// A positive size, asserted at run time where it is not known.
FailureOr<OpFoldResult> positiveSize(Lowering &l, Operation *op, Value size, StringRef what) {
  Scalars s = l.scalars(op->getLoc());
  Value one = s.integer(l.builder.getI64Type(), 1);
  if (std::optional<int64_t> known = constantInteger(size); known && *known < 1)
    return l.fail(op, what + " is " + Twine(*known) + "; it must be positive");
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
      return l.fail(op, "the axis is the last dimension, which holds real and "
                        "imaginary parts");
  }

  // The dims before, of and after the axis, which may be known only at run
  // time.
  SmallVector<Value> isAxis;
  Value isAny = s.boolean(false), isPast = isAny, one = s.integer(i64, 1);
  Value outer = one, size = one, inner = one;
  for (int64_t d = 0; d < rank - 1; ++d) {
    Value dim = l.i64Value(x->dims[d]);
    Value fromStart = s.compare(P::eq, *axis, s.integer(i64, d));
    Value fromEnd = s.compare(P::eq, *axis, s.integer(i64, d - rank));
    isAxis.push_back(s.make<arith::OrIOp>(fromStart, fromEnd));
    inner = s.select(isPast, s.mul(inner, dim), inner);
    size = s.select(isAxis.back(), dim, size);
    isPast = isAny = s.make<arith::OrIOp>(isAny, isAxis.back());
    outer = s.select(isPast, outer, s.mul(outer, dim));
  }
  l.assertTrue(op, isAny, "axis is outside the rank");

  Transform t;
  t.inverse = inverse;
  t.halfSpectrum = inverse && onesided;
  t.fromParts = *parts;
  t.toParts = t.halfSpectrum ? 1 : 2;
  t.from = l.toDim(size);
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
    dims.push_back(l.toDim(s.select(isAxis[d], count, l.i64Value(x->dims[d]))));
  dims.push_back(l.indexAttr(t.toParts));
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;

  // The axis next to the parts, and back.
  Type type = accumulatorType(x->element);
  OpFoldResult before = l.toDim(outer), after = l.toDim(inner), from = l.indexAttr(t.fromParts),
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

//===----------------------------------------------------------------------===//
// MelWeightMatrix
//===----------------------------------------------------------------------===//

/// Overlapping triangles: column i rises from bin b[i] to b[i + 1], where it is
/// 1, and falls to b[i + 2]. The b are evenly spaced in mels, m = 2595 log10(1
/// + hertz / 700).
LogicalResult lowerMelWeightMatrix(Lowering &l, Operation *op) {
  FailureOr<Value> melBins = oneInteger(l, op, 0, "num_mel_bins");
  FailureOr<Value> dftLength = oneInteger(l, op, 1, "dft_length");
  FailureOr<Value> sampleRate = oneInteger(l, op, 2, "sample_rate");
  Type element = outputType(l, op);
  if (failed(melBins) || failed(dftLength) || failed(sampleRate) || !element)
    return failure();
  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  Type i64 = l.builder.getI64Type(), f64 = l.builder.getF64Type();
  auto mul = [](Scalars &s, Value a, Value b) { return s.make<arith::MulFOp>(a, b); };
  Value edges[2]; // in mels
  for (auto [i, name] : {std::pair(0u, "lower_edge_hertz"), std::pair(1u, "upper_edge_hertz")}) {
    FailureOr<SmallVector<Value>> hertz = l.knownElements(op, 3 + i, name);
    if (failed(hertz))
      return failure();
    if (hertz->size() != 1 || !isa<FloatType>(hertz->front().getType()))
      return l.fail(op, Twine(name) + " is not one float");
    Value ratio = scalars.make<arith::DivFOp>(convertFloat(scalars, hertz->front(), f64),
                                              scalars.number(f64, 700));
    Value log =
        scalars.make<math::LogOp>(scalars.make<arith::AddFOp>(ratio, scalars.number(f64, 1)));
    edges[i] = mul(scalars, log, scalars.number(f64, 2595 / std::log(10)));
  }
  FailureOr<OpFoldResult> bins = sizeFrom(l, op, *melBins, "num_mel_bins");
  FailureOr<OpFoldResult> length = sizeFrom(l, op, *dftLength, "dft_length");
  if (failed(bins) || failed(length))
    return failure();
  OpFoldResult spectrum = l.toDim(
      scalars.add(scalars.divide(*dftLength, scalars.integer(i64, 2)), scalars.integer(i64, 1)));
  FailureOr<Dims> dims = withDeclaredDims(l, op, 0, {spectrum, *bins});
  if (failed(dims))
    return failure();

  OpFoldResult points = l.add((*dims)[1], l.indexAttr(2));
  Value step = scalars.make<arith::DivFOp>(scalars.make<arith::SubFOp>(edges[1], edges[0]),
                                           scalars.make<arith::SIToFPOp>(f64, l.i64Value(points)));
  Value first = edges[0], rate = scalars.make<arith::SIToFPOp>(f64, *sampleRate);
  Value perHertz =
      scalars.make<arith::SIToFPOp>(f64, scalars.add(*dftLength, scalars.integer(i64, 1)));
  Value positions = pointwise(l, loc, {}, points, i64, [&](Scalars &s, ValueRange) {
    Value i = s.make<arith::SIToFPOp>(f64, s.toI64(loopIndex(s, 0)));
    Value mels = s.make<arith::AddFOp>(mul(s, i, s.bring(step)), s.bring(first));
    Value power = s.make<math::ExpOp>(mul(s, mels, s.number(f64, std::log(10) / 2595)));
    Value hertz = mul(s, s.make<arith::SubFOp>(power, s.number(f64, 1)), s.number(f64, 700));
    Value bin = s.make<arith::DivFOp>(mul(s, hertz, s.bring(perHertz)), s.bring(rate));
    return castScalar(s, s.make<math::FloorOp>(bin), f64, i64);
  });
  Value matrix = pointwise(l, loc, {}, *dims, signless(element), [&](Scalars &s, ValueRange) {
    Type index = s.builder.getIndexType();
    Value column = loopIndex(s, 1), row = s.toI64(loopIndex(s, 0));
    Value low = extract(s, positions, column);
    Value center = extract(s, positions, s.add(column, s.integer(index, 1)));
    Value high = extract(s, positions, s.add(column, s.integer(index, 2)));
    auto slope = [&](Value rise, Value run) {
      Value safe = s.max(run, s.integer(i64, 1));
      return s.make<arith::DivFOp>(s.make<arith::SIToFPOp>(f64, rise),
                                   s.make<arith::SIToFPOp>(f64, safe));
    };
    Value zero = s.number(f64, 0);
    Value rising =
        s.select(s.compare(P::sge, row, low), slope(s.sub(row, low), s.sub(center, low)), zero);
    Value falling =
        s.select(s.compare(P::slt, row, high), slope(s.sub(high, row), s.sub(high, center)), zero);
    Value value = s.select(s.compare(P::slt, row, center), rising, falling);
    value = s.select(s.compare(P::eq, row, center), s.number(f64, 1), value);
    return castScalar(s, value, f64, element);
  });
  l.setTensor(op, 0, matrix, *dims, element);
  return success();
}

} // namespace

void sq::registerSignals(LoweringTable &table) {
  auto addWindow = [&](StringRef name, double a0, double a1, double a2) {
    table.add(name, 1, [=](Lowering &l, Operation *op) { return lowerWindow(l, op, a0, a1, a2); });
  };
  addWindow("HannWindow", 0.5, 0.5, 0);
  addWindow("HammingWindow", 25.0 / 46, 21.0 / 46, 0);
  addWindow("BlackmanWindow", 0.42, 0.5, 0.08);
  table.add("DFT", 1, lowerDFT);
  table.add("STFT", 2, lowerSTFT);
  table.add("MelWeightMatrix", 5, lowerMelWeightMatrix);
}
