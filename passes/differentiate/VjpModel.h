/// Vector-Jacobian products as functions.
#ifndef SQ_PASSES_DIFFERENTIATE_VJPMODEL_H
#define SQ_PASSES_DIFFERENTIATE_VJPMODEL_H

#include "dialects/sq/IR/SqInterfaces.h"
#include "passes/differentiate/Tensors.h"

namespace sq {

/// DifferentiableOpInterface of `Op` by a function, which says what
/// buildVjp does (SqInterfaces.td) where `t` builds.
template <typename Op, llvm::LogicalResult (*Build)(
                           Op, Tensors &, mlir::ValueRange, Gradients &)>
struct VjpModel
    : DifferentiableOpInterface::ExternalModel<VjpModel<Op, Build>, Op> {
  llvm::LogicalResult buildVjp(mlir::Operation *op,
                               mlir::ImplicitLocOpBuilder &b,
                               mlir::ValueRange cotangents,
                               Gradients &gradients) const {
    Tensors t{b};
    return Build(llvm::cast<Op>(op), t, cotangents, gradients);
  }
};

template <typename Op, llvm::LogicalResult (*Build)(
                           Op, Tensors &, mlir::ValueRange, Gradients &)>
void attachVjp(mlir::MLIRContext &context) {
  Op::template attachInterface<VjpModel<Op, Build>>(context);
}

} // namespace sq

#endif
