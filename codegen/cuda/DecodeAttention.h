/// Attention of a few queries to many keys.
#ifndef SQ_CODEGEN_CUDA_DECODEATTENTION_H
#define SQ_CODEGEN_CUDA_DECODEATTENTION_H

#include "codegen/cuda/Kernels.h"

namespace sq::cuda {

/// Queries up to which keys rather than queries are shared among the blocks.
constexpr int64_t kDecodeQueries = 4;
constexpr int64_t kMostDecodeSize = 2048; // whose state fits shared memory

/// Attention with a block for each query, head and part of the keys
/// (Flash-Decoding: Dao et al. 2023), and a second launch that joins the parts
/// when there are several. Right for any number of queries and heads of a known
/// size up to kMostDecodeSize, fast for few queries.
class DecodeAttention {
public:
  /// Makes the memory for the parts of up to `mostQueries` queries (null: any
  /// number, and no parts).
  DecodeAttention(mlir::ImplicitLocOpBuilder &b, AttentionOp op, mlir::Value mostQueries);
  void emit(mlir::ImplicitLocOpBuilder &b, bool isAlternative);

private:
  void part(Thread &t);
  void join(Thread &t);
  mlir::Value score(mlir::ImplicitLocOpBuilder &b, mlir::Value key);
  void locate(mlir::ImplicitLocOpBuilder &b, mlir::Value row);

  AttentionOp op;
  mlir::Value q, k, v, mask, out;
  int64_t size, group, each;             // head size; heads that share keys; columns of a lane
  mlir::Value queries, keys, heads, parts, perPart;
  mlir::Value partial;                   // [rows, parts, D + 2]: result, maximum, sum
  mlir::Value batch, head, keyHead, query, scaled; // of a thread
};

} // namespace sq::cuda

#endif
