#include "lib/numerics/IntegerActivations.h"

#include "lib/numerics/Tensor.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;

/// Bits of a dyadic multiplier for products with values of at most `magnitude`.
static int widthFor(uint64_t magnitude) { return std::min(31, 62 - bitLength(magnitude)); }

static Dyadic outOf(double scale, double resultScale, uint64_t magnitude, const char *what) {
  int width = widthFor(magnitude);
  if (width < 16)
    throw Error(std::string(what) + " from scale " + std::to_string(scale) + " to " +
                std::to_string(resultScale) +
                " needs products of more than 62 bits; requantize its input to a coarser scale");
  return Dyadic::of(scale / resultScale, width);
}

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

// erf(t) = sgn(t) (1 - 0.2888 (1.769 - min(|t|, 1.769))^2), the paper's equation 8, for t = x / sqrt 2.
IntegerGelu IntegerGelu::of(double scale, double resultScale, IntegerRange range) {
  checkScale(scale, "GELU's input");
  checkScale(resultScale, "GELU's result");
  IntegerGelu g;
  double s = scale / std::sqrt(2.0);
  double c = std::nearbyint(1 / (0.2888 * s * s));
  if (c < 64)
    throw Error("GELU of scale " + std::to_string(scale) +
                " is too coarse to be computed; requantize its input to a scale below 0.33");
  double hi = std::ceil(double(std::max(-range.lo, range.hi + 1)) * resultScale / scale) + 1;
  if (c >= 0x1p62 || hi >= 0x1p46)
    throw Error("GELU from scale " + std::to_string(scale) + " to " + std::to_string(resultScale) +
                " does not fit 64-bit integers; requantize its input to a coarser scale");
  g.b = std::llrint(1.769 / s);
  g.c = static_cast<int64_t>(c);
  g.shift = std::max(0, bitLength(g.c) - 15);
  g.one = shiftRounded(g.c, g.shift, Rounding::HalfUp);
  g.rawScale = std::ldexp(scale * 0.2888 * s * s, g.shift) / 2;
  g.hi = std::max<int64_t>(g.b, static_cast<int64_t>(hi));
  int width = std::min(31, 62 - bitLength(g.hi) - bitLength(2 * g.one));
  if (width < 16)
    throw Error("GELU from scale " + std::to_string(scale) + " to " + std::to_string(resultScale) +
                " needs products of more than 62 bits; requantize its input to a coarser scale");
  g.out = Dyadic::of(g.rawScale / resultScale, width);
  return g;
}

int64_t IntegerGelu::product(int64_t q) const {
  q = IntegerRange{-b, hi}.clamp(q);
  int64_t d = b - std::min(std::abs(q), b);
  int64_t erf = shiftRounded(c - d * d, shift, Rounding::HalfUp);
  int64_t sign = (q > 0) - (q < 0);
  return q * (one + sign * erf);
}

int64_t IntegerGelu::apply(int64_t q, IntegerRange range, Rounding rounding) const {
  return out.apply(product(q), range, rounding);
}

//===----------------------------------------------------------------------===//
// Exponential
//===----------------------------------------------------------------------===//

// exp(p) = a (p^2 + linear/a p + 1/a) on (-ln 2, 0], with the constants of the paper's code: those
// that it prints have a larger error (2.13e-3 instead of 1.91e-3).
IntegerExp IntegerExp::of(double scale) {
  checkScale(scale, "an exponential's input");
  const double ln2 = 0.693147180559945, a = 0.35815147, linear = 0.96963238;
  const double beta = linear / (2 * a), kappa = 1 / a - beta * beta;
  IntegerExp e;
  e.u = 0;
  double fine = scale;
  for (; ln2 / fine < 4096 && e.u < 32; ++e.u)
    fine /= 2;
  for (; ln2 / fine >= 8192 && e.u > -32; --e.u)
    fine *= 2;
  if (std::abs(e.u) > 31)
    throw Error("an exponential of scale " + std::to_string(scale) +
                " is beyond 32-bit integers; requantize its input");
  e.ln2 = std::llrint(ln2 / fine);
  e.b = std::llrint(beta / fine);
  e.c = std::llrint(kappa / (fine * fine));
  e.one = e.b * e.b + e.c;
  return e;
}

