#include "test/cuda/emulator/Driver.h"
#include "test/cuda/emulator/Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using sq::emulator::deviceMemory;

namespace sq::fake_cuda {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAlignment = 256; // what CUDA promises

void *at(CUdeviceptr pointer) { return reinterpret_cast<void *>(pointer); }

/// Of the device's side of a copy or fill.
CUresult checkDevice(const char *call, CUdeviceptr pointer, size_t bytes) {
  auto *allocation = deviceMemory().find(pointer);
  if (allocation && allocation->holds(pointer, bytes))
    return CUDA_SUCCESS;
  return refuse(CUDA_ERROR_INVALID_VALUE, "%s: %zu bytes at 0x%llx: %s", call,
                bytes, pointer,
                deviceMemory().describe(pointer, bytes).c_str());
}

CUresult checkHost(const char *call, const void *pointer) {
  if (!pointer)
    return refuse(CUDA_ERROR_INVALID_VALUE, "%s: a null host pointer", call);
  if (deviceMemory().find(reinterpret_cast<uintptr_t>(pointer)))
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "%s: device memory where host memory belongs", call);
  return CUDA_SUCCESS;
}

/// The pinned range that a host address lies in, or null.
const HostRange *pinned(const void *pointer) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  auto &ranges = driver().hostRanges;
  auto next = ranges.upper_bound(address);
  if (next == ranges.begin())
    return nullptr;
  --next;
  return address - next->first < next->second.bytes ? &next->second : nullptr;
}

/// Device memory may be gone when work that was recorded runs.
Work copyWork(const char *call, void *to, const void *from, size_t bytes,
              CUdeviceptr device, CUdeviceptr device2 = 0) {
  return [=] {
    if (checkDevice(call, device, bytes) != CUDA_SUCCESS ||
        (device2 && checkDevice(call, device2, bytes) != CUDA_SUCCESS))
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    std::memmove(to, from, bytes);
    return CUDA_SUCCESS;
  };
}

CUresult toDevice(const char *call, CUdeviceptr to, const void *from,
                  size_t bytes, CUstream handle) {
  CUstream_st *stream = find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes)
    return CUDA_SUCCESS;
  if (CUresult result = checkDevice(call, to, bytes))
    return result;
  if (CUresult result = checkHost(call, from))
    return result;
  if (driver().lazy && !stream->capture && !pinned(from)) {
    // Pageable memory has been read when the call returns, pinned has not.
    auto *begin = static_cast<const uint8_t *>(from);
    auto bytesOf = std::make_shared<std::vector<uint8_t>>(begin, begin + bytes);
    return submit(*stream, [=] {
      return copyWork(call, at(to), bytesOf->data(), bytes, to)();
    });
  }
  return submit(*stream, copyWork(call, at(to), from, bytes, to));
}

CUresult toHost(const char *call, void *to, CUdeviceptr from, size_t bytes,
                CUstream handle) {
  CUstream_st *stream = find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes)
    return CUDA_SUCCESS;
  if (CUresult result = checkDevice(call, from, bytes))
    return result;
  if (CUresult result = checkHost(call, to))
    return result;
  CUresult result = submit(*stream, copyWork(call, to, at(from), bytes, from));
  if (!stream->capture && !pinned(to))
    flush(*stream); // into pageable memory the call waits
  return result ? result : driver().sticky;
}

/// The synchronous calls, on the legacy default stream.
CUresult begin(Entry &entry) {
  if (!entry)
    return entry.result;
  if (CUresult result = refuseInCapture())
    return result;
  for (CUstream stream : driver().streams)
    if (stream->capture && !(stream->flags & CU_STREAM_NON_BLOCKING)) {
      stream->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  for (CUstream stream : driver().streams)
    if (!(stream->flags & CU_STREAM_NON_BLOCKING))
      flush(*stream);
  return driver().sticky;
}

CUresult finish(CUresult result) {
  flush(driver().nullStream);
  return result ? result : driver().sticky;
}

template <typename T>
CUresult fill(const char *call, CUdeviceptr to, T value, size_t count,
              CUstream handle) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!count)
    return CUDA_SUCCESS;
  if (to % sizeof(T))
    return refuse(CUDA_ERROR_INVALID_VALUE, "%s: misaligned 0x%llx", call, to);
  if (CUresult result = checkDevice(call, to, count * sizeof(T)))
    return result;
  return submit(*stream, [=] {
    if (checkDevice(call, to, count * sizeof(T)) != CUDA_SUCCESS)
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    std::fill_n(static_cast<T *>(at(to)), count, value);
    return CUDA_SUCCESS;
  });
}

} // namespace

void release(CUdeviceptr pointer, const Allocation &allocation) {
  deviceMemory().remove(at(pointer));
  allocation.context->used -= allocation.bytes;
  munmap(allocation.mapping, allocation.mapped);
}

} // namespace sq::fake_cuda

