/// Traces and greatest eigenvalues of matrices that are known by their products
/// with vectors: spec mixed-precision.md sections 3 and 4.
#ifndef SQ_LIB_SENSITIVITY_HUTCHINSON_H
#define SQ_LIB_SENSITIVITY_HUTCHINSON_H

#include <functional>

#include "lib/sensitivity/SensitivityFile.h"

namespace sq::sensitivity {

/// `v` becomes the Rademacher vector (elements of 1 and -1, each with
/// probability 1/2) of probe `probe` for layer `layer`: a function of these and
/// the seed alone.
void rademacher(uint64_t seed, uint32_t layer, uint32_t probe, float *v,
                size_t count);

/// v . x, summed in double.
double dot(const float *v, const float *x, size_t count);

/// Half the distance of the two gradients whose difference is a product Hv,
/// along a `v` with elements of 1 and -1: 1e-3 ||w|| / ||v|| (section 4, item
/// 2). Of weights that are all zero, 1e-3.
double differenceStep(const float *weights, size_t count);

/// Whether the standard error of every mean is at most `tolerance` of it, after
/// 16 probes at least (section 3, stop rule).
bool areConverged(const std::vector<Trace> &traces, double tolerance);

/// Of power iteration.
struct Eigenvalue {
  double value = 0;  // Rayleigh's quotient of the last step
  double change = 0; // relative, of the last step
  uint32_t steps = 0;
};

/// The eigenvalue of greatest magnitude of the symmetric `product`, which turns
/// a vector of `count` into H times it, or fails. Starts from a Rademacher
/// vector of `layer`; ends when the value changes by less than `tolerance`, or
/// after `most` steps.
Status
powerIteration(size_t count, uint64_t seed, uint32_t layer, double tolerance,
               uint32_t most,
               const std::function<Status(const std::vector<float> &v,
                                          std::vector<float> &hv)> &product,
               Eigenvalue &result);

} // namespace sq::sensitivity

#endif
