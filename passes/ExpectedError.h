/// What 8 bits are expected to cost a linear layer, from its statistics alone.
#ifndef SQ_PASSES_EXPECTEDERROR_H
#define SQ_PASSES_EXPECTEDERROR_H

#include "passes/QuantizedWeight.h"

namespace sq {

/// 10 log10(signal / noise) in dB of x w, all columns together, after roundWeight. With mu_k and v_k the mean and
/// the variance of channel k of x, factor included, and channels that are independent of each other:
///
///   signal = sum_n (sum_k mu_k w_kn)^2 + sum_k v_k w_kn^2
///   noise  = sum_n sum_k e_k q_kn^2 + v_k (w_kn - q_kn)^2
///
/// q is the weight as it is stored. e_k is the mean square of what rounding x loses: without factors that of
/// all of x, by its histogram, what is clipped included; with factors, where nothing is clipped, that of a step
/// (a twelfth of its square), but no more than the channel's mean square, as all of x may become zero. The
/// error's mean is not in it: the bias takes it (correctedBias). Without statistics per channel, mu is 0.
/// With feedback the second term is what GPTQ leaves, sum_k d_k (v_kn - q_kn)^2 with the diagonal d of the factor of
/// x's covariance and v the weight as it came to row k.
///
/// Of columns [first, first + count). Infinity where nothing is lost, not a number where the layer is all zero.
double expectedSqnr(const QuantizedWeight &layer, int64_t first, int64_t count);
inline double expectedSqnr(const QuantizedWeight &layer) { return expectedSqnr(layer, 0, layer.n); }

/// The mean square of x minus what of it 8 bits keep, by the histogram.
double roundingPower(const calibration::TensorStats &stats, double scale, int64_t zero);

} // namespace sq

#endif
