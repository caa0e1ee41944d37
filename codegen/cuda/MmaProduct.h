/// A tile of a linear layer by one block, on tensor cores.
#ifndef SQ_CODEGEN_CUDA_MMAPRODUCT_H
#define SQ_CODEGEN_CUDA_MMAPRODUCT_H

#include "codegen/cuda/SplitK.h"

namespace sq::cuda {

/// c[m, n] = sum_k x[m, k] w[n / 64, k, n mod 64] by four warps, two by two,
/// with a square of `warpTile` rows and columns each. The factors are f16,
/// bf16, or f32 that are rounded to tf32; the sums f32.
struct MmaProduct {
  enum Factors { F16, BF16, TF32 };
  static constexpr int64_t kThreads = 128;

  Factors factors;
  mlir::Value x,
      weight; // [rows, depth], [panels, depth, 64], both of the factors' type
  mlir::Value rows, columns; // M, N
  int64_t depth;             // K
  int64_t warpTile;          // 32 for one panel of columns, 64 for two
  StoreSum store; // takes eight sums of a row where N is a multiple of eight

  static Factors factorsOf(mlir::Type weight);
  int64_t rowsOfBlock() const { return 2 * warpTile; }
  int64_t panelsOfBlock() const { return warpTile / 32; }
  /// Dynamic shared memory that `emit` needs.
  int64_t sharedBytes() const;
  /// Blocks that a multiprocessor is to hold: what registers allow without
  /// spills.
  int64_t minBlocks() const { return warpTile == 64 ? 2 : 4; }
  /// The steps of k that the block goes through, [begin, end), from a multiple
  /// of `step()`.
  void emit(Thread &t, mlir::Value firstRow, mlir::Value firstPanel,
            mlir::Value begin, mlir::Value end);
  int64_t step() const { return factors == TF32 ? 16 : 32; } // 64 bytes
};

} // namespace sq::cuda

#endif
