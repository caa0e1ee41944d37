/// i-Softmax: attention's probabilities from integer scores, with integers only.
#ifndef SQ_NUMERICS_INTEGERSOFTMAX_H
#define SQ_NUMERICS_INTEGERSOFTMAX_H

#include "lib/numerics/IntegerActivations.h"

#include <vector>

namespace sq::numerics {

/// What a row gives when none of its elements is kept: zeros, or as if all were.
enum class FullyMasked { Zeros, Uniform };

/// exp(q - max) of a row of 32-bit scores, in units of exp(0) / exp.one. `keep` is empty (all are
/// kept) or as long as the row; what is not kept does not count for the maximum and is 0.
std::vector<int64_t> integerExpRow(const IntegerExp &exp, const std::vector<int64_t> &q,
                                   const std::vector<bool> &keep,
                                   FullyMasked masked = FullyMasked::Zeros);

/// Probabilities in units of 1/256, at most 255: min(255, round(256 e / sum e)), by one division a
/// row. A sum of 0 gives zeros. This is what programs compute.
std::vector<int64_t> probabilities(const std::vector<int64_t> &e);
/// The same by the definition, one division an element.
std::vector<int64_t> probabilitiesByDivision(const std::vector<int64_t> &e);

/// The deferred form: e as 0..255 in units of the row's largest, to be divided by their sum only
/// after the product with the values. A fixed 1/256 lets the probabilities of long, even rows
/// vanish: at 513 equal scores all are 0.
std::vector<int64_t> deferredProbabilities(const IntegerExp &exp, const std::vector<int64_t> &e);

/// The other half: acc = sum_i p_i v_i of deferred probabilities whose sum is `sum`, as their mean
/// in units of the values' scale / 65536; 0 for a sum of 0. |acc| <= 128 sum, sum < 2^24.
int64_t normalizeContext(int64_t acc, int64_t sum);

} // namespace sq::numerics

#endif
