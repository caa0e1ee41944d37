/// A tile of a linear layer by one block, on tensor cores.
#ifndef SQ_CODEGEN_CUDA_MMAPRODUCT_H
#define SQ_CODEGEN_CUDA_MMAPRODUCT_H

#include "codegen/cuda/SplitK.h"

namespace sq::cuda {

/// c[m, n] = sum_k x[m, k] w[n / 64, k, n mod 64] for 64 rows and the columns
/// of one panel; x and c are f32 in memory, the factors f16, bf16 or tf32, the
/// sums f32.
struct MmaProduct {
  enum Factors { F16, BF16, TF32 };
  static constexpr int64_t kRows = 64, kColumns = kCudaPanelColumns, kThreads = 128;

  Factors factors;
  mlir::Value x, weight;      // [rows, depth] f32, [panels, depth, 64] of the factors' type
  mlir::Value rows, columns;  // M, N
  int64_t depth;              // K
  StoreSum store;

  /// Shared memory that `emit` needs, to be asked of `launch`.
  llvm::SmallVector<mlir::MemRefType> shared(mlir::ImplicitLocOpBuilder &b) const;
  /// The steps of k that the block goes through, [begin, end), from a multiple
  /// of `step()`.
  void emit(Thread &t, mlir::Value firstRow, mlir::Value panel, mlir::Value begin, mlir::Value end);
  int64_t step() const { return factors == TF32 ? 16 : 32; }
};

} // namespace sq::cuda

#endif
