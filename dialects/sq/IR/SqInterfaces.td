// Interfaces of ops, of this dialect and of upstream's (as external models).
#ifndef SQ_INTERFACES
#define SQ_INTERFACES

include "mlir/IR/OpBase.td"

def Sq_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::sq";
  let description = [{
    An op on tensors that states its vector-Jacobian product as graph ops: reverse-mode
    differentiation is a walk over such ops from the last to the first (passes/Differentiate.cpp).
    What implements it, and for which ops, is in passes/differentiate/.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds, at `b`, for each value `x` that the op reads (operands, and what its regions capture)
      and that `gradients` needs, `sum_i cotangents[i]^T d result_i / d x`, and adds it there. One
      cotangent per result, of its type; null where nothing depends on that result. The op itself
      stays; its operands and results may be used.

      Fails with an error at the op, which says what cannot be differentiated and why.
    }], "::llvm::LogicalResult", "buildVjp",
    (ins "::mlir::ImplicitLocOpBuilder &":$b, "::mlir::ValueRange":$cotangents, "::sq::Gradients &":$gradients)>,
  ];
}

#endif
