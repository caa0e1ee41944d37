/// Vector-Jacobian products of linalg and tensor ops, see Models.h.
#ifndef SQ_PASSES_DIFFERENTIATE_LINALGVJP_H
#define SQ_PASSES_DIFFERENTIATE_LINALGVJP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"

namespace sq {

void registerLinalgVjps(mlir::MLIRContext &context);
void registerTensorVjps(mlir::MLIRContext &context);

} // namespace sq

#endif
