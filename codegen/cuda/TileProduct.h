/// A tile of a matrix product by one block, through shared memory, in f32.
#ifndef SQ_CODEGEN_CUDA_TILEPRODUCT_H
#define SQ_CODEGEN_CUDA_TILEPRODUCT_H

#include <functional>

#include "codegen/cuda/SplitK.h"

namespace sq::cuda {

/// c[m, n] = sum of a[m, k] b[k, n], begin <= k < end, for the rows and columns of one block.
/// Loads and stores are the caller's: they know layouts and epilogues. They
/// are called for indices below the extents only.
struct TileProduct {
  static constexpr int64_t kRows = 64, kColumns = 64, kDepth = 16, kThreads = 256;

  mlir::Value rows, columns;        // M, N
  mlir::Value begin, end;           // of k
  std::function<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value m, mlir::Value k)> loadA;
  std::function<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value k, mlir::Value n)> loadB;
  StoreSum store;

  /// Shared memory that `emit` needs, to be asked of `launch`.
  static llvm::SmallVector<mlir::MemRefType> shared(mlir::ImplicitLocOpBuilder &b);
  /// The tile at rows from `firstRow` and columns from `firstColumn`.
  void emit(Thread &t, mlir::Value firstRow, mlir::Value firstColumn);
};

} // namespace sq::cuda

#endif
