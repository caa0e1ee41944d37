/// Requantization by dyadic numbers m / 2^e, after HAWQ-V3 (Yao et al. 2021, section 3.2): what
/// integer-only programs have instead of a floating-point scale.
///
/// As everywhere in the integer part of this library, functions that take a double make constants
/// ("compile time"); what works on integers ("run time") uses integer arithmetic only and is the
/// definition, bit for bit, of what compiled programs compute.
#ifndef SQ_NUMERICS_DYADIC_H
#define SQ_NUMERICS_DYADIC_H

#include <cstdint>

namespace sq::numerics {

/// How the half of a unit is rounded: up, away from zero, to the even neighbour.
enum class Rounding { HalfUp, HalfAway, HalfEven };

/// The values of a quantized integer.
struct IntegerRange {
  int64_t lo, hi;

  /// Of `bits` (1..32): [-2^(bits-1), 2^(bits-1) - 1], or [0, 2^bits - 1].
  static IntegerRange of(int bits, bool isUnsigned = false);
  int64_t clamp(int64_t value) const { return value < lo ? lo : value > hi ? hi : value; }
  /// The largest absolute value.
  int64_t magnitude() const { return -lo > hi ? -lo : hi; }
};

/// Bits of n without leading zeros; 0 for 0.
int bitLength(uint64_t n);

/// p / 2^e, rounded. `e` is 0..62 and |p| at most 2^62.
int64_t shiftRounded(int64_t p, int e, Rounding rounding);

/// m / 2^e.
struct Dyadic {
  int64_t m = 0;
  int e = 1;

  /// The nearest with 2^(width-1) <= |m| < 2^width, so that its relative error is at most
  /// 2^-width. `width` is 16..31. A ratio of 0 is 0 / 2. Throws Error when `ratio` is not finite.
  static Dyadic of(double ratio, int width = 31);

  /// clamp(round(q * m / 2^e)), |q| <= 2^32 (more when m has less than 31 bits: |q * m| < 2^62).
  /// With e >= 63 that is 0, with e <= 0 the product is exact; both are what the formula gives in
  /// exact arithmetic, and for results of at most 31 bits the latter is the limit for any q but 0.
  int64_t apply(int64_t q, IntegerRange range, Rounding rounding = Rounding::HalfEven) const;

  /// The same function of 32-bit integers into at most 30 bits, with e in 1..62 as the ops of the
  /// dialect take it.
  Dyadic encodable() const;
};

/// a * A + b * B, rounded once: the sum of two quantized tensors in the scale of a third.
struct DyadicSum {
  int64_t a = 0, b = 0;
  int e = 1;

  /// For operands of at most `magnitudeA` and `magnitudeB` (< 2^30). The constants are wide enough
  /// that their own error stays below 2^-8 of the result's unit. Throws Error when a scale is not
  /// positive and finite, or when no constants are both that precise and within 64 bits.
  static DyadicSum of(double scaleA, double scaleB, double scale, int64_t magnitudeA,
                      int64_t magnitudeB);

  int64_t apply(int64_t qa, int64_t qb, IntegerRange range,
                Rounding rounding = Rounding::HalfEven) const;
};

/// Throws Error unless `scale` is positive and finite.
void checkScale(double scale, const char *what);

} // namespace sq::numerics

#endif
