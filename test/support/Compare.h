/// How two tensors differ.
#ifndef SQ_TEST_SUPPORT_COMPARE_H
#define SQ_TEST_SUPPORT_COMPARE_H

#include "lib/numerics/Tensor.h"

#include <string>

namespace sq::test {

/// max |a - b|; 0 where both are NaN or the same infinity, infinity where only
/// one is or the shapes differ.
double maxDifference(const numerics::Tensor &a, const numerics::Tensor &b);

/// numpy's assert_allclose, |actual - expected| <= atol + rtol |expected|, for
/// floating-point elements; others must be equal. Types and shapes too.
/// Empty when they agree, else what is wrong first and worst.
std::string mismatch(const numerics::Tensor &actual, const numerics::Tensor &expected, double rtol,
                     double atol);

} // namespace sq::test

#endif
