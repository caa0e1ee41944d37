/// Attention of many queries on tensor cores.
#ifndef SQ_CODEGEN_CUDA_MMAATTENTION_H
#define SQ_CODEGEN_CUDA_MMAATTENTION_H

#include "codegen/cuda/MmaFragments.h"

namespace sq::cuda {

/// softmax(scale q k^T + mask) v for 64 queries of one head by a block of four
/// warps, with f16 or bf16 factors (k's type) and f32 sums and softmax.
/// Probabilities are rounded to the factors' type before they multiply v.
struct MmaAttention {
  /// Whether `op` has 16-bit keys and heads of up to 128 in pieces of 16 bytes.
  static bool fits(AttentionOp op);

  explicit MmaAttention(AttentionOp op);
  void emit(mlir::ImplicitLocOpBuilder &b);

private:
  static constexpr int64_t kQueries = 64, kKeys = 64,
                           kThreads = 128;        // of a block; of a tile
  static constexpr int64_t kSums = kKeys / 8 * 4; // scores of a thread
  using Values = llvm::SmallVector<mlir::Value>;

  AttentionOp op;
  mlir::Value q, k, v, mask, out;
  int64_t size, padded; // D, and rounded up to 16
  int64_t group;        // heads that share keys and values
  MmaProduct::Factors factors;
  mlir::Value queries, keyCount, heads, tiles;
  // Of a thread:
  mlir::Value batch, head, keyHead, lane, zero;
  mlir::Value query[2]; // the rows of its scores
  mlir::Value sliceQ, sliceK, sliceV;

  int64_t pitch() const {
    return padded + 8;
  } // rows of ldmatrix in different banks
  void body(Thread &t);
  void load(mlir::ImplicitLocOpBuilder &b, mlir::Value thread,
            mlir::Value source, mlir::Value from, mlir::Value count,
            mlir::Value sourceHead, mlir::Value slice);
  Values scores(mlir::ImplicitLocOpBuilder &b,
                mlir::ArrayRef<mlir::Value> fragmentsQ);
  void finishScores(mlir::ImplicitLocOpBuilder &b, mlir::Value firstKey,
                    mlir::MutableArrayRef<mlir::Value> scores);
  Values tile(mlir::ImplicitLocOpBuilder &b,
              mlir::ArrayRef<mlir::Value> fragmentsQ, mlir::Value firstKey,
              mlir::ValueRange state);
  void store(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange state);
};

} // namespace sq::cuda

#endif
