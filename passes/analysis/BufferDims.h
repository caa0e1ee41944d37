/// Extents of buffers without the buffers.
#ifndef SQ_PASSES_ANALYSIS_BUFFERDIMS_H
#define SQ_PASSES_ANALYSIS_BUFFERDIMS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Value.h"

namespace sq {

/// The extent of dim `dim` of `memref` as a value that does not depend on any
/// buffer but the arguments: traced through views to the sizes that the buffer
/// was made with. Fails for views it does not know.
mlir::FailureOr<mlir::Value> dimWithoutBuffer(mlir::ImplicitLocOpBuilder &b, mlir::Value memref,
                                              int64_t dim);

/// `buffer`, dense and without an offset, as a dense memref of `type` with
/// `sizes`: a reinterpret_cast whose strides are computed from the sizes.
mlir::Value denseView(mlir::ImplicitLocOpBuilder &b, mlir::Value buffer, mlir::MemRefType type,
                      llvm::ArrayRef<mlir::OpFoldResult> sizes);

} // namespace sq

#endif
