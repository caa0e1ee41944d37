/// What If, Loop and Scan have in common: results of regions that run, or run again,
/// only at run time.
///
/// Tensors leave a region by being written to a destination that was made before it:
/// after bufferization `scf` ops pass no buffers on, only scalars.
#ifndef SQ_PASSES_LOWER_ONNX_REGIONS_H
#define SQ_PASSES_LOWER_ONNX_REGIONS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// `dims`, some of them computed in the region of `around`, as values before `point`,
/// which is `around` or stands before it. Nothing when one depends on what only the
/// region knows.
std::optional<Dims> dimsBefore(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> dims,
                               mlir::Operation *around, mlir::Operation *point);

/// At the insertion point: `value` is written to `destination`, which is returned.
mlir::Value writeTo(Lowering &l, mlir::Location loc, Lowered *value, mlir::Value destination);

/// Values of at most `maxCarriedScalars` known integers travel as scalars.
constexpr int64_t maxCarriedScalars = 4;
bool travelsAsScalars(Lowering &l, Lowered *value);

/// The block of an op's region with this name ("body"), null and a failure if there is
/// none.
mlir::Block *regionOf(Lowering &l, mlir::Operation *op, llvm::StringRef name);

} // namespace sq

#endif
