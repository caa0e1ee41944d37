#include "codegen/cuda/CudaTarget.h"

using namespace sq;

static constexpr CudaTarget targets[] = {
    {"sm_80", 80, "+ptx80", 65536, 164 << 10, 2048, 32},
    {"sm_90", 90, "+ptx80", 65536, 228 << 10, 2048, 32},
    {"sm_90a", 90, "+ptx80", 65536, 228 << 10, 2048, 32, /*wgmma=*/true},
};

llvm::ArrayRef<CudaTarget> sq::cudaTargets() { return targets; }

std::optional<CudaTarget> sq::findCudaTarget(llvm::StringRef arch) {
  for (const CudaTarget &target : targets)
    if (target.arch == arch)
      return target;
  return std::nullopt;
}

std::string sq::cudaTargetNames() {
  std::string names;
  for (const CudaTarget &target : targets)
    names += (names.empty() ? "" : ", ") + target.arch.str();
  return names;
}
