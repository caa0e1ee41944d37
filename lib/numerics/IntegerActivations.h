/// Activations of quantized integers: i-GELU and i-exp after I-BERT (Kim et al. 2021, sections 3.4
/// and 3.5), what follows from them, and tables. A value is a real number x = scale * q.
#ifndef SQ_NUMERICS_INTEGERACTIVATIONS_H
#define SQ_NUMERICS_INTEGERACTIVATIONS_H

#include "lib/numerics/Dyadic.h"

#include <functional>
#include <vector>

namespace sq::numerics {

/// GELU by a polynomial of second degree, of 32-bit integers.
struct IntegerGelu {
  int64_t b;    // where erf is 1: inputs are clamped to [-b, hi]
  int64_t c;    // erf = 1
  int shift;    // takes c to 15 bits
  int64_t one;  // c after it
  int64_t hi;   // above it every result is the limit
  Dyadic out;   // from the product's scale to the result's
  double rawScale;

  /// Throws Error when the input's scale is too coarse (above 0.33) or the two scales are too far
  /// apart for 64-bit products.
  static IntegerGelu of(double scale, double resultScale, IntegerRange range);

  /// q * (1 + erf): what `out` is applied to.
  int64_t product(int64_t q) const;
  int64_t apply(int64_t q, IntegerRange range, Rounding rounding = Rounding::HalfEven) const;
};

/// exp(-scale * d) for d >= 0, as p >> z with 2^-z and a polynomial of second degree.
struct IntegerExp {
  int u;        // the scale is made 2^-u times itself, so that
  int64_t ln2;  // this is 4096..8191
  int64_t b, c;
  int64_t one;  // exp(0), 2^26..2^29

  /// Throws Error unless 2^-44 < scale < 2^18 or so (u within 31 either way).
  static IntegerExp of(double scale);

  /// In units of exp(0) / one. `d` is 0..2^32; 0 where exp is below 2^-30.
  int64_t apply(int64_t d) const;
};

/// Sigmoid, tanh and x * sigmoid(x), in units of 2^-15 before the last step.
struct IntegerSigmoid {
  enum class Kind { Sigmoid, Tanh, Silu };
  Kind kind;
  IntegerExp exp;     // of the scale, for tanh of twice the scale
  int64_t lo, hi;     // SiLU: what its input is clamped to, beyond it the result is 0 or the limit
  Dyadic out;         // from 2^-15 (SiLU: scale * 2^-15) to the result's scale

  static IntegerSigmoid of(Kind kind, double scale, double resultScale, IntegerRange range);

  /// Sigmoid or tanh of q in units of 2^-15; |q| <= 2^31.
  int64_t unit15(int64_t q) const;
  int64_t apply(int64_t q, IntegerRange range, Rounding rounding = Rounding::HalfEven) const;
};

/// The table of an 8-bit function: entry i is the result for the integer whose bits are i.
using Table = std::vector<int32_t>;

/// Of an integer function of -128..127 or 0..255.
Table tableOf(bool isUnsigned, const std::function<int64_t(int64_t)> &function);

/// Of any real function, correctly rounded (ties to even):
/// clamp(round(f(scale * (q - zero)) / resultScale) + resultZero). Throws Error where f is NaN.
Table tableOf(bool isUnsigned, double scale, int64_t zero, const std::function<double(double)> &f,
              double resultScale, int64_t resultZero, IntegerRange range);

} // namespace sq::numerics

#endif
