/// Which weights leave the dense part of a matrix: specification
/// dense-and-sparse.md 3.
#ifndef SQ_LIB_QUANTIZER_EXTRACTION_H
#define SQ_LIB_QUANTIZER_EXTRACTION_H

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/tensorio/Tensor.h"

namespace sq::quantizer {

struct ExtractionRule {
  double sensitive = 0;      // percent of the matrix, of largest sensitivity
  double outliers = 0;       // percent of the matrix, of largest magnitude
  std::optional<double> iqr; // instead of `outliers`: beyond the quartiles by
                             // more than so many times their distance
};

struct Extraction {
  std::vector<uint8_t> removed; // [n][k]: 0, kSensitive or kOutlier
  int64_t sensitive = 0, outliers = 0;
  double threshold =
      0; // of the rule iqr: magnitudes from there on are outliers
};
inline constexpr uint8_t kSensitive = 1, kOutlier = 2;

/// First floor(n k sensitive / 100) weights by sensitivity, then among the
/// others floor(n k outliers / 100) by magnitude; of equals those in front. The
/// rule iqr: |w| >= max(|q1 - r (q3 - q1)|, |q3 + r (q3 - q1)|), with the
/// quartiles of the whole matrix by linear interpolation. `sensitivities`
/// [n][k] may be null when rule.sensitive is 0. Refuses shares that are none,
/// and weights that are not finite.
Status extract(const float *weight, const float *sensitivities, int64_t n,
               int64_t k, const ExtractionRule &rule, Extraction &result);

} // namespace sq::quantizer

#endif
