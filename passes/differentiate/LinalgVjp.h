/// Vector-Jacobian products of linalg and tensor ops, see Models.h.
#ifndef SQ_PASSES_DIFFERENTIATE_LINALGVJP_H
#define SQ_PASSES_DIFFERENTIATE_LINALGVJP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqInterfaces.h"

namespace sq {

void registerLinalgVjps(mlir::MLIRContext &context);
void registerTensorVjps(mlir::MLIRContext &context);

/// The vector-Jacobian product by the tensor that `read`, in the body of `op`,
/// gathers elements of: their cotangents are added up where they were read.
/// `cotangents`: of the results of `op`, null for zero.
mlir::LogicalResult buildGatherVjp(mlir::ImplicitLocOpBuilder &b,
                                   mlir::linalg::LinalgOp op,
                                   mlir::tensor::ExtractOp read,
                                   mlir::ValueRange cotangents,
                                   Gradients &gradients);

} // namespace sq

#endif
