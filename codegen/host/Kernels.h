/// The emitters of host kernels: each replaces one op on memrefs by a
/// `sq.parallel` loop in the vector dialect. They are steps of
/// `--sq-lower-kernels`.
#ifndef SQ_CODEGEN_HOST_KERNELS_H
#define SQ_CODEGEN_HOST_KERNELS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

#include "codegen/host/HostTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {

mlir::LogicalResult lowerPackedMatmul(mlir::RewriterBase &, PackedMatmulOp, const TiledTarget &);
/// With a bf16 weight, on AMX tiles.
mlir::LogicalResult lowerAmxMatmul(mlir::RewriterBase &, PackedMatmulOp, const TiledTarget &);
mlir::LogicalResult lowerMatmul(mlir::RewriterBase &, MatmulOp, const TiledTarget &);
mlir::LogicalResult lowerAttention(mlir::RewriterBase &, AttentionOp, const TiledTarget &);
mlir::LogicalResult lowerSoftmax(mlir::RewriterBase &, SoftmaxOp, const TiledTarget &);
mlir::LogicalResult lowerLayerNorm(mlir::RewriterBase &, LayerNormOp, const TiledTarget &);
mlir::LogicalResult lowerRmsNorm(mlir::RewriterBase &, RmsNormOp, const TiledTarget &);
/// Any other linalg op: scalar loops, parallel over its outer parallel dims;
/// LLVM vectorises the inner loop.
mlir::LogicalResult lowerLinalg(mlir::RewriterBase &, mlir::linalg::LinalgOp);

/// Everything that writes whole buffers: a kernel each.
bool isKernel(mlir::Operation *op);

//===-- Small helpers that the emitters share ------------------------------===//

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
/// A dense memref of any rank as [product of the leading dims, last dim].
mlir::Value asRows(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);
/// The index of each dim in `sizes` of the flat row-major index `flat`.
llvm::SmallVector<mlir::Value> delinearize(mlir::ImplicitLocOpBuilder &b, mlir::Value flat,
                                           mlir::ValueRange sizes);
/// The innermost name of a location that tells the user which node this was.
std::string kernelName(llvm::StringRef kind, mlir::Location loc);

} // namespace sq

#endif
