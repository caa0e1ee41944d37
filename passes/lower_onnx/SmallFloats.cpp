/// Conversions to and from floats of 8 bits and less, which no target of LLVM computes
/// with: integer arithmetic on the bits of an f32, rounded once.
#include "passes/lower_onnx/Lowering.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

using P = arith::CmpIPredicate;

Value asBits(Scalars &s, Value f32) {
  return s.make<arith::BitcastOp>(s.builder.getI32Type(), f32);
}

Value asFloat(Scalars &s, Value bits) {
  return s.make<arith::BitcastOp>(s.builder.getF32Type(), bits);
}

/// An f64 as the f32 that rounds to any shorter format as it does itself: cut, and odd
/// where bits were lost (Boldo and Melquiond, "Emulation of FMA and correctly rounded
/// sums", 2008).
Value roundToOdd(Scalars &s, Value x) {
  Type f64 = s.builder.getF64Type(), i32 = s.builder.getI32Type();
  Value nearest = s.make<arith::TruncFOp>(s.builder.getF32Type(), x);
  Value back = s.make<arith::ExtFOp>(f64, nearest);
  auto magnitude = [&](Value v) {
    Value bits = s.make<arith::BitcastOp>(s.builder.getI64Type(), v);
    return s.make<arith::AndIOp>(bits, s.integer(s.builder.getI64Type(), INT64_MAX));
  };
  Value exact = magnitude(x), rounded = magnitude(back);
  Value bits = asBits(s, nearest);
  Value cut = s.select(s.compare(P::ugt, rounded, exact), s.sub(bits, s.integer(i32, 1)), bits);
  Value odd = s.make<arith::OrIOp>(cut, s.integer(i32, 1));
  Value isExact = s.compare(P::eq, rounded, exact);
  Value isNaN = s.compare(arith::CmpFPredicate::UNO, x, x);
  return asFloat(s, s.select(s.make<arith::OrIOp>(isExact, isNaN), bits, odd));
}

/// E8M0: the exponent of x, and what rounding adds to it.
Value encodeScale(Scalars &s, Value x, const SmallFloat &format, SmallFloatCast how) {
  Type i32 = s.builder.getI32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  Value bits = asBits(s, x);
  Value code = s.make<arith::ShRSIOp>(bits, number(23)); // negative where x is
  Value fraction = s.make<arith::AndIOp>(bits, number(0x7fffff));
  // Code 0 is 2^-127, half the smallest normal f32: a subnormal is compared with it.
  Value isSubnormal = s.compare(P::eq, code, number(0));
  Value base = s.select(isSubnormal, number(0x400000), number(0));
  // 1.5 * 2^-127 has the fraction 0x600000.
  Value half = s.select(isSubnormal, number(0x600000), number(0x400000));
  Value rounded = code;
  if (how.rounding == SmallRounding::Up)
    rounded = s.add(code, s.select(s.compare(P::ugt, fraction, base), number(1), number(0)));
  else if (how.rounding != SmallRounding::Down)
    rounded = s.add(code, s.select(s.compare(P::uge, fraction, half), number(1), number(0)));
  Value high = number(how.saturate ? format.largest : format.nan);
  Value low = number(how.saturate ? 0 : format.nan);
  Value isInfinite = s.compare(P::eq, code, number(255));
  Value tooLarge =
      s.make<arith::OrIOp>(isInfinite, s.compare(P::sgt, rounded, number(format.largest)));
  rounded = s.select(tooLarge, high, rounded);
  Value isLess = s.compare(P::slt, bits, number(0x400000));
  rounded = s.select(isLess, low, rounded);
  Value isNaN = s.compare(arith::CmpFPredicate::UNO, x, x);
  return s.select(isNaN, number(format.nan), rounded);
}