int64_t IntegerExp::apply(int64_t d) const {
  if (u >= 0)
    d = std::min(d, ((31 * ln2) >> u) + 1) << u;
  else
    d = shiftRounded(d, -u, Rounding::HalfUp);
  int64_t z = d / ln2, r = z * ln2 - d;
  if (z > 30)
    return 0;
  int64_t l = (r + b) * (r + b) + c;
  return shiftRounded(l, static_cast<int>(z), Rounding::HalfUp);
}

//===----------------------------------------------------------------------===//
// Sigmoid, tanh, SiLU
//===----------------------------------------------------------------------===//

IntegerSigmoid IntegerSigmoid::of(Kind kind, double scale, double resultScale, IntegerRange range) {
  checkScale(scale, "an activation's input");
  checkScale(resultScale, "an activation's result");
  IntegerSigmoid s;
  s.kind = kind;
  s.exp = IntegerExp::of(kind == Kind::Tanh ? 2 * scale : scale);
  s.lo = s.hi = 0;
  if (kind != Kind::Silu) {
    s.out = Dyadic::of(0x1p-15 / resultScale);
    return s;
  }
  // exp is 0 from 31 ln 2 = 21.5 on, so that SiLU is 0 below -22; above 0 it is less than x by at
  // most 0.2785.
  double lo = std::ceil(22 / scale);
  double hi = std::ceil((double(std::max(-range.lo, range.hi + 1)) * resultScale + 0.3) / scale) + 1;
  if (lo >= 0x1p31 || hi >= 0x1p46)
    throw Error("SiLU from scale " + std::to_string(scale) + " to " + std::to_string(resultScale) +
                " needs products of more than 62 bits; requantize its input to a coarser scale");
  s.lo = -static_cast<int64_t>(lo);
  s.hi = static_cast<int64_t>(hi);
  s.out = outOf(scale * 0x1p-15, resultScale, uint64_t(std::max(-s.lo, s.hi)) << 15, "SiLU");
  return s;
}

int64_t IntegerSigmoid::unit15(int64_t q) const {
  int64_t e = exp.apply(std::abs(q)), sum = exp.one + e;
  bool tanh = kind == Kind::Tanh;
  int64_t positive = (((tanh ? exp.one - e : exp.one) << 15) + sum / 2) / sum;
  if (q >= 0)
    return positive;
  return tanh ? -positive : (1 << 15) - positive;
}

int64_t IntegerSigmoid::apply(int64_t q, IntegerRange range, Rounding rounding) const {
  if (kind != Kind::Silu)
    return out.apply(unit15(q), range, rounding);
  q = IntegerRange{lo, hi}.clamp(q);
  return out.apply(q * unit15(q), range, rounding);
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

Table sq::numerics::tableOf(bool isUnsigned, const std::function<int64_t(int64_t)> &function) {
  Table table(256);
  for (int i = 0; i < 256; ++i)
    table[i] = static_cast<int32_t>(function(isUnsigned ? i : static_cast<int8_t>(i)));
  return table;
}

Table sq::numerics::tableOf(bool isUnsigned, double scale, int64_t zero,
                            const std::function<double(double)> &f, double resultScale,
                            int64_t resultZero, IntegerRange range) {
  checkScale(scale, "a table's input");
  checkScale(resultScale, "a table's result");
  return tableOf(isUnsigned, [&](int64_t q) -> int64_t {
    double y = std::nearbyint(f(scale * double(q - zero)) / resultScale) + double(resultZero);
    if (std::isnan(y))
      throw Error("the function of a table is NaN at " + std::to_string(scale * double(q - zero)));
    return y <= double(range.lo) ? range.lo : y >= double(range.hi) ? range.hi : int64_t(y);
  });
}
