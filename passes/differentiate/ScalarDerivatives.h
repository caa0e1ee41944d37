/// Reverse-mode differentiation of the scalar body of a loop.
#ifndef SQ_PASSES_DIFFERENTIATE_SCALARDERIVATIVES_H
#define SQ_PASSES_DIFFERENTIATE_SCALARDERIVATIVES_H

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// Copies to `b` the pure ops of `body`, whose arguments `copies` maps, as far
/// as their operands are mapped or come from outside: without what is unknown,
/// such as an accumulator, and what is made of it.
void copyBody(mlir::ImplicitLocOpBuilder &b, mlir::Block &body,
              mlir::IRMapping &copies);

/// Builds at `b` the derivative by `wanted`, an argument or a value of `body`,
/// of `sum_i adjoints[i] * values[i]`, values of `body`; null where it is zero.
/// `copies` has the body's values. Comparisons, conversions to integers and
/// places in tensors are constants, of maxima of equal ones the first counts.
/// Fails with a note in `why` when an op has no derivative, or when that needs
/// a value that is not in `copies`.
mlir::FailureOr<mlir::Value>
differentiateBody(mlir::ImplicitLocOpBuilder &b, mlir::Block &body,
                  const mlir::IRMapping &copies, mlir::ValueRange values,
                  mlir::ValueRange adjoints, mlir::Value wanted,
                  std::string &why);

} // namespace sq

#endif
