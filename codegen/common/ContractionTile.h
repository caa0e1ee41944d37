/// The contraction tile: the inner loop of every matrix product.
#ifndef SQ_CODEGEN_COMMON_CONTRACTIONTILE_H
#define SQ_CODEGEN_COMMON_CONTRACTIONTILE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Value.h"

namespace sq {

/// A tile of `rows` x `vectors` accumulators of `vectorType`. The callbacks
/// emit one element of the left operand (row, k) as a scalar (or as `multiply`
/// takes it) and one vector of the right operand (k, vector).
struct ContractionTile {
  int64_t rows, vectors;
  mlir::VectorType vectorType;
  mlir::Value depth; // index, the extent of k
  llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, int64_t row, mlir::Value k)> lhs;
  llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value k, int64_t vector)> rhs;
  /// What the sums begin with, row by row; empty: zeros.
  llvm::ArrayRef<mlir::Value> init = {};
  /// acc + lhs * rhs; null: of floats, the left element broadcast.
  llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value lhs, mlir::Value rhs, mlir::Value acc)>
      multiply = nullptr;
  /// What else a step of k does, before its products: prefetches. May be null.
  llvm::function_ref<void(mlir::ImplicitLocOpBuilder &, mlir::Value k)> step = nullptr;
  /// Steps of k in a round of the loop; what is left of a constant depth comes behind it. Of another depth it must be 1.
  int64_t unroll = 1;
};

/// Emits the k loop: the right operand's vectors are loaded once a step, each
/// left element is broadcast and multiplied into a row of accumulators.
/// Returns the sums, row by row.
llvm::SmallVector<mlir::Value> emitContractionTile(mlir::ImplicitLocOpBuilder &b,
                                                   const ContractionTile &tile);

/// Emits tiles for all rows of [begin, end), which is not empty: as many of
/// `rows` as fit, then one that has an even number of rows. Its last row may
/// be there twice, so computing a row twice must do no harm. `tile` gets the
/// index of each of its rows.
void emitRowTiles(mlir::ImplicitLocOpBuilder &b, mlir::Value begin, mlir::Value end, int64_t rows,
                  llvm::function_ref<void(mlir::ImplicitLocOpBuilder &, llvm::ArrayRef<mlir::Value>)> tile);

} // namespace sq

#endif
