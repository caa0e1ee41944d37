/// Matrix products.
#ifndef SQ_NUMERICS_CONTRACTION_H
#define SQ_NUMERICS_CONTRACTION_H

#include "lib/numerics/Tensor.h"

namespace sq::numerics {

/// numpy.matmul: c[.., m, n] = sum_k a[.., m, k] b[.., k, n], k ascending,
/// leading dims broadcast; a vector on the left (right) is a row (column) whose
/// dim is dropped from the result. Integers wrap.
Tensor matmul(const Tensor &a, const Tensor &b);

/// ONNX Gemm: alpha op(a) op(b) + beta c; `c` may be null and broadcasts.
Tensor gemm(const Tensor &a, const Tensor &b, const Tensor *c, double alpha, double beta,
            bool transposeA, bool transposeB);

} // namespace sq::numerics

#endif
