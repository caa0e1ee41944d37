#include "passes/lower_integer/Arithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace sq;
using numerics::Interval;

Interval Ranged::range() const {
  Interval all = ranges.front();
  for (Interval r : ranges)
    all = all.join(r);
  return all;
}

int Arithmetic::widthOf(ArrayRef<const Ranged *> values) const {
  for (const Ranged *x : values)
    if (!x->range().fits(32))
      return 64;
  return 32;
}

Value Arithmetic::at(const Ranged &x, int width) {
  Type type = b.getIntegerType(width);
  if (x.isConstant())
    return arith::ConstantOp::create(b, b.getIntegerAttr(type, static_cast<int64_t>(x.ranges[0].lo)));
  int own = cast<IntegerType>(x.value.getType()).getWidth();
  if (own == width)
    return x.value;
  if (own < width)
    return arith::ExtSIOp::create(b, type, x.value);
  return arith::TruncIOp::create(b, type, x.value);
}

template <typename Op> Ranged Arithmetic::binary(const char *name, Ranged x, Ranged y, Step step) {
  Ranged r;
  size_t channels = std::max(x.ranges.size(), y.ranges.size());
  for (size_t i = 0; i < channels; ++i) {
    Interval of = step(x.ranges[x.ranges.size() == 1 ? 0 : i], y.ranges[y.ranges.size() == 1 ? 0 : i]);
    if (!of.fits(64) && problem.empty()) {
      int bits = 65;
      while (bits < 127 && !of.fits(bits))
        ++bits;
      problem = llvm::formatv("its {0} can need {1} bits", name, bits);
      if (channels > 1)
        problem += llvm::formatv(" in channel {0}", i);
    }
    // What follows is computed on 64 bits in any case.
    Interval all = Interval::ofBits(64);
    r.ranges.push_back(all.contains(of) ? of : all);
  }
  if (x.isConstant() && y.isConstant() && r.ranges[0].lo == r.ranges[0].hi)
    return r;
  int width = widthOf({&x, &y, &r});
  Value lhs = at(x, width), rhs = at(y, width);
  r.value = Op::create(b, lhs, rhs);
  return r;
}

Ranged Arithmetic::constant(int64_t value) { return {Value(), {Interval::of(value)}}; }

Ranged Arithmetic::input(Value v, ArrayRef<Interval> ranges, bool isUnsigned) {
  Ranged x{v, SmallVector<Interval, 1>(ranges)};
  int own = cast<IntegerType>(v.getType()).getWidth(), width = widthOf({&x});
  Type type = b.getIntegerType(std::max(own, width));
  if (own < width && isUnsigned)
    x.value = arith::ExtUIOp::create(b, type, v);
  else if (own < width)
    x.value = arith::ExtSIOp::create(b, type, v);
  return x;
}

Ranged Arithmetic::assume(Ranged x, Interval range) {
  x.ranges = {range};
  return x;
}

Ranged Arithmetic::add(Ranged x, Ranged y) {
  return binary<arith::AddIOp>("sum", x, y, [](Interval p, Interval q) { return p + q; });
}
Ranged Arithmetic::sub(Ranged x, Ranged y) {
  return binary<arith::SubIOp>("difference", x, y, [](Interval p, Interval q) { return p - q; });
}
Ranged Arithmetic::mul(Ranged x, Ranged y) {
  return binary<arith::MulIOp>("product", x, y, [](Interval p, Interval q) { return p * q; });
}
Ranged Arithmetic::shiftLeft(Ranged x, Ranged by) {
  return binary<arith::ShLIOp>("shift", x, by, [](Interval p, Interval q) { return p.shiftLeft(q); });
}
Ranged Arithmetic::shiftLeftTo(Ranged x, Ranged by, Interval range) {
  Value value = at(x, 64), amount = at(by, 64);
  return {arith::ShLIOp::create(b, value, amount), {range}};
}
Ranged Arithmetic::shiftRight(Ranged x, Ranged by) {
  return binary<arith::ShRSIOp>("shift", x, by, [](Interval p, Interval q) { return p.shiftRight(q); });
}
Ranged Arithmetic::divide(Ranged x, Ranged y) {
  return binary<arith::DivUIOp>("quotient", x, y, [](Interval p, Interval q) { return p.divide(q); });
}
Ranged Arithmetic::minimum(Ranged x, Ranged y) {
  if (x.range().hi <= y.range().lo)
    return x;
  return binary<arith::MinSIOp>("minimum", x, y, [](Interval p, Interval q) { return p.minimum(q); });
}
Ranged Arithmetic::maximum(Ranged x, Ranged y) {
  if (x.range().lo >= y.range().hi)
    return x;
  return binary<arith::MaxSIOp>("maximum", x, y, [](Interval p, Interval q) { return p.maximum(q); });
}

Ranged Arithmetic::absolute(Ranged x) {
  Ranged r = maximum(x, sub(constant(0), x));
  for (Interval &of : r.ranges)
    of.lo = std::max<__int128>(of.lo, 0);
  return r;
}

Ranged Arithmetic::selectNegative(Ranged x, Ranged negative, Ranged other) {
  int width = widthOf({&x});
  Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at(x, width), at(constant(0), width));
  return select(isNegative, negative, other);
}

