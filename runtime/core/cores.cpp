#include "runtime/core/cores.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace sq {
namespace {

constexpr int unlimited = 1 << 30;

/* Reads a small file of /proc or /sys; false when it is not there. */
bool readSmallFile(const char *path, char *text, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  size_t size = 0;
  for (ssize_t n; size + 1 < capacity && (n = read(fd, text + size, capacity - 1 - size)) > 0;)
    size += static_cast<size_t>(n);
  close(fd);
  text[size] = 0;
  return size > 0;
}

int coresOf(long long quota, long long period) {
  if (quota <= 0 || period <= 0)
    return unlimited;
  long long cores = (quota + period - 1) / period;
  return cores < unlimited ? static_cast<int>(cores) : unlimited;
}

/* The quota of one cgroup directory. */
int quotaAt(const char *directory, bool v2) {
  char path[4352], text[128];
  long long quota = 0, period = 0;
  if (v2) {
    snprintf(path, sizeof(path), "%s/cpu.max", directory);
    if (!readSmallFile(path, text, sizeof(text)) || sscanf(text, "%lld %lld", &quota, &period) != 2)
      return unlimited; /* "max 100000" */
    return coresOf(quota, period);
  }
  snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
  if (readSmallFile(path, text, sizeof(text)))
    quota = atoll(text);
  snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
  if (readSmallFile(path, text, sizeof(text)))
    period = atoll(text);
  return coresOf(quota, period);
}

/* The smallest quota from the group `path` up to the root of its mount. In a
 * container `path` may name directories that only the host sees; the root is
 * then the container's own group. */
int quotaUpwards(const char *mount, const char *path, bool v2) {
  char directory[4224];
  int length = snprintf(directory, sizeof(directory), "%s%s", mount, path);
  if (length < 0 || static_cast<size_t>(length) >= sizeof(directory))
    return unlimited;
  int least = unlimited;
  for (size_t root = strlen(mount);;) {
    int quota = quotaAt(directory, v2);
    least = quota < least ? quota : least;
    char *slash = strrchr(directory + root, '/');
    if (!slash)
      return least;
    *slash = 0;
  }
}

int cgroupQuota() {
  char text[8192];
  if (!readSmallFile("/proc/self/cgroup", text, sizeof(text)))
    return unlimited;
  int least = unlimited;
  char *state = nullptr;
  for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(nullptr, "\n", &state)) {
    char *controllers = strchr(line, ':'); /* number:controllers:path */
    char *path = controllers ? strchr(controllers + 1, ':') : nullptr;
    if (!path)
      continue;
    *path++ = 0;
    ++controllers;
    int quota = unlimited;
    if (!*controllers) {
      quota = quotaUpwards("/sys/fs/cgroup", path, true);
    } else {
      char mount[160];
      if (!strcmp(controllers, "cpu") || !strncmp(controllers, "cpu,", 4) ||
          strstr(controllers, ",cpu,")) {
        snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%.128s", controllers);
        quota = quotaUpwards(mount, path, false);
      } else if (strstr(controllers, ",cpu")) {
        quota = quotaUpwards("/sys/fs/cgroup/cpu", path, false);
      }
    }
    least = quota < least ? quota : least;
  }
  return least;
}

int affinityCores() {
  /* 8192 is the most CPUs a Linux x86-64 kernel can be built for. */
  alignas(unsigned long) unsigned char mask[8192 / 8] = {};
  if (sched_getaffinity(0, sizeof(mask), reinterpret_cast<cpu_set_t *>(mask)))
    return 1;
  int count = 0;
  for (unsigned char byte : mask)
    count += __builtin_popcount(byte);
  return count ? count : 1;
}

} // namespace

int allowedCores() {
  int affinity = affinityCores(), quota = cgroupQuota();
  int cores = quota < affinity ? quota : affinity;
  return cores > 0 ? cores : 1;
}

} // namespace sq
