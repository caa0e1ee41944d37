/// The emitters of host kernels: each replaces one op on memrefs by a
/// `sq.parallel` loop in the vector dialect. They are steps of
/// `--sq-lower-kernels`.
#ifndef SQ_CODEGEN_HOST_KERNELS_H
#define SQ_CODEGEN_HOST_KERNELS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

#include "codegen/common/KernelHelpers.h"
#include "codegen/host/HostTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {

mlir::LogicalResult lowerPackedMatmul(mlir::RewriterBase &, PackedMatmulOp, const TiledTarget &);
/// x of products by codes of bytes that are still to be lowered, rounded already: the bytes, the scales of its rows, x transposed
/// (may be null), and sums of its groups (null where the product needs none).
struct RoundedInput {
  mlir::Value bytes, scale, transposed, groupSums;
};
using RoundedInputs = llvm::DenseMap<mlir::Operation *, RoundedInput>;
/// With a weight of codes.
mlir::LogicalResult lowerCodedMatmul(mlir::RewriterBase &, PackedMatmulOp, const TiledTarget &, RoundedInputs &);
/// Tiles for sums of bytes: without VNNI each operand takes two registers.
TiledTarget tilesForBytes(const TiledTarget &);
/// With a weight of bf16 or bytes, on AMX tiles.
bool wantsAmx(PackedMatmulOp, const TiledTarget &);
/// x of products that are still to be lowered and whose tiles are there already.
using TiledInputs = llvm::DenseMap<mlir::Operation *, mlir::Value>;
mlir::LogicalResult lowerAmxMatmul(mlir::RewriterBase &, PackedMatmulOp, const TiledTarget &, TiledInputs &);
mlir::LogicalResult lowerMatmul(mlir::RewriterBase &, MatmulOp, const TiledTarget &);
mlir::LogicalResult lowerAttention(mlir::RewriterBase &, AttentionOp, const TiledTarget &);
mlir::LogicalResult lowerKvAttend(mlir::RewriterBase &, KvAttendOp, const TiledTarget &);
mlir::LogicalResult lowerKvAppend(mlir::RewriterBase &, KvAppendOp, const TiledTarget &);
/// One that may round to bf16, with static heads, on AMX tiles.
mlir::LogicalResult lowerAmxAttention(mlir::RewriterBase &, AttentionOp);
/// Heads of 4 elements or a multiple.
mlir::LogicalResult lowerIntAttention(mlir::RewriterBase &, IntAttentionOp, const TiledTarget &);
mlir::LogicalResult lowerIntNormRows(mlir::RewriterBase &, IntNormRowsOp, const TiledTarget &);
mlir::LogicalResult lowerLookup(mlir::RewriterBase &, LookupOp, const TiledTarget &);
mlir::LogicalResult lowerSoftmax(mlir::RewriterBase &, SoftmaxOp, const TiledTarget &);
mlir::LogicalResult lowerLayerNorm(mlir::RewriterBase &, LayerNormOp, const TiledTarget &);
mlir::LogicalResult lowerRmsNorm(mlir::RewriterBase &, RmsNormOp, const TiledTarget &);
mlir::LogicalResult lowerScatter(mlir::RewriterBase &, ScatterOp);
/// Any other linalg op: scalar loops, parallel over its outer parallel dims;
/// LLVM vectorises the inner loop.
mlir::LogicalResult lowerLinalg(mlir::RewriterBase &, mlir::linalg::LinalgOp);

} // namespace sq

#endif
