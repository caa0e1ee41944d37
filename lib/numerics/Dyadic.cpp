#include "lib/numerics/Dyadic.h"

#include "lib/numerics/Tensor.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;

IntegerRange IntegerRange::of(int bits, bool isUnsigned) {
  if (bits < 1 || bits > 32)
    throw Error("an integer of " + std::to_string(bits) + " bits; 1 to 32 are possible");
  if (isUnsigned)
    return {0, (int64_t(1) << bits) - 1};
  return {-(int64_t(1) << (bits - 1)), (int64_t(1) << (bits - 1)) - 1};
}

int sq::numerics::bitLength(uint64_t n) { return n ? 64 - __builtin_clzll(n) : 0; }

int64_t sq::numerics::shiftRounded(int64_t p, int e, Rounding rounding) {
  if (e == 0)
    return p;
  int64_t half = int64_t(1) << (e - 1);
  switch (rounding) {
  case Rounding::HalfUp:
    return (p + half) >> e;
  case Rounding::HalfAway:
    return (p + half - (p < 0)) >> e;
  case Rounding::HalfEven:
    break;
  }
  int64_t r = (p + half) >> e;
  bool tie = ((p + half) & (2 * half - 1)) == 0;
  return tie && (r & 1) ? r - 1 : r;
}

Dyadic Dyadic::of(double ratio, int width) {
  if (!std::isfinite(ratio))
    throw Error("a ratio of scales is not finite");
  if (width < 16 || width > 31)
    throw Error("a dyadic number of " + std::to_string(width) + " bits; 16 to 31 are possible");
  if (ratio == 0)
    return {};
  int k;
  double f = std::frexp(std::fabs(ratio), &k);
  int64_t m = std::floor(std::ldexp(f, width) + 0.5);
  int e = width - k;
  // The reference code omits this step: a ratio just below a power of two gives 2^31, which is no
  // 32-bit integer.
  if (m == int64_t(1) << width) {
    m /= 2;
    --e;
  }
  return {ratio < 0 ? -m : m, e};
}

int64_t Dyadic::apply(int64_t q, IntegerRange range, Rounding rounding) const {
  __int128 p = __int128(q) * m;
  if (e >= 63 || p == 0)
    return range.clamp(0);
  if (e <= 0) {
    // |p| >= 1, so that 2^63 is beyond every range.
    p = e <= -63 ? (p < 0 ? -(__int128(1) << 63) : __int128(1) << 63) : p << -e;
    return p < range.lo ? range.lo : p > range.hi ? range.hi : static_cast<int64_t>(p);
  }
  return range.clamp(shiftRounded(static_cast<int64_t>(p), e, rounding));
}

Dyadic Dyadic::encodable() const {
  if (e >= 63)
    return {};
  // Saturates 30 bits for every q but 0.
  if (e <= 0 && m != 0)
    return {m < 0 ? -INT32_MAX : INT32_MAX, 1};
  return *this;
}

void sq::numerics::checkScale(double scale, const char *what) {
  if (!(scale > 0) || !std::isfinite(scale))
    throw Error(std::string("the scale of ") + what + " is " + std::to_string(scale) +
                "; it must be positive and finite");
}

DyadicSum DyadicSum::of(double scaleA, double scaleB, double scale, int64_t magnitudeA,
                        int64_t magnitudeB) {
  checkScale(scaleA, "an operand");
  checkScale(scaleB, "an operand");
  checkScale(scale, "the sum");
  double ratioA = scaleA / scale, ratioB = scaleB / scale;
  int64_t magnitude = std::max(magnitudeA, magnitudeB);
  auto at = [&](int e) {
    return DyadicSum{std::llrint(std::ldexp(ratioA, e)), std::llrint(std::ldexp(ratioB, e)), e};
  };
  // p and the half that is added to it stay below 2^62 + 2^61.
  auto fits = [&](int e) {
    return e <= 62 && std::ldexp(ratioA, e) * magnitudeA + std::ldexp(ratioB, e) * magnitudeB <
                          0x1p62 - magnitude;
  };
  auto precise = [&](int e) { return std::ldexp(double(magnitude), -(e + 1)) < 0x1p-8; };
  int e = std::min({Dyadic::of(ratioA).e, Dyadic::of(ratioB).e, 62});
  while (e >= 1 && !precise(e) && fits(e + 1))
    ++e;
  while (e >= 1 && !fits(e))
    --e;
  if (e < 1 || !precise(e))
    throw Error("the scales " + std::to_string(scaleA) + " and " + std::to_string(scaleB) +
                " cannot be added precisely in " + std::to_string(scale) +
                " with 64-bit integers; requantize the wider operand first");
  return at(e);
}

int64_t DyadicSum::apply(int64_t qa, int64_t qb, IntegerRange range, Rounding rounding) const {
  return range.clamp(shiftRounded(qa * a + qb * b, e, rounding));
}
