#include "codegen/host/HostTarget.h"

using namespace sq;

static const llvm::StringRef kV3Features[] = {"avx2", "fma",   "bmi1", "bmi2",
                                              "f16c", "lzcnt", "movbe"};
static const llvm::StringRef kAvx512Features[] = {
    "avx2",  "fma",     "bmi1",     "bmi2",     "f16c",     "lzcnt",
    "movbe", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};

// 6 x 2 and 8 x 3 accumulators leave room for the weights and one broadcast in
// 16 and 32 registers.
static const HostTarget kTargets[] = {
    {"x86-64-v3", "x86-64-v3", "", kV3Features, 8, 6, 2},
    {"avx512", "x86-64-v4", "-prefer-256-bit", kAvx512Features, 16, 8, 3},
};

llvm::ArrayRef<HostTarget> sq::hostTargets() { return kTargets; }

std::optional<HostTarget> sq::findHostTarget(llvm::StringRef level) {
  for (const HostTarget &target : kTargets)
    if (target.level == level)
      return target;
  return std::nullopt;
}
