/// A libcuda.so.1 whose modules load or fail as the test says, in STUB_CUBIN and
/// STUB_PTX (results of loading one); its kernels do nothing.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/cuda/driver.h"

using namespace sq::cuda;

#define EXPORT extern "C" __attribute__((visibility("default"))) Result

namespace {
Result fromEnvironment(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}
} // namespace

EXPORT cuDriverGetVersion(int *version) { return *version = 12020, 0; }
EXPORT cuDeviceGetCount(int *count) { return *count = 1, 0; }
EXPORT cuDeviceGetName(char *name, int size, Device) { return snprintf(name, size, "Stub 1"), 0; }
EXPORT cuDeviceGetAttribute(int *value, int attribute, Device) {
  *value = attribute == attributeMajor ? 8 : attribute == attributeMinor ? 6 : 100000;
  return 0;
}
EXPORT cuGetErrorName(Result, const char **text) { return *text = "CUDA_ERROR_STUB", 0; }
EXPORT cuGetErrorString(Result, const char **text) { return *text = "as the test says", 0; }
EXPORT cuMemAlloc_v2(Address *address, size_t bytes) {
  return *address = reinterpret_cast<Address>(calloc(1, bytes)), 0;
}
EXPORT cuMemFree_v2(Address address) { return free(reinterpret_cast<void *>(address)), 0; }
EXPORT cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  return *memory = calloc(1, bytes), 0;
}
EXPORT cuMemFreeHost(void *memory) { return free(memory), 0; }
EXPORT cuModuleLoadDataEx(Code *code, const void *image, unsigned count, int *options, void **values) {
  bool ptx = !strncmp(static_cast<const char *>(image), ".version", 8);
  Result result = fromEnvironment(ptx ? "STUB_PTX" : "STUB_CUBIN");
  char *log = nullptr;
  size_t room = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == jitErrorLog)
      log = static_cast<char *>(values[i]);
    if (options[i] == jitErrorLogBytes)
      room = reinterpret_cast<size_t>(values[i]);
  }
  if (result && log)
    snprintf(log, room, "ptxas application ptx input, line 9; error: stub\nptxas fatal: stop\n");
  *code = reinterpret_cast<Code>(1);
  return result;
}
