/// Triangular factors of symmetric positive definite matrices.
#ifndef SQ_LIB_QUANTIZER_CHOLESKY_H
#define SQ_LIB_QUANTIZER_CHOLESKY_H

#include <cstdint>
#include <vector>

namespace sq::quantizer {

/// `a` is [n][n], its upper triangle read and replaced by R, R^T R = A; what is below is undefined
/// after it. False, with an undefined `a`, when A is not positive definite or not finite. The same, to the bit, for any
/// number of threads (0: all cores).
bool factorize(std::vector<double> &a, int64_t n, int threads = 1);

} // namespace sq::quantizer

#endif
