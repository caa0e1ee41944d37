#include "test/cuda/emulator/Driver.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace sq::fake_cuda {
namespace {

thread_local std::vector<CUcontext> contextStack;

uint64_t number(const char *variable, uint64_t otherwise) {
  const char *text = getenv(variable);
  return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

void reportLeaks() {
  Driver &d = driver();
  if (!d.leaks)
    return;
  for (auto &[pointer, allocation] : d.allocations)
    fprintf(stderr, "emulator: leak: %zu bytes of device memory at 0x%llx\n",
            allocation.bytes, pointer);
  for (auto &[pointer, range] : d.hostRanges)
    fprintf(stderr, "emulator: leak: %zu bytes of host memory at 0x%llx\n",
            range.bytes, static_cast<unsigned long long>(pointer));
}

/// All that contexts own.
void destroyAll() {
  Driver &d = driver();
  for (auto &[pointer, allocation] : d.allocations)
    release(pointer, allocation);
  d.allocations.clear();
  for (auto &[pointer, range] : d.hostRanges)
    if (!range.registered)
      free(reinterpret_cast<void *>(pointer));
  d.hostRanges.clear();
  for (CUgraphExec exec : d.graphExecs)
    delete exec;
  d.graphExecs.clear();
  for (CUgraph graph : d.graphs)
    delete graph;
  d.graphs.clear();
  for (CUevent event : d.events)
    delete event;
  d.events.clear();
  for (CUstream stream : d.streams)
    delete stream;
  d.streams.clear();
  d.nullStream = {};
  while (!d.modules.empty())
    closeModule(*d.modules.begin());
}

/// For calls that need no context.
CUresult checkDevice(CUdevice device) {
  Driver &d = driver();
  if (!d.initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  return device >= 0 && device < d.devices ? CUDA_SUCCESS
                                           : CUDA_ERROR_INVALID_DEVICE;
}

struct Name {
  CUresult error;
  const char *name, *text;
};
#define SQ_NAME(name, text) {name, #name, text}
const Name names[] = {
    SQ_NAME(CUDA_SUCCESS, "no error"),
    SQ_NAME(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    SQ_NAME(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    SQ_NAME(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    SQ_NAME(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    SQ_NAME(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    SQ_NAME(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    SQ_NAME(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    SQ_NAME(CUDA_ERROR_NO_BINARY_FOR_GPU,
            "no kernel image is available for execution on the device"),
    SQ_NAME(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    SQ_NAME(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    SQ_NAME(CUDA_ERROR_NOT_READY, "device not ready"),
    SQ_NAME(CUDA_ERROR_ILLEGAL_ADDRESS,
            "an illegal memory access was encountered"),
    SQ_NAME(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    SQ_NAME(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,
            "part or all of the requested memory range is already mapped"),
    SQ_NAME(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,
            "pointer does not correspond to a registered memory region"),
    SQ_NAME(CUDA_ERROR_ILLEGAL_INSTRUCTION,
            "an illegal instruction was encountered"),
    SQ_NAME(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address"),
    SQ_NAME(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    SQ_NAME(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    SQ_NAME(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
            "operation not permitted when stream is capturing"),
    SQ_NAME(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
            "operation failed due to a previous error during capture"),
    SQ_NAME(CUDA_ERROR_STREAM_CAPTURE_MERGE,
            "operation would result in a merge of separate capture sequences"),
    SQ_NAME(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED,
            "capture was not ended in the same stream as it began"),
    SQ_NAME(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
            "operation would make the legacy stream depend on a capturing "
            "blocking stream"),
    SQ_NAME(CUDA_ERROR_CAPTURED_EVENT,
            "operation not permitted on an event last recorded in a capturing "
            "stream"),
    SQ_NAME(CUDA_ERROR_UNKNOWN, "unknown error"),
};

const Name *findName(CUresult error) {
  for (const Name &name : names)
    if (name.error == error)
      return &name;
  return nullptr;
}

} // namespace

Driver &driver() {
  // Never destroyed: the last calls may come from other destructors.
  static auto *d = new Driver;
  return *d;
}

CUresult refuse(CUresult result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char text[512];
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(stderr, "emulator: %s\n", text);
  return result;
}

Entry::Entry() : lock(driver().mutex) {
  Driver &d = driver();
  if (!d.initialized)
    result = CUDA_ERROR_NOT_INITIALIZED;
  else if (d.sticky != CUDA_SUCCESS)
    result = d.sticky;
  else if (contextStack.empty() || !contextStack.back())
    result = CUDA_ERROR_INVALID_CONTEXT;
  else if (contextStack.back()->retained == 0)
    result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  else {
    result = CUDA_SUCCESS;
    context = contextStack.back();
  }
}

} // namespace sq::fake_cuda

using namespace sq::fake_cuda;

CUresult cuInit(unsigned flags) {
  Driver &d = driver();
  std::lock_guard<std::mutex> lock(d.mutex);
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  bool used = false;
  for (CUctx_st &context : d.contexts)
    used |= context.retained > 0;
  if (!used) { // a test may have set others since
    d.devices = static_cast<int>(number("SQ_FAKE_CUDA_DEVICES", 1));
    d.capability = static_cast<int>(number("SQ_FAKE_CUDA_CC", 80));
    d.version = static_cast<int>(number("SQ_FAKE_CUDA_DRIVER", 13000));
    d.memory = number("SQ_FAKE_CUDA_MEMORY", uint64_t{4} << 30);
    d.leaks = number("SQ_FAKE_CUDA_LEAKS", 0);
    d.lazy = number("SQ_FAKE_CUDA_LAZY", 0);
    // Handles of contexts stay valid: there are never fewer.
    if (d.contexts.empty()) {
      d.contexts.resize(64);
      for (int i = 0; i < 64; ++i)
        d.contexts[i] = {i, 0, 0};
      atexit(reportLeaks);
    }
  }
  d.initialized = d.devices > 0;
  return d.initialized ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version) {
  // May be asked before cuInit.
  *version = static_cast<int>(number("SQ_FAKE_CUDA_DRIVER", 13000));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
  if (!driver().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  *count = driver().devices;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  CUresult result = checkDevice(ordinal);
  if (result == CUDA_SUCCESS)
    *device = ordinal;
  return result;
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
  CUresult result = checkDevice(device);
  if (result == CUDA_SUCCESS)
    snprintf(name, bytes, "sq emulated GPU");
  return result;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  CUresult result = checkDevice(device);
  if (result == CUDA_SUCCESS)
    *bytes = driver().memory;
  return result;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  if (CUresult result = checkDevice(device))
    return result;
  Driver &d = driver();
  static const std::map<int, int> fixed = {
      {1, 1024},        // MAX_THREADS_PER_BLOCK
      {2, 1024},        // MAX_BLOCK_DIM_X
      {3, 1024},        // MAX_BLOCK_DIM_Y
      {4, 64},          // MAX_BLOCK_DIM_Z
      {5, 0x7FFFFFFF},  // MAX_GRID_DIM_X
      {6, 65535},       // MAX_GRID_DIM_Y
      {7, 65535},       // MAX_GRID_DIM_Z
      {8, 48 << 10},    // MAX_SHARED_MEMORY_PER_BLOCK
      {9, 64 << 10},    // TOTAL_CONSTANT_MEMORY
      {10, 32},         // WARP_SIZE
      {11, 0x7FFFFFFF}, // MAX_PITCH
      {12, 65536},      // MAX_REGISTERS_PER_BLOCK
      {13, 1000000},    // CLOCK_RATE
      {16, 8},          // MULTIPROCESSOR_COUNT
      {18, 0},          // INTEGRATED
      {19, 1},          // CAN_MAP_HOST_MEMORY
      {20, 0},          // COMPUTE_MODE
      {31, 1},          // CONCURRENT_KERNELS
      {33, 0},          // PCI_BUS_ID
      {34, 0},          // PCI_DEVICE_ID
      {36, 1000000},    // MEMORY_CLOCK_RATE
      {37, 256},        // GLOBAL_MEMORY_BUS_WIDTH
      {38, 4 << 20},    // L2_CACHE_SIZE
      {39, 2048},       // MAX_THREADS_PER_MULTIPROCESSOR
      {40, 1},          // ASYNC_ENGINE_COUNT
      {41, 1},          // UNIFIED_ADDRESSING
      {50, 0},          // PCI_DOMAIN_ID
      {78, 1},          // STREAM_PRIORITIES_SUPPORTED
      {82, 65536},      // MAX_REGISTERS_PER_MULTIPROCESSOR
      {83, 0},          // MANAGED_MEMORY
      {95, 0},          // COOPERATIVE_LAUNCH
      {106, 16},        // MAX_BLOCKS_PER_MULTIPROCESSOR
      {111, 1024},      // RESERVED_SHARED_MEMORY_PER_BLOCK
      {115, 0},         // MEMORY_POOLS_SUPPORTED
  };
  if (attribute == 75) // COMPUTE_CAPABILITY_MAJOR
    *value = d.capability / 10;
  else if (attribute == 76) // COMPUTE_CAPABILITY_MINOR
    *value = d.capability % 10;
  else if (attribute == 81) // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    *value = d.maxDynamicShared() + 1024;
  else if (attribute == 97) // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    *value = d.maxDynamicShared();
  else if (auto at = fixed.find(attribute); at != fixed.end())
    *value = at->second;
  else
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "cuDeviceGetAttribute: attribute %d is not emulated",
                  attribute);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  Driver &d = driver();
  std::lock_guard<std::mutex> lock(d.mutex);
  if (CUresult result = checkDevice(device))
    return result;
  if (d.sticky != CUDA_SUCCESS)
    return d.sticky;
  *context = &d.contexts[device];
  ++d.contexts[device].retained;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  Driver &d = driver();
  std::lock_guard<std::mutex> lock(d.mutex);
  if (CUresult result = checkDevice(device))
    return result;
  CUctx_st &context = d.contexts[device];
  if (context.retained == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--context.retained)
    return CUDA_SUCCESS;
  for (CUctx_st &other : d.contexts)
    if (other.retained)
      return CUDA_SUCCESS; // what is left belongs to whom? It ends with all.
  if (d.sticky == CUDA_SUCCESS)
    flushAll();
  reportLeaks();
  destroyAll();
  for (CUctx_st &other : d.contexts)
    other.used = 0;
  // A real driver wants a new process after such an error. Here tests go on.
  d.sticky = CUDA_SUCCESS;
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  if (!driver().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  if (!context)
    return CUDA_ERROR_INVALID_CONTEXT;
  contextStack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
  if (!driver().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  if (contextStack.empty())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (context)
    *context = contextStack.back();
  contextStack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  if (!driver().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  if (!contextStack.empty())
    contextStack.pop_back();
  if (context)
    contextStack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
  if (!driver().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  *context = contextStack.empty() ? nullptr : contextStack.back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
  Entry entry;
  if (!entry)
    return entry.result;
  for (CUstream stream : driver().streams)
    if (stream->capture) {
      stream->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  flushAll();
  return driver().sticky;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
  const Name *name = findName(error);
  *text = name ? name->name : nullptr;
  return name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  const Name *name = findName(error);
  *text = name ? name->text : nullptr;
  return name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version,
                             uint64_t flags, int *status) {
  Dl_info self;
  void *library = nullptr;
  if (dladdr(reinterpret_cast<void *>(&cuInit), &self))
    library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  *function = nullptr;
  if (library) {
    *function = dlsym(library, (std::string(symbol) + "_v2").c_str());
    if (!*function)
      *function = dlsym(library, symbol);
    dlclose(library);
  }
  if (status)
    *status = *function ? 0 : 1; // CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
