/// The part of CUDA's driver interface that the fake libcuda.so.1 exports, as
/// cuda.h of CUDA 12 and 13 names it. Declared here, so that nothing needs a
/// CUDA toolkit; numbers and layouts are those of the real one.
#ifndef SQ_TEST_CUDA_EMULATOR_FAKECUDA_H
#define SQ_TEST_CUDA_EMULATOR_FAKECUDA_H

#include <cstddef>
#include <cstdint>

#define SQ_CU extern "C" __attribute__((visibility("default"))) CUresult

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
  CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
  CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
  CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_MERGE = 902,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
  CUDA_ERROR_CAPTURED_EVENT = 907,
  CUDA_ERROR_UNKNOWN = 999
};

enum {
  CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
  CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
  CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2,
  CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
  CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
  CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,
  CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9,

  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_MEMORYTYPE_HOST = 1,
  CU_MEMORYTYPE_DEVICE = 2,

  CU_STREAM_NON_BLOCKING = 1,
  CU_EVENT_DISABLE_TIMING = 2,

  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2
};

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

// DriverContext.cpp
SQ_CU cuInit(unsigned flags);
SQ_CU cuDriverGetVersion(int *version);
SQ_CU cuDeviceGetCount(int *count);
SQ_CU cuDeviceGet(CUdevice *device, int ordinal);
SQ_CU cuDeviceGetName(char *name, int bytes, CUdevice device);
SQ_CU cuDeviceGetAttribute(int *value, int attribute, CUdevice device);
SQ_CU cuDeviceTotalMem_v2(size_t *bytes, CUdevice device);
SQ_CU cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device);
SQ_CU cuDevicePrimaryCtxRelease_v2(CUdevice device);
SQ_CU cuCtxPushCurrent_v2(CUcontext context);
SQ_CU cuCtxPopCurrent_v2(CUcontext *context);
SQ_CU cuCtxSetCurrent(CUcontext context);
SQ_CU cuCtxGetCurrent(CUcontext *context);
SQ_CU cuCtxSynchronize();
SQ_CU cuGetErrorName(CUresult error, const char **text);
SQ_CU cuGetErrorString(CUresult error, const char **text);
SQ_CU cuGetProcAddress_v2(const char *symbol, void **function, int version,
                          uint64_t flags, int *status);

// DriverModule.cpp
SQ_CU cuModuleLoadData(CUmodule *module, const void *image);
SQ_CU cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                         int *options, void **values);
SQ_CU cuModuleUnload(CUmodule module);
SQ_CU cuModuleGetFunction(CUfunction *function, CUmodule module,
                          const char *name);
SQ_CU cuFuncSetAttribute(CUfunction function, int attribute, int value);
SQ_CU cuFuncGetAttribute(int *value, int attribute, CUfunction function);
SQ_CU cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                     unsigned gridZ, unsigned blockX, unsigned blockY,
                     unsigned blockZ, unsigned sharedBytes, CUstream stream,
                     void **params, void **extra);

// DriverMemory.cpp
SQ_CU cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes);
SQ_CU cuMemFree_v2(CUdeviceptr pointer);
SQ_CU cuMemGetInfo_v2(size_t *free, size_t *total);
SQ_CU cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags);
SQ_CU cuMemFreeHost(void *pointer);
SQ_CU cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags);
SQ_CU cuMemHostUnregister(void *pointer);
SQ_CU cuPointerGetAttribute(void *value, int attribute, CUdeviceptr pointer);
SQ_CU cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes);
SQ_CU cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes);
SQ_CU cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes,
                           CUstream stream);
SQ_CU cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes,
                           CUstream stream);
SQ_CU cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                           CUstream stream);
SQ_CU cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                      CUstream stream);
SQ_CU cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                       CUstream stream);

// DriverStream.cpp
SQ_CU cuStreamCreate(CUstream *stream, unsigned flags);
SQ_CU cuStreamDestroy_v2(CUstream stream);
SQ_CU cuStreamSynchronize(CUstream stream);
SQ_CU cuStreamQuery(CUstream stream);
SQ_CU cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags);
SQ_CU cuStreamIsCapturing(CUstream stream, int *status);
SQ_CU cuStreamBeginCapture_v2(CUstream stream, int mode);
SQ_CU cuStreamEndCapture(CUstream stream, CUgraph *graph);
SQ_CU cuEventCreate(CUevent *event, unsigned flags);
SQ_CU cuEventDestroy_v2(CUevent event);
SQ_CU cuEventRecord(CUevent event, CUstream stream);
SQ_CU cuEventSynchronize(CUevent event);
SQ_CU cuEventQuery(CUevent event);
SQ_CU cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
SQ_CU cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end);
SQ_CU cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                  unsigned long long flags);
SQ_CU cuGraphLaunch(CUgraphExec exec, CUstream stream);
SQ_CU cuGraphExecDestroy(CUgraphExec exec);
SQ_CU cuGraphDestroy(CUgraph graph);

#endif
