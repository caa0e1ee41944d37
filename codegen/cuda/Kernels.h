/// The emitters of CUDA kernels: each replaces one op on memrefs by a
/// `gpu.launch`. They are steps of `--sq-lower-gpu-kernels`.
#ifndef SQ_CODEGEN_CUDA_KERNELS_H
#define SQ_CODEGEN_CUDA_KERNELS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

#include "codegen/common/KernelHelpers.h"
#include "codegen/cuda/CudaTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq::cuda {

/// Of several ops (`JoinedProducts`): one product by all of their weights.
mlir::LogicalResult lowerPackedMatmuls(mlir::RewriterBase &, llvm::ArrayRef<PackedMatmulOp>, const CudaTarget &);
mlir::LogicalResult lowerMatmul(mlir::RewriterBase &, MatmulOp, const CudaTarget &);
mlir::LogicalResult lowerAttention(mlir::RewriterBase &, AttentionOp, const CudaTarget &);
mlir::LogicalResult lowerSoftmax(mlir::RewriterBase &, SoftmaxOp, const CudaTarget &);
mlir::LogicalResult lowerLayerNorm(mlir::RewriterBase &, LayerNormOp, const CudaTarget &);
mlir::LogicalResult lowerRmsNorm(mlir::RewriterBase &, RmsNormOp, const CudaTarget &);
mlir::LogicalResult lowerScatter(mlir::RewriterBase &, ScatterOp, const CudaTarget &);
/// Any other linalg op: a thread for each point of its parallel dims.
mlir::LogicalResult lowerLinalg(mlir::RewriterBase &, mlir::linalg::LinalgOp, const CudaTarget &);

//===-- What the emitters share --------------------------------------------===//

/// What a thread of a launch knows.
struct Thread {
  mlir::ImplicitLocOpBuilder &b;
  mlir::Value block, blockY, blockZ; // of the grid
  mlir::Value thread;                // in its block
  /// Shared memory of the block, one memref for each type asked for.
  llvm::SmallVector<mlir::Value> shared;
};

/// Index arithmetic in the words of an emitter, which derives from it; folds
/// what is constant.
struct IndexMath {
  mlir::ImplicitLocOpBuilder *b; // where code goes now

  mlir::Value num(int64_t v) { return indexConstant(*b, v); }
  mlir::Value add(mlir::Value a, mlir::Value c) { return b->createOrFold<mlir::arith::AddIOp>(a, c); }
  mlir::Value add(mlir::Value a, int64_t c) { return plus(*b, a, c); }
  mlir::Value times(mlir::Value a, int64_t c) { return b->createOrFold<mlir::arith::MulIOp>(a, num(c)); }
  mlir::Value over(mlir::Value a, int64_t c) { return b->createOrFold<mlir::arith::DivUIOp>(a, num(c)); }
  mlir::Value mod(mlir::Value a, int64_t c) { return b->createOrFold<mlir::arith::RemUIOp>(a, num(c)); }
};

/// A launch of `blocks` (up to three) blocks of `threads` threads. `kind` and
/// the location name it.
mlir::gpu::LaunchOp launch(mlir::ImplicitLocOpBuilder &b, llvm::StringRef kind, llvm::ArrayRef<mlir::Value> blocks,
            int64_t threads, llvm::ArrayRef<mlir::MemRefType> shared,
            llvm::function_ref<void(Thread &)> body);

/// The same with `bytes` of dynamic shared memory, which may be more than the 48
/// KB of static memory: `t.shared[0]`, of i8, for `sharedView`.
mlir::gpu::LaunchOp launchDynamic(mlir::ImplicitLocOpBuilder &b, llvm::StringRef kind, llvm::ArrayRef<mlir::Value> blocks,
            int64_t threads, int64_t bytes, llvm::function_ref<void(Thread &)> body);
/// A buffer at byte `offset` of dynamic shared memory.
mlir::Value sharedView(Thread &t, int64_t offset, llvm::ArrayRef<int64_t> shape, mlir::Type element);

/// A buffer in shared memory.
mlir::MemRefType sharedType(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<int64_t> shape, mlir::Type element);

mlir::Value f32Constant(mlir::ImplicitLocOpBuilder &b, double value);

/// Of a vector whose place is a multiple of its bytes: no buffer is known to begin at more than 16.
llvm::MaybeAlign alignmentOf(mlir::VectorType type);
/// Whether the elements are floats that `loadF32` reads.
bool isFloatUpTo32(mlir::Value memref);
/// An element of f32, f16 or bf16 as f32.
mlir::Value loadF32(mlir::ImplicitLocOpBuilder &b, mlir::Value memref, mlir::ValueRange at);
/// `count` elements from `at`, whose address is a multiple of their bytes.
mlir::Value loadVectorF32(mlir::ImplicitLocOpBuilder &b, int64_t count, mlir::Value memref, mlir::ValueRange at);
/// f32 values, one or a vector (whose place is a multiple of its bytes), rounded to the memref's type.
void storeF32(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Value memref, mlir::ValueRange at);

/// The value of `v` in every lane of a warp's group of `lanes` (a power of two)
/// combined by `combine`: a butterfly of shuffles, the same in each lane.
mlir::Value reduceLanes(mlir::ImplicitLocOpBuilder &b, mlir::Value v, int64_t lanes,
                        llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value, mlir::Value)> combine);

/// Whether every row (last dim) of `memref` begins at a multiple of
/// `elements` and holds a multiple of them. Buffers themselves begin at 16 bytes.
bool hasAlignedRows(mlir::Value memref, int64_t elements);

/// The region's ops with `args` for its arguments; what it yields.
llvm::SmallVector<mlir::Value> inlineRegion(mlir::ImplicitLocOpBuilder &b, mlir::Block &block, mlir::ValueRange args);

/// `then` when `condition` holds.
void onlyIf(mlir::ImplicitLocOpBuilder &b, mlir::Value condition,
            llvm::function_ref<void(mlir::ImplicitLocOpBuilder &)> then);
/// a < c, unsigned: of extents and indices, which are never negative.
mlir::Value below(mlir::ImplicitLocOpBuilder &b, mlir::Value a, mlir::Value c);

} // namespace sq::cuda

#endif
