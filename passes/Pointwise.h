/// Elementwise loops, and reductions of rows, on tensors.
#ifndef SQ_PASSES_POINTWISE_H
#define SQ_PASSES_POINTWISE_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// A tensor and which of its elements a point of the loops reads.
struct Input {
  mlir::Value tensor;
  mlir::AffineMap map;
};

/// `tensor` at the point itself.
Input like(mlir::ImplicitLocOpBuilder &b, mlir::Value tensor);

/// Makes the result's element from those of the inputs, in their order.
using Body = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>;

/// A loop for each dim of `init`, all parallel; the result is of its type.
mlir::Value pointwise(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<Input> inputs, mlir::Value init,
                      Body body);

/// One loop more than `init` has dims, over which it is reduced: `body` gets, last, what was
/// accumulated, which starts as `init`.
mlir::Value reduceRows(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<Input> inputs, mlir::Value init,
                       Body body);

} // namespace sq

#endif
