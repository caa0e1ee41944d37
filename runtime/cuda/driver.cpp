#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "runtime/core/error.h"

namespace sq {
namespace cuda {

Driver driver;

namespace {

pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
bool loaded; /* under `loading` */

sq_status load() {
  /* Never closed: the driver keeps threads. */
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return fail(SQ_STATUS_UNSUPPORTED,
                "CUDA's driver cannot be loaded (%s); install NVIDIA's driver, or compile the model "
                "with --target=host",
                reason ? reason : "?");
  }
  Driver found = {};
#define SQ_FIND(member, symbol, parameters)                                                        \
  found.member = reinterpret_cast<Result(*) parameters>(dlsym(library, #symbol));                  \
  if (!found.member)                                                                               \
    return fail(SQ_STATUS_UNSUPPORTED,                                                             \
                "CUDA's driver libcuda.so.1 has no function " #symbol                              \
                "; install a driver for CUDA %d.%d or later",                                      \
                leastDriver / 1000, leastDriver % 1000 / 10);
  SQ_CUDA_FUNCTIONS(SQ_FIND)
#undef SQ_FIND
  driver = found;
  Result result = driver.init(0);
  if (result == errorNoDevice)
    return fail(SQ_STATUS_UNSUPPORTED,
                "CUDA's driver finds no device; check nvidia-smi and CUDA_VISIBLE_DEVICES, or "
                "compile the model with --target=host");
  if (result)
    return fail(SQ_STATUS_UNSUPPORTED,
                "CUDA's driver cannot be started: %s; check nvidia-smi, or compile the model with "
                "--target=host",
                ErrorText(result).text);
  if (Result unknown = driver.driverVersion(&driver.version))
    return fail(SQ_STATUS_UNSUPPORTED, "CUDA's driver does not tell its version: %s",
                ErrorText(unknown).text);
  if (driver.version < leastDriver)
    return fail(SQ_STATUS_UNSUPPORTED,
                "CUDA's driver is for CUDA %d.%d; install one for CUDA %d.%d or later",
                driver.version / 1000, driver.version % 1000 / 10, leastDriver / 1000,
                leastDriver % 1000 / 10);
  return SQ_STATUS_OK;
}

} // namespace

sq_status loadDriver() {
  pthread_mutex_lock(&loading);
  sq_status status = loaded ? SQ_STATUS_OK : load();
  loaded = status == SQ_STATUS_OK;
  pthread_mutex_unlock(&loading);
  return status;
}

ErrorText::ErrorText(Result error) {
  const char *name = nullptr, *string = nullptr;
  if (driver.errorName(error, &name) || !name)
    name = "CUDA error";
  if (driver.errorString(error, &string) || !string)
    string = "unknown";
  snprintf(text, sizeof(text), "%s (%d: %s)", name, error, string);
}

} // namespace cuda
} // namespace sq