Value encodeSigned(Scalars &s, Value x, const SmallFloat &format, SmallFloatCast how) {
  Type i32 = s.builder.getI32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  int dropped = 23 - format.mantissa, minExponent = 1 - format.bias;
  Value bits = asBits(s, x);
  Value magnitude = s.make<arith::AndIOp>(bits, number(0x7fffffff));
  Value sign = s.make<arith::ShRUIOp>(bits, number(31));
  sign = s.make<arith::ShLIOp>(sign, number(format.bits - 1));

  // Normal: the exponent gets the other bias; half a unit less one, and one more where
  // the unit is odd, carries as nearest even asks.
  Value rebased = s.sub(magnitude, number(int64_t(127 - format.bias) << 23));
  Value odd = s.make<arith::AndIOp>(s.make<arith::ShRUIOp>(rebased, number(dropped)), number(1));
  Value carried = s.add(s.add(rebased, number((1 << (dropped - 1)) - 1)), odd);
  Value normal = s.make<arith::ShRSIOp>(carried, number(dropped));
  // Subnormal: added to a number whose last bit is the smallest subnormal, f32 rounds.
  uint32_t magic = uint32_t(127 + minExponent - format.mantissa + 23) << 23;
  Value sum = s.make<arith::AddFOp>(asFloat(s, magnitude), asFloat(s, number(magic)));
  Value subnormal = s.sub(asBits(s, sum), number(magic));
  Value isSubnormal = s.compare(P::ult, magnitude, number(int64_t(127 + minExponent) << 23));
  Value code = s.select(isSubnormal, subnormal, normal);

  bool saturate = how.saturate || format.nan == 0;
  int beyond = saturate ? format.largest : format.infinity ? format.infinity : format.nan;
  code = s.select(s.compare(P::sgt, code, number(format.largest)), number(beyond), code);
  Value signedCode = s.make<arith::OrIOp>(code, sign);
  if (format.isUnsignedZero)
    signedCode = s.select(s.compare(P::eq, code, number(0)), code, signedCode);
  // E2M1 has no NaN: -0. The other NaN keeps its sign where there are two.
  Value nan = format.nan == 0         ? number(format.signBit())
              : format.isUnsignedZero ? number(format.nan)
                                      : s.make<arith::OrIOp>(sign, number(format.nan));
  Value isNaN = s.compare(P::ugt, magnitude, number(0x7f800000));
  return s.select(isNaN, nan, signedCode);
}

} // namespace

Value sq::encodeSmallFloat(Scalars &s, Value x, const SmallFloat &format, SmallFloatCast how) {
  if (x.getType().isF64())
    x = roundToOdd(s, x);
  Value code = format.isScale() ? encodeScale(s, x, format, how) : encodeSigned(s, x, format, how);
  return s.make<arith::TruncIOp>(s.builder.getI8Type(), code);
}

Value sq::decodeSmallFloat(Scalars &s, Value code, const SmallFloat &format) {
  Type i32 = s.builder.getI32Type(), f32 = s.builder.getF32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  constexpr uint32_t quietNaN = 0x7fc00000;
  Value wide = s.make<arith::ExtUIOp>(i32, code);
  auto isCode = [&](int64_t value) { return s.compare(P::eq, wide, number(value)); };
  if (format.isScale()) {
    Value bits = s.make<arith::ShLIOp>(wide, number(23));
    bits = s.select(isCode(0), number(0x400000), bits);
    return asFloat(s, s.select(isCode(format.nan), number(quietNaN), bits));
  }
  Value magnitude = s.make<arith::AndIOp>(wide, number(format.signBit() - 1));
  Value sign = s.make<arith::AndIOp>(wide, number(format.signBit()));
  sign = s.make<arith::ShLIOp>(sign, number(32 - format.bits));
  Value shifted = s.make<arith::ShLIOp>(magnitude, number(23 - format.mantissa));
  Value normal = s.add(shifted, number(int64_t(127 - format.bias) << 23));
  Value product = s.make<arith::MulFOp>(
      s.make<arith::SIToFPOp>(f32, magnitude),
      s.number(f32, std::ldexp(1.0, 1 - format.bias - format.mantissa)));
  Value isSubnormal = s.compare(P::ult, magnitude, number(1 << format.mantissa));
  Value bits = s.select(isSubnormal, asBits(s, product), normal);
  if (format.nan && !format.isUnsignedZero)
    bits = s.select(s.compare(P::ugt, magnitude, number(format.largest)), number(quietNaN), bits);
  if (format.infinity)
    bits = s.select(s.compare(P::eq, magnitude, number(format.infinity)), number(0x7f800000), bits);
  bits = s.make<arith::OrIOp>(bits, sign);
  if (format.isUnsignedZero)
    bits = s.select(isCode(format.nan), number(quietNaN), bits);
  return asFloat(s, bits);
}
