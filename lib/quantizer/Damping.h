/// Squared gradients of few samples, made less noisy.
#ifndef SQ_LIB_QUANTIZER_DAMPING_H
#define SQ_LIB_QUANTIZER_DAMPING_H

#include <cstdint>

namespace sq::quantizer {

/// Moves sums of squared gradients [n][k] towards what their row and their
/// column say of them, R_ij = (sum of row i) (sum of column j) / (sum of all):
/// a linear layer's gradient is a product of what comes back to output i and of
/// input j, and R is its mean square where the two are independent.
///
/// A gradient that is N(0, f) over `samples` samples has a mean square of
/// variance 2 f^2 / samples. How far the values are from R beyond that is what
/// is true of them, and they keep that share of their distance from R: the
/// credibility estimate (Buehlmann 1967). `least` is the share of the distance
/// that goes in any case, as gradients have heavier tails; 0 to 1. Returns the
/// share that went. `values` are finite and not below 0; what is all 0 stays.
double dampSensitivities(float *values, int64_t n, int64_t k, int64_t samples,
                         double least);

} // namespace sq::quantizer

#endif
