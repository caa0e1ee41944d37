/// Kernels for a GPU, on the CPU, for tests.
#ifndef SQ_CODEGEN_CUDA_EMULATECUDA_H
#define SQ_CODEGEN_CUDA_EMULATECUDA_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace sq {

/// Turns NVVM's intrinsics in `module` into calls through the table of
/// test/cuda/emulator/emulator.h, announces every access to memory, and adds
/// `sq_emulated_image` with the functions `kernels`.
llvm::Error emulateCuda(llvm::Module &module, const std::vector<std::string> &kernels);

} // namespace sq

#endif
