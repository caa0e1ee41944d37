/// What code generation needs to know about an NVIDIA architecture.
#ifndef SQ_CODEGEN_CUDA_CUDATARGET_H
#define SQ_CODEGEN_CUDA_CUDATARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace sq {

/// Columns of a packed weight panel on this target: one tile of a product.
constexpr int64_t kCudaPanelColumns = 64;
constexpr int64_t kWarp = 32;

struct CudaTarget {
  llvm::StringRef arch;        // "sm_80" or "sm_90a", as ptxas and LLVM name it
  uint32_t computeCapability;  // 80
  llvm::StringRef features;    // for LLVM: the PTX version
  int64_t registersPerSm, sharedPerSm, threadsPerSm, blocksPerSm; // for occupancy
  bool wgmma = false;          // its code runs on this very compute capability: no PTX for later ones
  bool tf32 = false;           // products of f32 weights on tensor cores, in tf32
  llvm::StringRef activations = "f32"; // of what kernels hand each other: f32, f16 or bf16
};

/// From the least to the most demanding (CUDA C++ programming guide, table
/// "technical specifications per compute capability").
llvm::ArrayRef<CudaTarget> cudaTargets();
std::optional<CudaTarget> findCudaTarget(llvm::StringRef arch);
/// "sm_80, sm_90, sm_90a"
std::string cudaTargetNames();

} // namespace sq

#endif
