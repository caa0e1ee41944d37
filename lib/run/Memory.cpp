#include "lib/run/Memory.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace sq {
namespace {

/// The number behind `key` in a small /proc file, or -1.
int64_t procNumber(const char *path, const char *key) {
  char text[8192];
  int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  size_t length = 0;
  ssize_t n;
  while (length < sizeof text - 1 && (n = ::read(fd, text + length, sizeof text - 1 - length)) > 0)
    length += n;
  ::close(fd);
  text[length] = '\0';
  const char *at = std::strstr(text, key);
  return at ? std::strtoll(at + std::strlen(key), nullptr, 10) : -1;
}

} // namespace

int64_t anonymousKiB() { return procNumber("/proc/self/smaps_rollup", "\nAnonymous:"); }

int64_t peakKiB() { return procNumber("/proc/self/status", "\nVmHWM:"); }

void resetPeak() {
  int fd = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  // "5" resets VmHWM; where the kernel refuses, peaks are since the start.
  ssize_t ignored = ::write(fd, "5", 1);
  (void)ignored;
  ::close(fd);
}

} // namespace sq