using namespace sq::fake_cuda;

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (CUresult result = refuseInCapture())
    return result;
  if (!bytes)
    return CUDA_ERROR_INVALID_VALUE;
  if (bytes > driver().memory - entry.context->used)
    return CUDA_ERROR_OUT_OF_MEMORY;
  // Up against the page behind it, which may not be touched.
  size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  size_t pages = (padded + kPage - 1) / kPage * kPage;
  size_t mapped = pages + 2 * kPage;
  void *mapping = mmap(nullptr, mapped, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  uint8_t *usable = static_cast<uint8_t *>(mapping) + kPage;
  if (mprotect(usable, pages, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, mapped);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  uint8_t *base = usable + pages - padded;
  std::memset(base, 0xFF, bytes);
  deviceMemory().add(base, bytes, /*writable=*/true);
  *pointer = reinterpret_cast<CUdeviceptr>(base);
  driver().allocations[*pointer] = {entry.context, bytes, mapping, mapped};
  entry.context->used += bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!pointer)
    return CUDA_SUCCESS;
  if (CUresult result = refuseInCapture())
    return result;
  flushAll(); // a real cuMemFree waits too
  auto &allocations = driver().allocations;
  auto found = allocations.find(pointer);
  if (found == allocations.end())
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "cuMemFree: 0x%llx is no allocation", pointer);
  release(pointer, found->second);
  allocations.erase(found);
  return driver().sticky;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  Entry entry;
  if (!entry)
    return entry.result;
  *free = driver().memory - entry.context->used;
  *total = driver().memory;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (CUresult result = refuseInCapture())
    return result;
  if (!bytes)
    return CUDA_ERROR_INVALID_VALUE;
  void *memory = nullptr;
  if (posix_memalign(&memory, kPage, bytes) != 0)
    return CUDA_ERROR_OUT_OF_MEMORY;
  std::memset(memory, 0xFF, bytes);
  driver().hostRanges[reinterpret_cast<uintptr_t>(memory)] = {bytes, false};
  *pointer = memory;
  return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *pointer) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!pointer)
    return CUDA_SUCCESS;
  flushAll();
  auto &ranges = driver().hostRanges;
  auto found = ranges.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == ranges.end() || found->second.registered)
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "cuMemFreeHost: %p is not of cuMemHostAlloc", pointer);
  free(pointer);
  ranges.erase(found);
  return driver().sticky;
}

CUresult cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!pointer || !bytes)
    return CUDA_ERROR_INVALID_VALUE;
  auto *begin = static_cast<uint8_t *>(pointer);
  if (pinned(begin) || pinned(begin + bytes - 1))
    return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  driver().hostRanges[reinterpret_cast<uintptr_t>(pointer)] = {bytes, true};
  return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void *pointer) {
  Entry entry;
  if (!entry)
    return entry.result;
  flushAll();
  auto &ranges = driver().hostRanges;
  auto found = ranges.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == ranges.end() || !found->second.registered)
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  ranges.erase(found);
  return driver().sticky;
}

CUresult cuPointerGetAttribute(void *value, int attribute,
                               CUdeviceptr pointer) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (attribute != CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
    return refuse(CUDA_ERROR_NOT_SUPPORTED,
                  "cuPointerGetAttribute: attribute %d is not emulated",
                  attribute);
  auto *type = static_cast<unsigned *>(value);
  if (deviceMemory().find(pointer))
    *type = CU_MEMORYTYPE_DEVICE;
  else if (pinned(at(pointer)))
    *type = CU_MEMORYTYPE_HOST;
  else
    return CUDA_ERROR_INVALID_VALUE; // as for all pageable memory
  return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  Entry entry;
  if (CUresult result = begin(entry))
    return result;
  return finish(toDevice("cuMemcpyHtoD", to, from, bytes, nullptr));
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  Entry entry;
  if (CUresult result = begin(entry))
    return result;
  return finish(toHost("cuMemcpyDtoH", to, from, bytes, nullptr));
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes,
                              CUstream stream) {
  Entry entry;
  return entry ? toDevice("cuMemcpyHtoDAsync", to, from, bytes, stream)
               : entry.result;
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes,
                              CUstream stream) {
  Entry entry;
  return entry ? toHost("cuMemcpyDtoHAsync", to, from, bytes, stream)
               : entry.result;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                              CUstream handle) {
  const char *call = "cuMemcpyDtoDAsync";
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes)
    return CUDA_SUCCESS;
  if (CUresult result = checkDevice(call, to, bytes))
    return result;
  if (CUresult result = checkDevice(call, from, bytes))
    return result;
  return submit(*stream, copyWork(call, at(to), at(from), bytes, to, from));
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                         CUstream stream) {
  return fill<uint8_t>("cuMemsetD8Async", to, value, count, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                          CUstream stream) {
  return fill<uint32_t>("cuMemsetD32Async", to, value, count, stream);
}
