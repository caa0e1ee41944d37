/// Runs a kernel's grid. Knows nothing of CUDA's driver.
#ifndef SQ_TEST_CUDA_EMULATOR_LAUNCH_H
#define SQ_TEST_CUDA_EMULATOR_LAUNCH_H

#include "test/cuda/emulator/Memory.h"
#include "test/cuda/emulator/emulator.h"

#include <cstdint>

namespace sq::emulator {

struct Launch {
  const sq_emulated_kernel *kernel;
  uint32_t grid[3], block[3];
  int64_t dynamicShared; ///< bytes
  void *const *params;
};

/// Returns when all blocks have run, or the first error has been printed on
/// stderr. One launch at a time; `deviceMemory` must not change meanwhile.
Fault run(const Launch &launch);

/// The functions that kernels call.
extern const sq_emulator functions;

} // namespace sq::emulator
#endif
