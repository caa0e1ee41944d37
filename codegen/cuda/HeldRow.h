/// A row in the registers of a warp.
#ifndef SQ_CODEGEN_CUDA_HELDROW_H
#define SQ_CODEGEN_CUDA_HELDROW_H

#include "codegen/cuda/Kernels.h"

namespace sq::cuda {

/// Row `row` of memrefs [rows, columns], of which each lane holds every 32nd
/// piece of `width` elements: the row is read once, all loads under way
/// together.
struct HeldRow {
  mlir::ImplicitLocOpBuilder &b;
  mlir::Value row, lane;
  int64_t columns, width;

  /// Elements of a piece, or none when rows of `memref` are too long, or of
  /// unknown length.
  static std::optional<int64_t> widthFor(mlir::Value memref);

  int64_t pieces() const { return llvm::divideCeil(columns, width * kWarp); }
  /// Piece `i` of this lane, vector<width x f32>; beyond the row some other
  /// piece.
  mlir::Value load(int64_t i, mlir::Value memref);
  llvm::SmallVector<mlir::Value> loadAll(mlir::Value memref);
  /// `v`, beyond the row `otherwise`.
  mlir::Value inRow(int64_t i, mlir::Value v, double otherwise);
  void store(int64_t i, mlir::Value v, mlir::Value memref);
  /// What `combine` makes of all elements of all pieces, in every lane.
  mlir::Value
  reduce(mlir::ArrayRef<mlir::Value> pieces,
         llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                        mlir::Value, mlir::Value)>
             combine);
  mlir::Value sum(mlir::ArrayRef<mlir::Value> pieces);
  /// A number in all elements of a piece.
  mlir::Value splat(mlir::Value v);

private:
  mlir::Value column(int64_t i);
  bool isPartial(int64_t i) const { return (i + 1) * width * kWarp > columns; }
};

} // namespace sq::cuda

#endif
