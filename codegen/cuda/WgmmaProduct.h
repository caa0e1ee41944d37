/// A tile of a linear layer by one block, by the tensor cores of Hopper.
#ifndef SQ_CODEGEN_CUDA_WGMMAPRODUCT_H
#define SQ_CODEGEN_CUDA_WGMMAPRODUCT_H

#include "codegen/cuda/MmaProduct.h"

namespace sq::cuda {

/// c[m, n] = sum_k x[m, k] w[n / 64, k, n mod 64] for 128 rows and up to four
/// panels, f16 or bf16 factors, f32 sums: two warpgroups with 64 rows each.
struct WgmmaProduct {
  static constexpr int64_t kThreads = 256, kRows = 128, kStep = 64;

  MmaProduct::Factors factors; // F16 or BF16
  mlir::Value x,
      weight; // [rows, depth], [panels, depth, 64], both of the factors' type
  mlir::Value rows, columns; // M, N
  int64_t
      depth; // K, a multiple of eight: rows of x begin at multiples of 16 bytes
  int64_t panels; // of a block: 1 to 4
  StoreSum store; // takes eight sums of a row where N is a multiple of eight

  /// Whether there is such a kernel for these factors.
  static bool fits(mlir::Type factor, int64_t depth) {
    return (factor.isF16() || factor.isBF16()) && depth % 8 == 0;
  }
  /// How many panels a block is to have, of a weight of `count`.
  static int64_t panelsFor(int64_t count);
  /// Dynamic shared memory that `emit` needs.
  int64_t sharedBytes() const;
  void emit(Thread &t, mlir::Value firstRow, mlir::Value firstPanel);
};

} // namespace sq::cuda

#endif
