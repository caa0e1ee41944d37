/// Reading a tensor between its elements.
#include "passes/lower_onnx/Interpolation.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sq;

Value sq::zeroScalar(Scalars &s, Type type) {
  return isa<FloatType>(type) ? s.number(type, 0) : s.integer(type, 0);
}

Type sq::interpolationType(Lowering &l, Type element) {
  if (isa<FloatType>(element))
    return accumulatorType(element);
  return element.getIntOrFloatBitWidth() > 16 ? Type(l.builder.getF64Type())
                                              : Type(l.builder.getF32Type());
}

Value sq::fromInterpolation(Scalars &s, Value value, Type element) {
  if (isa<FloatType>(element))
    return convertFloat(s, value, element);
  return castScalar(s, s.make<math::RoundEvenOp>(value), value.getType(), element);
}

Value sq::clampFloat(Scalars &s, Value x, Value low, Value high) {
  x = s.select(s.compare(arith::CmpFPredicate::OLT, x, high), x, high);
  return s.select(s.compare(arith::CmpFPredicate::OGT, x, low), x, low);
}

Value sq::cubicKernel(Scalars &s, Value distance, double a) {
  Type type = distance.getType();
  Value zero = s.number(type, 0);
  auto isBelow = [&](double bound) {
    return s.compare(arith::CmpFPredicate::OLT, distance, s.number(type, bound));
  };
  auto polynomial = [&](std::initializer_list<double> coefficients) {
    Value sum = zero;
    for (double c : coefficients)
      sum = s.make<arith::AddFOp>(s.make<arith::MulFOp>(sum, distance), s.number(type, c));
    return sum;
  };
  return s.select(isBelow(1), polynomial({a + 2, -(a + 3), 0, 1}),
                  s.select(isBelow(2), polynomial({a, -5 * a, 8 * a, -4 * a}), zero));
}

Tap sq::tapAt(Scalars &s, Value position, Value size, Border border, bool aroundCenters) {
  Type i64 = s.builder.getI64Type();
  Value zero = s.integer(i64, 0), one = s.integer(i64, 1), last = s.sub(size, one);
  Tap tap;
  if (border == Border::Zeros) {
    tap.inside = s.compare(arith::CmpIPredicate::ult, position, size);
    position = s.select(tap.inside, position, zero);
  } else if (border == Border::Reflect) {
    // Mirrored at the centers the pattern repeats after 2 (size - 1), at the
    // edges after 2 size. (A single element repeats after 1.)
    Value period = s.mul(aroundCenters ? last : size, s.integer(i64, 2));
    period = s.max(period, one);
    Value rest = s.make<arith::RemSIOp>(position, period);
    Value isNegative = s.compare(arith::CmpIPredicate::slt, rest, zero);
    rest = s.select(isNegative, s.add(rest, period), rest);
    Value mirrored = s.sub(aroundCenters ? period : s.sub(period, one), rest);
    position = s.select(s.compare(arith::CmpIPredicate::slt, rest, size), rest, mirrored);
  }
  tap.index = s.toIndex(border == Border::Zeros ? position : s.max(s.min(position, last), zero));
  return tap;
}

SmallVector<Tap> sq::linearTaps(Scalars &s, Value x, Value size, Border border,
                                bool aroundCenters) {
  Type i64 = s.builder.getI64Type();
  Value floor = s.make<math::FloorOp>(x);
  Value lower = s.make<arith::FPToSIOp>(i64, floor);
  Value fraction = s.make<arith::SubFOp>(x, floor);
  SmallVector<Tap> taps = {tapAt(s, lower, size, border, aroundCenters),
                           tapAt(s, s.add(lower, s.integer(i64, 1)), size, border, aroundCenters)};
  taps[0].weight = s.make<arith::SubFOp>(s.number(x.getType(), 1), fraction);
  taps[1].weight = fraction;
  return taps;
}

Value sq::weightedSum(Scalars &s, Value tensor, SmallVector<Value> at,
                      ArrayRef<SmallVector<Tap>> taps, Type type, bool isUnsigned) {
  std::function<Value(size_t, Value)> sumFrom = [&](size_t d, Value inside) -> Value {
    if (d == taps.size()) {
      Value value = toFloat(s, extract(s, tensor, at), type, isUnsigned);
      return inside ? s.select(inside, value, s.number(type, 0)) : value;
    }
    Value sum;
    for (const Tap &tap : taps[d]) {
      Value here = !inside       ? tap.inside
                   : !tap.inside ? inside
                                 : s.make<arith::AndIOp>(inside, tap.inside);
      at.push_back(tap.index);
      Value value = sumFrom(d + 1, here);
      at.pop_back();
      if (tap.weight)
        value = s.make<arith::MulFOp>(value, convertFloat(s, tap.weight, type));
      sum = sum ? s.make<arith::AddFOp>(sum, value) : value;
    }
    return sum;
  };
  return sumFrom(0, Value());
}
