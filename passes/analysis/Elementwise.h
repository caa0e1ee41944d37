/// Reading `linalg.generic` ops of one scalar operation, which is what
/// `--sq-lower-onnx` makes of an elementwise ONNX op.
#ifndef SQ_PASSES_ANALYSIS_ELEMENTWISE_H
#define SQ_PASSES_ANALYSIS_ELEMENTWISE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>

namespace sq {

/// The single op, constants aside, of the body of an elementwise generic with one result, or null.
mlir::Operation *singleBodyOp(mlir::linalg::GenericOp op);

/// Input `i` of the generic that operand `operand` of its single body op reads, or none.
std::optional<unsigned> inputRead(mlir::linalg::GenericOp op, mlir::Value operand);

/// The generic of exactly the two inputs that `v` is computed from by `Op`, whose
/// operands are these inputs (in any order), or null.
template <typename Op>
mlir::linalg::GenericOp definedByBinary(mlir::Value v) {
  auto generic = v.getDefiningOp<mlir::linalg::GenericOp>();
  auto op = mlir::dyn_cast_or_null<Op>(singleBodyOp(generic));
  if (!op || generic.getNumDpsInputs() != 2)
    return nullptr;
  std::optional<unsigned> left = inputRead(generic, op->getOperand(0));
  std::optional<unsigned> right = inputRead(generic, op->getOperand(1));
  return left && right && *left != *right ? generic : mlir::linalg::GenericOp();
}

/// `v = source * factor` with a constant factor, every element.
std::optional<std::pair<mlir::Value, double>> matchScaled(mlir::Value v);

} // namespace sq

#endif