Ranged Arithmetic::select(Value condition, Ranged x, Ranged y) {
  Ranged r;
  for (size_t i = 0, n = std::max(x.ranges.size(), y.ranges.size()); i < n; ++i)
    r.ranges.push_back(x.ranges[x.ranges.size() == 1 ? 0 : i].join(y.ranges[y.ranges.size() == 1 ? 0 : i]));
  int width = widthOf({&r});
  Value onTrue = at(x, width), onFalse = at(y, width);
  r.value = arith::SelectOp::create(b, condition, onTrue, onFalse);
  return r;
}

/// Of an unsigned integer.
static Value bitLengthOf(ImplicitLocOpBuilder &b, Value n) {
  Type type = n.getType();
  Value width = arith::ConstantOp::create(b, b.getIntegerAttr(type, type.getIntOrFloatBitWidth()));
  return arith::SubIOp::create(b, width, math::CountLeadingZerosOp::create(b, n));
}

Ranged Arithmetic::bitLength(Ranged x) {
  Interval of = x.range();
  Ranged r{bitLengthOf(b, at(x, widthOf({&x}))), {}};
  r.ranges = {Interval{numerics::bitLength(static_cast<uint64_t>(of.lo)), numerics::bitLength(static_cast<uint64_t>(of.hi))}};
  return r;
}

// Newton's method from above, as lib/numerics has it: its steps do no harm once it has arrived,
// as the least value is kept.
Value sq::integerSqrt(ImplicitLocOpBuilder &b, Value n) {
  Type type = n.getType();
  auto number = [&](int64_t x) { return arith::ConstantOp::create(b, b.getIntegerAttr(type, x)).getResult(); };
  Value one = number(1);
  Value exponent = arith::ShRUIOp::create(b, arith::AddIOp::create(b, bitLengthOf(b, n), one), one);
  Value x = arith::ShLIOp::create(b, one, exponent);
  for (int step = 0, steps = type.isInteger(32) ? 5 : 6; step < steps; ++step) {
    Value divisor = arith::MaxUIOp::create(b, x, one); // of n = 0 the root is reached first
    Value sum = arith::AddIOp::create(b, x, arith::DivUIOp::create(b, n, divisor));
    x = arith::MinUIOp::create(b, x, arith::ShRUIOp::create(b, sum, one));
  }
  return x;
}

Ranged Arithmetic::root(Ranged x) {
  Interval of = x.range();
  auto floor = [](__int128 n) { return static_cast<int64_t>(numerics::bitLength(static_cast<uint64_t>(n))); };
  // 2^((bits - 1) / 2) <= root < 2^((bits + 1) / 2).
  int64_t least = floor(of.lo), most = floor(of.hi);
  Ranged r{integerSqrt(b, at(x, widthOf({&x}))), {}};
  r.ranges = {Interval{least ? int64_t(1) << ((least - 1) / 2) : 0, (int64_t(1) << ((most + 1) / 2)) - 1}};
  return r;
}

Ranged Arithmetic::shiftRounded(Ranged x, Ranged by, numerics::Rounding rounding) {
  Ranged one = constant(1);
  if (by.range().lo == 0) { // 2^by / 2, which is 0 for no shift at all
    Ranged half = shiftRight(shiftLeft(one, by), one);
    return shiftRight(add(x, half), by);
  }
  Ranged half = shiftLeft(one, sub(by, one));
  switch (rounding) {
  case numerics::Rounding::HalfUp:
    return shiftRight(add(x, half), by);
  case numerics::Rounding::HalfAway:
    return shiftRight(add(add(x, half), selectNegative(x, constant(-1), constant(0))), by);
  case numerics::Rounding::HalfEven:
    break;
  }
  // A half goes up only from an odd quotient: x + half - 1 + odd.
  Ranged quotient = shiftRight(x, by);
  int width = widthOf({&quotient});
  Ranged odd{arith::AndIOp::create(b, at(quotient, width), at(one, width)), {Interval{0, 1}}};
  return shiftRight(add(add(x, sub(half, one)), odd), by);
}

Ranged Arithmetic::exponential(const numerics::IntegerExp &exp, Ranged d) {
  // Beyond 31 ln 2 it is 0; up to there all fits 32 bits.
  if (exp.u >= 0)
    d = shiftLeft(minimum(d, constant(((31 * exp.ln2) >> exp.u) + 1)), constant(exp.u));
  else
    d = minimum(shiftRounded(d, constant(-exp.u), numerics::Rounding::HalfUp), constant(31 * exp.ln2));
  Ranged ln2 = constant(exp.ln2), most = constant(30);
  Ranged z = divide(d, ln2);
  Ranged r = assume(sub(mul(z, ln2), d), {1 - exp.ln2, 0}); // minus the remainder
  Ranged base = add(r, constant(exp.b));
  Ranged polynomial = add(mul(base, base), constant(exp.c));
  Ranged value = shiftRounded(polynomial, minimum(z, most), numerics::Rounding::HalfUp);
  // The polynomial is largest where r is 0.
  value = assume(value, {0, exp.one});
  return selectNegative(sub(most, z), constant(0), value);
}

Value Arithmetic::as(Ranged x, Type type) {
  unsigned width = type.getIntOrFloatBitWidth();
  if (width >= 32)
    return at(x, width);
  return arith::TruncIOp::create(b, type, at(x, 32));
}

Value Arithmetic::result(Ranged x, int64_t zero, numerics::IntegerRange range, Type type) {
  if (zero)
    x = add(x, constant(zero));
  Ranged y = clamp(x, constant(range.lo), constant(range.hi));
  // 2^32 - 1 is unsigned: its bits are those of -1.
  return range.hi > INT32_MAX ? arith::TruncIOp::create(b, type, at(y, 64)).getResult() : as(y, type);
}
