/// From bufferized programs to the LLVM dialect, for one CPU level.
#ifndef SQ_CODEGEN_HOST_PIPELINES_H
#define SQ_CODEGEN_HOST_PIPELINES_H

#include "llvm/ADT/StringRef.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sq {

/// The part up to kernels in scf and vector (`--emit=kernels`).
/// `tile`: sizes as in Tiles.h, or empty.
void buildBuffersToKernels(mlir::OpPassManager &pm, llvm::StringRef level, llvm::StringRef tile = "");
/// The rest, down to the LLVM dialect with the entry function `entry`.
void buildKernelsToLLVM(mlir::OpPassManager &pm, llvm::StringRef entry);
void registerHostPipelines();

} // namespace sq

#endif
