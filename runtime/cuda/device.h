/* Which device a module runs on, and with which of its variants. */
#ifndef SQ_RUNTIME_CUDA_DEVICE_H
#define SQ_RUNTIME_CUDA_DEVICE_H

#include "runtime/core/cpu.h"
#include "runtime/core/manifest_generated.h"
#include "runtime/cuda/driver.h"

namespace sq {
namespace cuda {

struct Module;

/* What the caller asks for. */
struct Request {
  enum Kind { Auto, Host, Cuda } kind;
  int ordinal;      /* of "cuda:N"; -1: any */
  const char *text;
  const char *source; /* "the device option", "SQ_DEVICE" */
};

/* Reads `option` (may be NULL) or else SQ_DEVICE. */
sq_status readRequest(const char *option, Request *request);

/* Refuses an artifact that is not for the device asked for. `path` is for
 * messages, here and below. */
sq_status checkRequest(const Request &request, const manifest::Manifest *manifest,
                       const char *path);

/* Whether the manifest's variants are for CUDA; all are alike (checkVariants). */
bool isForCuda(const manifest::Manifest *manifest);
/* NULL, or what is wrong with the variants. */
const char *checkVariants(const manifest::Manifest *manifest);

/* Retains the device's context. `variant`: that with the highest architecture
 * among those the device can run, of the cubin (same major capability, minor not
 * above the device's) or else of the PTX. */
sq_status openDevice(const manifest::Manifest *manifest, const Request &request, const CpuCap &cap,
                     const char *path, uint32_t *variant, Module **module);
void closeDevice(Module *module); /* NULL is fine */

bool canRunCubin(const manifest::DeviceCode *code, int capability);

int ordinal(const Module *module);
const char *deviceText(const Module *module);

} // namespace cuda
} // namespace sq

#endif
