#include "codegen/host/HostTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#include <cstdlib>

using namespace sq;

static const llvm::StringRef kV3Features[] = {"avx2", "fma",   "bmi1", "bmi2",
                                              "f16c", "lzcnt", "movbe"};
static const llvm::StringRef kAvx512Features[] = {
    "avx2",  "fma",     "bmi1",     "bmi2",     "f16c",     "lzcnt",
    "movbe", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};

static const llvm::StringRef kVnniFeatures[] = {
    "avx2",  "fma",     "bmi1",     "bmi2",     "f16c",     "lzcnt",   "movbe",
    "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni"};

static const llvm::StringRef kAmxFeatures[] = {
    "avx2",     "fma",      "bmi1",     "bmi2",     "f16c",       "lzcnt",    "movbe",   "avx512f",
    "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16", "amx-tile", "amx-int8", "amx-bf16"};

static const HostTarget kTargets[] = {
    {"x86-64-v3", "x86-64-v3", "", kV3Features, 8, 16, 32 << 10, 256 << 10, false, false},
    {"avx512", "x86-64-v4", "-prefer-256-bit", kAvx512Features, 16, 32, 32 << 10, 1 << 20, false, false},
    {"vnni", "x86-64-v4", "-prefer-256-bit,+avx512vnni", kVnniFeatures, 16, 32, 32 << 10, 1 << 20, true, false},
    {"amx", "x86-64-v4", "-prefer-256-bit,+avx512vnni,+avx512bf16,+amx-tile,+amx-int8,+amx-bf16", kAmxFeatures, 16, 32, 48 << 10, 2 << 20,
     true, true},
};

llvm::ArrayRef<HostTarget> sq::hostTargets() { return kTargets; }

std::optional<HostTarget> sq::findHostTarget(llvm::StringRef level) {
  for (const HostTarget &target : kTargets)
    if (target.level == level)
      return target;
  return std::nullopt;
}

std::string sq::bestHostLevel() {
  // LLVM asks cpuid and xgetbv; only the CPU's *name* is not to be trusted.
  llvm::StringMap<bool> has = llvm::sys::getHostCPUFeatures();
  std::string best;
  for (const HostTarget &target : kTargets)
    if (llvm::all_of(target.features, [&](llvm::StringRef f) { return has.lookup(f == "bmi1" ? "bmi" : f); }))
      best = target.level.str();
  return best;
}

std::string sq::runtimeHostLevel() {
  std::string best = bestHostLevel();
  if (const char *cap = std::getenv("SQ_CPU"))
    for (const HostTarget &target : kTargets) {
      if (target.level == best)
        break;
      if (target.level == cap)
        return cap;
    }
  return best;
}
