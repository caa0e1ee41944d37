/// What a kernel takes of a multiprocessor, as the assembler says.
#ifndef SQ_CODEGEN_CUDA_RESOURCES_H
#define SQ_CODEGEN_CUDA_RESOURCES_H

#include "llvm/ADT/StringMap.h"

#include "codegen/common/Schedule.h"
#include "codegen/cuda/CudaTarget.h"

namespace sq {

/// Reads the messages of `ptxas -v`; threads of a block and occupancy are not
/// among them.
llvm::StringMap<KernelResources> parseAssemblerLog(llvm::StringRef log);

/// Warps that a multiprocessor can hold at once of those it has room for, 0 to
/// 1: the least that registers (given out to warps in units of 256), shared
/// memory (in units of 128 bytes, with 1 KB of the system's for each block),
/// threads and blocks allow. Unlike NVIDIA's calculator it does not know of
/// carve-outs.
double occupancy(const KernelResources &kernel, const CudaTarget &target);

} // namespace sq

#endif
