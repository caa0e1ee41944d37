/// i-LayerNorm and i-RMSNorm: normalization of rows of integers, with integers only.
#ifndef SQ_NUMERICS_INTEGERNORM_H
#define SQ_NUMERICS_INTEGERNORM_H

#include "lib/numerics/Dyadic.h"

#include <vector>

namespace sq::numerics {

struct IntegerNorm {
  int64_t channels;
  bool centred;     // layer norm subtracts the mean, RMS norm does not
  int shift;        // fraction bits that elements get, for the mean's sake
  int64_t epsilon;  // in units of the sum of squares

  /// For rows of `channels` integers of `bits` (2..32) in units of `scale`. Throws Error when
  /// their sum of squares can leave 64 bits.
  static IntegerNorm of(int64_t channels, bool centred, int bits, double scale, double epsilon);

  /// (q - mean) / sqrt(var + epsilon) in units of sqrt(channels) / 2^30.
  std::vector<int64_t> normalize(const std::vector<int64_t> &q) const;
};

/// y = gamma * x + beta of what `normalize` gives, into the result's scale.
struct IntegerAffine {
  std::vector<int64_t> m; // of 32 bits, signed; 0 for gamma = 0
  std::vector<int64_t> b;
  int e;

  /// `beta` is empty or as long as `gamma`. Throws Error when a value is not finite or beyond what
  /// 64 bits hold.
  static IntegerAffine of(const std::vector<double> &gamma, const std::vector<double> &beta,
                          double resultScale);

  std::vector<int64_t> apply(const std::vector<int64_t> &normalized, IntegerRange range,
                             Rounding rounding = Rounding::HalfEven) const;
};

} // namespace sq::numerics

#endif
