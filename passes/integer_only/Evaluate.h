/// What a body of scalar operations gives for numbers that are known.
#ifndef SQ_PASSES_INTEGER_ONLY_EVALUATE_H
#define SQ_PASSES_INTEGER_ONLY_EVALUATE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>

namespace sq {

/// The element that `op` yields when its inputs are `inputs` (integers as numbers), in float64. None
/// when the body has an op that is not known, or more results.
std::optional<double> evaluateBody(mlir::linalg::GenericOp op, llvm::ArrayRef<double> inputs);

} // namespace sq

#endif
