#include "codegen/cuda/Resources.h"

#include "llvm/Support/MathExtras.h"

using namespace llvm;
using namespace sq;

/// The number before `unit` in `line`, 0 without.
static int64_t numberBefore(StringRef line, StringRef unit) {
  size_t end = line.find(unit);
  if (end == StringRef::npos)
    return 0;
  StringRef before = line.take_front(end).rtrim();
  int64_t value = 0;
  before.drop_front(before.find_last_of(" ,") + 1).getAsInteger(10, value);
  return value;
}

StringMap<KernelResources> sq::parseAssemblerLog(StringRef log) {
  StringMap<KernelResources> kernels;
  KernelResources *current = nullptr;
  while (!log.empty()) {
    auto [line, rest] = log.split('\n');
    log = rest;
    if (line.contains("Compiling entry function '")) {
      StringRef name = line.split('\'').second.split('\'').first;
      current = &kernels[name];
      current->function = name.str();
    } else if (current && line.contains("stack frame")) {
      current->stackBytes = numberBefore(line, "bytes stack frame");
      current->spillBytes = numberBefore(line, "bytes spill stores") + numberBefore(line, "bytes spill loads");
    } else if (current && line.contains(": Used ")) {
      current->registers = numberBefore(line, "registers");
      current->sharedBytes = numberBefore(line, "bytes smem");
    }
  }
  return kernels;
}

double sq::occupancy(const KernelResources &kernel, const CudaTarget &target) {
  int64_t warps = divideCeil(kernel.threads, kWarp);
  if (!warps)
    return 0;
  int64_t registersPerWarp = alignTo(std::max<int64_t>(kernel.registers, 1) * kWarp, 256);
  int64_t shared = alignTo(kernel.sharedBytes + 1024, 128);
  int64_t blocks = std::min({target.registersPerSm / registersPerWarp / warps, target.sharedPerSm / shared,
                             target.threadsPerSm / kWarp / warps, target.blocksPerSm});
  return static_cast<double>(blocks * warps) / static_cast<double>(target.threadsPerSm / kWarp);
}
