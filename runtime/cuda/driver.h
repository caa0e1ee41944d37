/* The functions of NVIDIA's driver (libcuda.so.1) that sq uses, declared here:
 * building sq needs no CUDA, and the library is looked for only when a CUDA
 * artifact is loaded. Signatures and numbers: CUDA Driver API reference; they
 * are the driver's binary interface and do not change under a name. */
#ifndef SQ_RUNTIME_CUDA_DRIVER_H
#define SQ_RUNTIME_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "sq/runtime.h"

namespace sq {
namespace cuda {

using Result = int; /* CUresult */
using Device = int; /* CUdevice */
using Address = unsigned long long; /* CUdeviceptr */
using Context = struct ContextTag *;
using Code = struct CodeTag *; /* CUmodule */
using Kernel = struct KernelTag *; /* CUfunction */
using Stream = struct StreamTag *;
using Event = struct EventTag *;
using Graph = struct GraphTag *;
using GraphExec = struct GraphExecTag *;

/* CUresult */
constexpr Result success = 0, errorOutOfMemory = 2, errorDeinitialized = 4, errorNoDevice = 100,
                 errorInvalidImage = 200, errorNoBinary = 209, errorInvalidPtx = 218,
                 errorUnsupportedPtx = 222, errorNotFound = 500, errorIllegalAddress = 700,
                 errorLaunchResources = 701, errorLaunchTimeout = 702, errorAssert = 710,
                 errorHardwareStack = 714, errorIllegalInstruction = 715, errorMisaligned = 716,
                 errorAddressSpace = 717, errorInvalidPc = 718, errorLaunchFailed = 719;
/* CUdevice_attribute */
constexpr int attributeMajor = 75, attributeMinor = 76, attributeSharedOptIn = 97;
/* CUfunction_attribute */
constexpr int functionDynamicShared = 8;
/* CUjit_option */
constexpr int jitErrorLog = 5, jitErrorLogBytes = 6;
constexpr unsigned streamDefault = 0, streamNonBlocking = 1;
constexpr unsigned eventDefault = 0, eventNoTiming = 2;
constexpr int captureRelaxed = 2;
/* The least CUDA version whose driver has all functions below. */
constexpr int leastDriver = 11040;

/* X(member, symbol, parameters): a function returning CUresult. */
#define SQ_CUDA_FUNCTIONS(X)                                                                       \
  X(init, cuInit, (unsigned flags))                                                                \
  X(driverVersion, cuDriverGetVersion, (int *version))                                             \
  X(errorName, cuGetErrorName, (Result error, const char **text))                                  \
  X(errorString, cuGetErrorString, (Result error, const char **text))                              \
  X(deviceCount, cuDeviceGetCount, (int *count))                                                   \
  X(deviceGet, cuDeviceGet, (Device * device, int ordinal))                                        \
  X(deviceName, cuDeviceGetName, (char *name, int size, Device device))                            \
  X(deviceAttribute, cuDeviceGetAttribute, (int *value, int attribute, Device device))             \
  X(contextRetain, cuDevicePrimaryCtxRetain, (Context * context, Device device))                   \
  X(contextRelease, cuDevicePrimaryCtxRelease_v2, (Device device))                                 \
  X(contextPush, cuCtxPushCurrent_v2, (Context context))                                           \
  X(contextPop, cuCtxPopCurrent_v2, (Context * context))                                           \
  X(contextSynchronize, cuCtxSynchronize, ())                                                      \
  X(moduleLoad, cuModuleLoadDataEx,                                                                \
    (Code * code, const void *image, unsigned numOptions, int *options, void **values))            \
  X(moduleUnload, cuModuleUnload, (Code code))                                                     \
  X(moduleFunction, cuModuleGetFunction, (Kernel * kernel, Code code, const char *name))           \
  X(functionSet, cuFuncSetAttribute, (Kernel kernel, int attribute, int value))                    \
  X(memoryInfo, cuMemGetInfo_v2, (size_t * free, size_t *total))                                   \
  X(memoryAlloc, cuMemAlloc_v2, (Address * address, size_t bytes))                                 \
  X(memoryFree, cuMemFree_v2, (Address address))                                                   \
  X(hostAlloc, cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                      \
  X(hostFree, cuMemFreeHost, (void *memory))                                                       \
  X(upload, cuMemcpyHtoD_v2, (Address to, const void *from, size_t bytes))                         \
  X(uploadAsync, cuMemcpyHtoDAsync_v2,                                                             \
    (Address to, const void *from, size_t bytes, Stream stream))                                   \
  X(downloadAsync, cuMemcpyDtoHAsync_v2, (void *to, Address from, size_t bytes, Stream stream))    \
  X(copyAsync, cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Stream stream))      \
  X(fillAsync, cuMemsetD32Async, (Address to, unsigned value, size_t words, Stream stream))        \
  X(streamCreate, cuStreamCreate, (Stream * stream, unsigned flags))                               \
  X(streamDestroy, cuStreamDestroy_v2, (Stream stream))                                            \
  X(streamSynchronize, cuStreamSynchronize, (Stream stream))                                       \
  X(streamWait, cuStreamWaitEvent, (Stream stream, Event event, unsigned flags))                   \
  X(eventCreate, cuEventCreate, (Event * event, unsigned flags))                                   \
  X(eventDestroy, cuEventDestroy_v2, (Event event))                                                \
  X(eventRecord, cuEventRecord, (Event event, Stream stream))                                      \
  X(eventSynchronize, cuEventSynchronize, (Event event))                                           \
  X(eventElapsed, cuEventElapsedTime, (float *milliseconds, Event begin, Event end))               \
  X(launch, cuLaunchKernel,                                                                        \
    (Kernel kernel, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,               \
     unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **params,         \
     void **extra))                                                                                \
  X(captureBegin, cuStreamBeginCapture_v2, (Stream stream, int mode))                              \
  X(captureEnd, cuStreamEndCapture, (Stream stream, Graph * graph))                                \
  X(graphInstantiate, cuGraphInstantiateWithFlags,                                                 \
    (GraphExec * exec, Graph graph, unsigned long long flags))                                     \
  X(graphLaunch, cuGraphLaunch, (GraphExec exec, Stream stream))                                   \
  X(graphDestroy, cuGraphDestroy, (Graph graph))                                                   \
  X(graphExecDestroy, cuGraphExecDestroy, (GraphExec exec))

struct Driver {
#define SQ_DECLARE(member, symbol, parameters) Result(*member) parameters;
  SQ_CUDA_FUNCTIONS(SQ_DECLARE)
#undef SQ_DECLARE
  int version; /* 12020: the driver is for CUDA 12.2 */
};

/* Loads and initialises the driver, once per process; a failure
 * (SQ_STATUS_UNSUPPORTED) is tried again by the next call. */
sq_status loadDriver();

/* Valid after loadDriver succeeded. */
extern Driver driver;

/* "CUDA_ERROR_ILLEGAL_ADDRESS (700: an illegal memory access was encountered)" */
struct ErrorText {
  char text[256];
  explicit ErrorText(Result error);
};

/* Makes a context current for this thread as long as it lives. */
class ContextScope {
public:
  explicit ContextScope(Context context) : result(driver.contextPush(context)) {}
  ~ContextScope() {
    Context popped;
    if (result == success)
      driver.contextPop(&popped);
  }
  ContextScope(const ContextScope &) = delete;
  const Result result;
};

} // namespace cuda
} // namespace sq

#endif
