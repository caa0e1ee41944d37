/// AMX instructions on whole tiles: 16 rows of 64 bytes. The `.internal` intrinsics leave tile
/// numbers and configuration to LLVM (specs/host-codegen.md, section 9.3).
///
/// After some 1700 cycles without a product the next one takes 750 cycles longer (measured on a Xeon, family 6 model 167):
/// longer stretches of other work are to have some.
#ifndef SQ_CODEGEN_HOST_AMXTILES_H
#define SQ_CODEGEN_HOST_AMXTILES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq::amx {

constexpr int64_t kTileRows = 16, kRowBytes = 64;

/// Address of the element of `memref` (dense) at the flat index `element`.
mlir::Value address(mlir::ImplicitLocOpBuilder &b, mlir::Value memref, mlir::Value element);

/// Rows at `from`, `stride` bytes apart. A streamed tile leaves others in L1.
/// (LLVM makes one of equal loads, and copies through memory where it is needed twice.)
mlir::Value loadTile(mlir::ImplicitLocOpBuilder &b, mlir::Value from, mlir::Value stride, bool stream = false);
void storeTile(mlir::ImplicitLocOpBuilder &b, mlir::Value tile, mlir::Value to, mlir::Value stride);
mlir::Value strideOf(mlir::ImplicitLocOpBuilder &b, int64_t bytes);

/// Four times 64 zero bytes in the frame, to load tiles of zeros from with a stride of 0: four times tilezero would be one for
/// LLVM, and copies of it through memory.
mlir::Value zeroLines(mlir::ImplicitLocOpBuilder &b);

/// sums [16][16] f32 += a [16][32] bf16 times b [16][16][2]: pairs along k.
mlir::Value multiplyBf16(mlir::ImplicitLocOpBuilder &b, mlir::Value sums, mlir::Value lhs, mlir::Value rhs);
/// sums [16][16] i32 += a [16][64] bytes times b [16][16][4] bytes: fours along k; which of them are signed.
enum class Signs { UnsignedSigned, SignedUnsigned, SignedSigned };
mlir::Value multiplyBytes(mlir::ImplicitLocOpBuilder &b, mlir::Value sums, mlir::Value lhs, mlir::Value rhs,
                          Signs signs = Signs::UnsignedSigned);

/// Of attention: how many of a head's `blocks` of queries are a task, of `heads` of all the batch. A task brings its keys
/// into tiles first, so that is all of them where threads get equally many heads, or nearly; else threads share a head.
mlir::Value blocksPerTask(mlir::ImplicitLocOpBuilder &b, mlir::Value blocks, mlir::Value heads);

/// Two vectors of 16 f32, rounded to the nearest bf16 (ties to even), as one of 32.
mlir::Value toBf16(mlir::ImplicitLocOpBuilder &b, mlir::Value low, mlir::Value high);

} // namespace sq::amx

#endif
