/// What operators on signals share.
#ifndef SQ_PASSES_LOWER_ONNX_SIGNALS_H
#define SQ_PASSES_LOWER_ONNX_SIGNALS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

struct Turn {
  mlir::Value cos, sin; // f64
};
/// Cosine and sine of 2 pi m / n, for i64 0 <= m < n, as arithmetic: the same on every
/// target (a GPU has none of f64). The angle is reduced to an eighth of a turn in
/// integers, so that what is 0 or symmetric is exactly so.
Turn turn(Scalars &s, mlir::Value m, mlir::Value n);

/// The one element of operand `i` as i64.
mlir::FailureOr<mlir::Value> oneInteger(Lowering &l, mlir::Operation *op, unsigned i,
                                        llvm::StringRef what);

} // namespace sq

#endif
