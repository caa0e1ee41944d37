/// From kernels in the NVVM dialect to what a driver loads.
#ifndef SQ_CODEGEN_CUDA_EMITDEVICE_H
#define SQ_CODEGEN_CUDA_EMITDEVICE_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include "llvm/ADT/StringMap.h"

#include "codegen/cuda/Resources.h"

#include <string>
#include <vector>

namespace sq {

/// Names of the kernels of `module`, in the order of `sq.function`.
std::vector<std::string> kernelNames(mlir::gpu::GPUModuleOp module);

/// PTX for `target`, optimised.
llvm::Expected<std::string> emitPtx(mlir::gpu::GPUModuleOp module, const CudaTarget &target);

/// The assembler: $SQ_PTXAS ("" for none), $CUDA_HOME/bin, $PATH, /usr/local/cuda/bin,
/// then what tools/scripts/install-deps.sh fetched; empty when there is none.
std::string findPtxas();

/// A cubin for `target`; `resources` become what `ptxas -v` says of each kernel.
llvm::Expected<llvm::SmallVector<char, 0>> assemblePtx(llvm::StringRef ptxas, llvm::StringRef ptx,
                                                       const CudaTarget &target,
                                                       llvm::StringMap<KernelResources> &resources);

/// For tests: the kernels for the CPU, as calls into the emulator of
/// test/cuda/emulator, as an x86-64 relocatable object that has
/// `sq_emulated_image`.
llvm::Expected<llvm::SmallVector<char, 0>> emitEmulated(mlir::gpu::GPUModuleOp module);

} // namespace sq

#endif
