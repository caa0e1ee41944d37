/// The ops that state their vector-Jacobian products, by external models of
/// DifferentiableOpInterface.
#ifndef SQ_PASSES_DIFFERENTIATE_MODELS_H
#define SQ_PASSES_DIFFERENTIATE_MODELS_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"

namespace sq {

/// `linear`, `matmul`, norms, `softmax`, activations, `rotary_embedding`.
void registerCompositeVjps(mlir::MLIRContext &context);
/// `embedding`, `scatter`.
void registerIndexingVjps(mlir::MLIRContext &context);
void registerAttentionVjp(mlir::MLIRContext &context);
void registerLossVjps(mlir::MLIRContext &context);

/// All models: those of `sq`, `linalg` and `tensor`.
void registerDifferentiableOpInterfaces(mlir::DialectRegistry &registry);

/// Whether `op` may be computed a second time for the backward pass, rather
/// than kept: it costs little beside the products around it. --sq-differentiate
/// recomputes what such ops make.
bool isCheapToRecompute(mlir::Operation *op);

} // namespace sq

#endif
