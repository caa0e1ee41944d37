/// What a row of an integer norm is divided by, see `sq.int_layer_norm`.
#ifndef SQ_PASSES_LOWER_INTEGER_NORMROW_H
#define SQ_PASSES_LOWER_INTEGER_NORMROW_H

#include "passes/lower_integer/Arithmetic.h"

namespace sq {

/// Arithmetic on one number a row, for loops and kernels alike.
struct NormRow {
  int64_t channels, shift;
  numerics::Interval ofElement;

  /// Of the rounded mean: as elements, with fraction bits.
  numerics::Interval ofMean() const {
    return ofElement.shiftLeft(numerics::Interval::of(shift));
  }
  /// From the sum of the elements, an i64.
  Ranged mean(Arithmetic &a, mlir::Value sum) const;
  /// R, 0 to 2^31, from the sum of squares and epsilon, an i64 below 2^62.
  Ranged reciprocal(Arithmetic &a, mlir::Value variance) const;
  /// l - k, 1 to 31.
  Ranged shiftOf(Arithmetic &a, mlir::Value variance) const;
};

} // namespace sq

#endif
