/* A module on its device: kernels and weights. */
#ifndef SQ_RUNTIME_CUDA_MODULE_H
#define SQ_RUNTIME_CUDA_MODULE_H

#include <pthread.h>

#include "runtime/core/module.h"
#include "runtime/cuda/device.h"

namespace sq {
namespace cuda {

/* A function of the device code. */
struct Function {
  Kernel kernel;
  std::atomic<int32_t> shared; /* the dynamic shared memory it may use so far */
};

struct Module {
  int ordinal;
  Device device;
  Context context; /* the primary one, retained */
  int capability;  /* 90 for 9.0 */
  int maxShared;   /* bytes of a block, with opt-in */
  char name[96];
  char text[160];  /* "cuda:0 (NVIDIA H200, sm_90)" */
  const manifest::DeviceCode *deviceCode;
  Code code;
  Function *functions;
  Address weights; /* 0 without */
  size_t weightBytes;
  pthread_mutex_t lock; /* of changes of `functions` */
};

/* Kernels and weights, after the artifact has been mapped and checked.
 * SQ_STATUS_UNSUPPORTED when the driver is too old for the code,
 * SQ_STATUS_OUT_OF_MEMORY with the sizes. */
sq_status loadCode(sq_module *module, const char *path);

/* Lets function `index` use so much dynamic shared memory. */
Result allowShared(Module *module, int32_t index, int32_t bytes);

/* Allocates device memory; the failure names `what` ("the weights need", "this
 * run needs an arena of") and how much there is. A context must be current. */
sq_status allocateMemory(const Module *module, size_t bytes, const char *what, Address *address);

} // namespace cuda
} // namespace sq

#endif
