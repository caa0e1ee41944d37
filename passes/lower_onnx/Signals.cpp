/// The window functions and MelWeightMatrix.

#include "passes/lower_onnx/Signals.h"

#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

using P = arith::CmpIPredicate;

/// Cosine and sine of 2 pi m / n, for i64 0 <= m < n. Taylor series at up to pi
/// / 4: the first term left out is below 5e-17.
Turn sq::turn(Scalars &s, Value m, Value n) {
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

FailureOr<Value> sq::oneInteger(Lowering &l, Operation *op, unsigned i, StringRef what) {
  FailureOr<SmallVector<Value>> elements = l.knownInts(op, i, what);
  if (failed(elements))
    return failure();
  if (elements->size() != 1)
    return l.fail(op, what + " has " + Twine(elements->size()) + " elements; give one");
  return elements->front();
}

namespace {

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
  table.add("MelWeightMatrix", 5, lowerMelWeightMatrix);
}
