/// How sums leave the registers of tensor cores.
#ifndef SQ_CODEGEN_CUDA_SUMROWS_H
#define SQ_CODEGEN_CUDA_SUMROWS_H

#include "codegen/cuda/SplitK.h"

namespace sq::cuda {

/// 16 rows and `width` columns of sums as mma leaves them in a warp: of each 8
/// columns a lane holds (group, 2 member), (group, 2 member + 1) and the same
/// eight rows below, where lane = 4 group + member.
struct SumRows {
  static constexpr int64_t kRows = 16;
  static constexpr int64_t kTogether = 8; // sums that a lane finishes at once

  mlir::Value lane, warp;    // of the block
  mlir::Value rows, columns; // M, N
  int64_t width;

  /// Floats of shared memory for a warp.
  static int64_t sharedFloats(int64_t width) { return kRows * (width + kPad); }
  /// `staged`, [warps, 16, width + 8] f32, for this.
  static llvm::SmallVector<int64_t> stagedShape(int64_t warps, int64_t width) {
    return {warps, kRows, width + kPad};
  }

  /// Hands the sums from row `top` and column `left` on to `store`, eight
  /// neighbours of a row at a time where N is a multiple of eight.
  void store(mlir::ImplicitLocOpBuilder &b, mlir::Value staged, mlir::Value top,
             mlir::Value left, mlir::ValueRange sums,
             const StoreSum &store) const;

private:
  static constexpr int64_t kPad = 8; // stores of a half warp meet all banks
};

} // namespace sq::cuda

#endif
