/// Any function of integers by parabolas, one for each of 32 segments of its
/// input's range: a table of 256 entries has less precision, the polynomials of
/// I-BERT (IntegerActivations.h) know one function and need 64 bits.
#ifndef SQ_NUMERICS_INTEGERPIECEWISE_H
#define SQ_NUMERICS_INTEGERPIECEWISE_H

#include "lib/numerics/Dyadic.h"

#include <array>
#include <functional>
#include <vector>

namespace sq::numerics {

/// c[0] + c[1] r + c[2] r^2 in each segment, r as below, real numbers.
struct Parabolas {
  std::vector<std::array<double, 3>> segments;

  /// Of f(scale * (q - zero)), by least squares in each segment. Throws Error
  /// when f is not finite somewhere.
  static Parabolas of(double scale, int64_t zero,
                      const std::function<double(double)> &f);
};

/// y(q) = clamp((bases[i] + slopes[i] * r + curves[i] * r^2) >> shift) for q =
/// 256 i + 128 + r, q in [0, 8191]. No step leaves 32 bits.
struct IntegerPiecewise {
  static constexpr int kSegments = 32;
  static constexpr int kSegmentBits = 8;
  static constexpr int kInputBits = 13;

  std::vector<int32_t> bases, slopes, curves; // slopes and curves have 16 bits
  int shift;

  /// round(f / resultScale) + resultZero. Throws Error when f is too large or
  /// too steep for that in 32 bits.
  static IntegerPiecewise of(const Parabolas &f, double resultScale,
                             int64_t resultZero);

  /// Before the shift. Of q only 13 bits count.
  int64_t sum(int64_t q) const;
  int64_t apply(int64_t q, IntegerRange range) const {
    return range.clamp(sum(q) >> shift);
  }
};

} // namespace sq::numerics

#endif
