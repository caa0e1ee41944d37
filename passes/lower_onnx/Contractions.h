/// Products of matrices, for operators that are made of them.
#ifndef SQ_PASSES_LOWER_ONNX_CONTRACTIONS_H
#define SQ_PASSES_LOWER_ONNX_CONTRACTIONS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

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
