/// What the emitters of kernels share, whatever the target.
#ifndef SQ_CODEGEN_COMMON_KERNELHELPERS_H
#define SQ_CODEGEN_COMMON_KERNELHELPERS_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

#include "dialects/sq/IR/SqOps.h"

namespace sq {

/// Everything that writes whole buffers: a kernel each.
bool isKernel(mlir::Operation *op);

mlir::Value indexConstant(mlir::ImplicitLocOpBuilder &b, int64_t value);
mlir::Value plus(mlir::ImplicitLocOpBuilder &b, mlir::Value index, int64_t offset);
/// scf.for over [begin, end) without results.
void loop(mlir::ImplicitLocOpBuilder &b, mlir::Value begin, mlir::Value end, int64_t step,
          llvm::function_ref<void(mlir::ImplicitLocOpBuilder &, mlir::Value)> body);
/// The extent of a dim, constant when static.
mlir::Value dimOf(mlir::ImplicitLocOpBuilder &b, mlir::Value memref, int64_t dim);
mlir::Value product(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange values);
mlir::Value ceilDiv(mlir::ImplicitLocOpBuilder &b, mlir::Value a, mlir::Value c);
/// Ranges per thread worth at least `target` units of work, one unit of the
/// range costing `cost`: max(1, target / max(1, cost)).
mlir::Value grainFor(mlir::ImplicitLocOpBuilder &b, mlir::Value cost, int64_t target);
/// `memref` with a dense row-major layout: itself, or a fresh copy.
mlir::Value denseMemref(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);
/// Memory [threads][sizes...] of which each thread has its own part. Parts are apart, by more rows (of the first of `sizes`):
/// what a core's cache fetches ahead at the end of one would take from another core what it writes.
mlir::Value allocPerThread(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type element);
/// A dense memref of any rank as [product of the leading dims, last dim].
mlir::Value asRows(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);
/// The index of each dim in `sizes` of the flat row-major index `flat`.
llvm::SmallVector<mlir::Value> delinearize(mlir::ImplicitLocOpBuilder &b, mlir::Value flat,
                                           mlir::ValueRange sizes);
/// Writes the strides of a memref.expand_shape out: upstream's
/// --expand-strided-metadata (22.1) crashes on a group with two dynamic dims.
void flattenExpansion(mlir::RewriterBase &rewriter, mlir::memref::ExpandShapeOp op);
/// The innermost name of a location that tells the user which node this was.
std::string kernelName(llvm::StringRef kind, mlir::Location loc);

} // namespace sq

#endif
