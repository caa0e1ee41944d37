/// From bufferized programs to the LLVM dialect, for one CUDA architecture.
#ifndef SQ_CODEGEN_CUDA_PIPELINES_H
#define SQ_CODEGEN_CUDA_PIPELINES_H

#include "llvm/ADT/StringRef.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sq {

/// The part up to `gpu.launch` (`--emit=kernels`).
/// `tf32`: products of f32 weights rounded to that type. `activations`: f32, f16
/// or bf16, the type of what kernels hand each other.
void buildBuffersToGpu(mlir::OpPassManager &pm, llvm::StringRef arch, bool tf32 = false,
                       llvm::StringRef activations = "f32");
/// The rest: kernels in the LLVM and NVVM dialects in the module @kernels, the
/// schedule in the LLVM dialect with the entry function `entry`.
void buildGpuToLLVM(mlir::OpPassManager &pm, llvm::StringRef entry);
void registerCudaPipelines();

} // namespace sq

#endif
