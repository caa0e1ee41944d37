/// `numerics::ContextFactor`, the division of attention by the sum of its
/// exponentials, for 16 queries at a time.
#ifndef SQ_CODEGEN_HOST_CONTEXTVECTORS_H
#define SQ_CODEGEN_HOST_CONTEXTVECTORS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// Factors of 16 queries as vectors of i32.
struct ContextVectors {
  mlir::Value reciprocal, shift;

  /// ContextFactor::of `sum`, below 2^31, and the dyadic number
  /// `multiplier` 2^-`exponent`. In integers throughout; needs AVX-512.
  static ContextVectors of(mlir::ImplicitLocOpBuilder &b, mlir::Value sum,
                           int64_t multiplier, int64_t exponent);
};

/// The same as 64-bit numbers, of the even and of the odd queries.
struct ContextFactors {
  mlir::Value reciprocal[2], half[2], shift[2];

  ContextFactors(mlir::ImplicitLocOpBuilder &b, const ContextVectors &factors);

  /// ContextFactor::apply to 16 i32; results are within 2^30.
  mlir::Value apply(mlir::ImplicitLocOpBuilder &b, mlir::Value acc) const;
};

} // namespace sq

#endif
