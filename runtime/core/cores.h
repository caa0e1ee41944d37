/* How many cores this process may use. */
#ifndef SQ_RUNTIME_CORE_CORES_H
#define SQ_RUNTIME_CORE_CORES_H

namespace sq {

/* The smaller of the affinity mask and the cgroup quota (v1 or v2), at least 1. */
int allowedCores();

} // namespace sq

#endif
