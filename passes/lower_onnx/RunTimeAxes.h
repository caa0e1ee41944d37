/// Axes that are only known when the model runs.
///
/// A loop nest has a fixed number of loops, so what an axis selects becomes sizes:
/// each dim is split or replaced by `select(is an axis, ...)`, and the element order
/// stays as it is.
#ifndef SQ_PASSES_LOWER_ONNX_RUNTIMEAXES_H
#define SQ_PASSES_LOWER_ONNX_RUNTIMEAXES_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// For each of `rank` dims, whether it is among `axes` (i64 scalars, negative ones count
/// from the end), as i1. Run time checks that they are in range and all different.
llvm::SmallVector<mlir::Value> axisFlags(Lowering &l, mlir::Operation *op,
                                         llvm::ArrayRef<mlir::Value> axes, int64_t rank);
/// i1 ? a : b.
mlir::OpFoldResult selectDim(Lowering &l, mlir::Value condition, mlir::OpFoldResult a,
                             mlir::OpFoldResult b);
/// The dims whose flag is false; `count` of the flags are true.
Dims withoutFlagged(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> dims,
                    llvm::ArrayRef<mlir::Value> flags, int64_t count);
/// The dims with a 1 put in at each position of the result whose flag is true.
Dims withOnesAt(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> dims,
                llvm::ArrayRef<mlir::Value> flags);
/// The product of the dims before `axis`, its own size, and the product of those behind.
Dims splitAround(Lowering &l, mlir::Operation *op, llvm::ArrayRef<mlir::OpFoldResult> dims,
                 mlir::Value axis);

} // namespace sq

#endif
