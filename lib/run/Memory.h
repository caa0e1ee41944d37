/// What the kernel says about this process's memory.
#ifndef SQ_LIB_RUN_MEMORY_H
#define SQ_LIB_RUN_MEMORY_H

#include <cstdint>

namespace sq {

/// Anonymous memory of this process in KiB (`Anonymous` of
/// /proc/self/smaps_rollup), -1 where the kernel does not tell. Allocates
/// nothing, so that it does not measure itself.
int64_t anonymousKiB();

/// Largest resident size in KiB since the start or the last successful reset
/// (`VmHWM` of /proc/self/status), mapped weights included; -1 when unknown.
int64_t peakKiB();
void resetPeak();

} // namespace sq

#endif
