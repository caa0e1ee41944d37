/* What this CPU and its operating system can run. */
#ifndef SQ_RUNTIME_CORE_CPU_H
#define SQ_RUNTIME_CORE_CPU_H

#include "sq/runtime.h"

namespace sq {

/* A cap of the CPU level: features of higher levels are treated as absent. */
struct CpuCap {
  int rank;           /* of the level; all features below or at it may be used */
  const char *name;   /* "" without a cap */
};

/* Reads the cap from `option` (may be NULL) or else from SQ_CPU. */
sq_status readCpuCap(const char *option, CpuCap *cap);

/* Whether the code may use `feature` (cpuid spelling of the manifest). False
 * for a feature this runtime has never heard of. */
bool cpuHas(const char *feature, const CpuCap &cap);

} // namespace sq

#endif
