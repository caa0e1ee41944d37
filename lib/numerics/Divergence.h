/// How far one distribution or vector is from another.
#ifndef SQ_NUMERICS_DIVERGENCE_H
#define SQ_NUMERICS_DIVERGENCE_H

#include <cstdint>

namespace sq::numerics {

/// KL(p || q) = sum p (log p - log q) in nats, p and q the softmax of
/// `reference` and `got` [classes], in double. Not a number where one of them
/// has a NaN or an infinity other than -inf in `reference`; infinity where q
/// excludes what p does not.
double klDivergence(const float *reference, const float *got, int64_t classes);

/// sum (reference - got)^2 / sum reference^2; 0 for two vectors of zeros,
/// infinity where only the reference is one.
double relativeSquares(const float *reference, const float *got, int64_t count);

} // namespace sq::numerics

#endif
