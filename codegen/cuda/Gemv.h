/// A linear layer of a few rows: bound by reading the weights once.
#ifndef SQ_CODEGEN_CUDA_GEMV_H
#define SQ_CODEGEN_CUDA_GEMV_H

#include "codegen/cuda/SplitK.h"

namespace sq::cuda {

/// c[m, n] = sum_k x[m, k] w[n / 64, k, n mod 64] for up to `mostRows` rows, by
/// blocks that share the columns and, where those are few, k (split-K): then a
/// second launch adds what they found, in order.
struct Gemv {
  int64_t mostRows;
  mlir::Value x, weight;      // [rows, depth] f32, [panels, depth, 64] f32, f16 or bf16
  mlir::Value rows, columns;  // M, N
  bool isAlternative;         // other launches do the same work for other numbers of rows
  StoreSum store;

  /// Parts that k is cut into.
  int64_t splits() const;
  /// The partial sums of all parts, if there is more than one: to be made
  /// before the launches.
  mlir::Value scratch(mlir::ImplicitLocOpBuilder &b) const;
  void emit(mlir::ImplicitLocOpBuilder &b, mlir::Value scratch) const;
};

} // namespace sq::cuda

#endif
