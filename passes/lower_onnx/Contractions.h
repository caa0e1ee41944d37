/// Products of matrices, for operators that are made of them.
#ifndef SQ_PASSES_LOWER_ONNX_CONTRACTIONS_H
#define SQ_PASSES_LOWER_ONNX_CONTRACTIONS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// A constant matrix `[k, n]`, or `[n, k]` when transposed: what sq.linear takes.
struct Weight {
  mlir::Value tensor;
  mlir::OpFoldResult k, n;
  bool transposed = false;
  /// Quantised: what the elements of x are, and f32 or i32, the elements of the product.
  mlir::Type activation = {}, result = {};
};

/// `x [.., k]` by a constant weight. A vector becomes a matrix of one row; `bias` may be null.
mlir::FailureOr<Lowered> multiplyByConstant(Lowering &l, mlir::Operation *op, Lowered *x, const Weight &weight,
                                            mlir::Value bias);

/// x [.., k] by the value `weight` of the source function, a constant matrix: sq.linear.
/// `bias`, a vector, may be null.
mlir::FailureOr<Lowered> multiplyByWeight(Lowering &l, mlir::Operation *op, Lowered *x,
                                          mlir::Value weight, Lowered *bias);

/// x [.., k] by a matrix [k, n], or [n, k] when transposed: sq.linear where it is
/// constant.
mlir::FailureOr<Lowered> multiplyByMatrix(Lowering &l, mlir::Operation *op, Lowered *x,
                                          Lowered *matrix, bool transposed);

} // namespace sq

#endif
