/* What the host schedule of a CUDA variant calls. */
#include <limits.h>
#include <stdio.h>

#include "runtime/core/error.h"
#include "runtime/cuda/state.h"

namespace sq {
namespace cuda {
namespace {

const char *kernelName(const sq_session *session, const sq_launch &launch) {
  if (launch.kernel >= 0 && launch.kernel < session->numKernels)
    return session->times[launch.kernel].name;
  const auto *functions = session->cuda->module->deviceCode->functions();
  return functions->Get(static_cast<uint32_t>(launch.function))->c_str();
}

sq_status kernelFailed(const sq_session *session, Result result, const char *kernel) {
  const char *where = session->cuda->module->text;
  if (kernel)
    return fail(SQ_STATUS_INTERNAL,
                "kernel '%s' failed on %s: %s; this process can no longer use the device", kernel,
                where, ErrorText(result).text);
  return fail(SQ_STATUS_INTERNAL,
              "a kernel failed on %s: %s; set SQ_CUDA_SYNC=1 to learn which one; this process can no "
              "longer use the device",
              where, ErrorText(result).text);
}

/* In a callback: passes on the failure that `fail` has just described. */
void noteStatus(sq_session *session, sq_status status) {
  note(session, status, "%s", sq_last_error());
}

uint8_t *arenaCallback(sq_kernel_context *context, int32_t index, int64_t bytes) {
  sq_session *session = sessionOf(context);
  Session &s = *session->cuda;
  if (bytes < 0) {
    note(session, SQ_STATUS_INTERNAL, "the arena's size overflows for these dims");
    return nullptr;
  }
  if (!growTo(&s.arenas, &s.numArenas, index)) {
    note(session, SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
    return nullptr;
  }
  if (sq_status status = reserve(session, s.arenas[index], static_cast<size_t>(bytes),
                                 "this run needs an arena of")) {
    noteStatus(session, status);
    return nullptr;
  }
  return pointer(s.arenas[index].data);
}

uint8_t *outputCallback(sq_kernel_context *context, int32_t index, const int64_t *shape) {
  sq_session *session = sessionOf(context);
  Session &s = *session->cuda;
  int64_t bytes;
  if (!checkOutputShape(session, index, shape, &bytes))
    return nullptr;
  Output &output = session->outputs[index];
  output.bytes = bytes;
  if (isInPlace(output)) {
    output.data = pointer(addressOf(*output.given));
    return output.data;
  }
  char what[160];
  snprintf(what, sizeof(what), "output '%.128s' needs", session->module->outputs[index].name);
  if (sq_status status = reserve(session, s.outputs[index], static_cast<size_t>(bytes), what)) {
    noteStatus(session, status);
    return nullptr;
  }
  output.data = pointer(s.outputs[index].data);
  return output.data;
}

void parallelCallback(sq_kernel_context *context, sq_kernel_fn, const void *, int64_t, int64_t,
                      int32_t) {
  note(sessionOf(context), SQ_STATUS_INTERNAL,
       "the code for a device asks for threads of the CPU");
}

/* Limits that all devices from compute capability 3.0 on share (CUDA C++
 * Programming Guide, "Technical Specifications per Compute Capability"). */
bool checkLaunch(sq_session *session, const sq_launch &l) {
  const Module &module = *session->cuda->module;
  constexpr int64_t maxGrid[3] = {INT_MAX, 65535, 65535};
  constexpr int32_t maxBlock[3] = {1024, 1024, 64}, maxThreadsOfBlock = 1024;
  int64_t threads = 1;
  bool fits = true;
  for (int i = 0; i < 3; ++i) {
    fits = fits && l.grid[i] >= 0 && l.grid[i] <= maxGrid[i] && l.block[i] > 0 &&
           l.block[i] <= maxBlock[i];
    threads *= l.block[i];
  }
  if (!fits || threads > maxThreadsOfBlock) {
    note(session, SQ_STATUS_INTERNAL,
         "kernel '%s' would be launched on %lld x %lld x %lld blocks of %d x %d x %d threads; a "
         "device takes at most 2147483647 x 65535 x 65535 of 1024",
         kernelName(session, l), static_cast<long long>(l.grid[0]),
         static_cast<long long>(l.grid[1]), static_cast<long long>(l.grid[2]), l.block[0],
         l.block[1], l.block[2]);
    return false;
  }
  if (l.shared_bytes < 0 || l.shared_bytes > module.maxShared) {
    note(session, SQ_STATUS_INTERNAL,
         "kernel '%s' needs %d bytes of shared memory, %s has %d for a block",
         kernelName(session, l), l.shared_bytes, module.text, module.maxShared);
    return false;
  }
  return true;
}

int32_t launchFailed(sq_session *session, const sq_launch &l, Result result) {
  sq_status status;
  if (result == errorOutOfMemory)
    status = fail(SQ_STATUS_OUT_OF_MEMORY, "out of device memory in launching kernel '%s' on %s",
                  kernelName(session, l), session->cuda->module->text);
  else if (isKernelFault(result)) /* of an earlier one */
    status = kernelFailed(session, result, nullptr);
  else
    status = fail(SQ_STATUS_INTERNAL, "kernel '%s' cannot be launched on %s: %s",
                  kernelName(session, l), session->cuda->module->text, ErrorText(result).text);
  noteStatus(session, status);
  return 1;
}

int32_t launchCallback(sq_kernel_context *context, const sq_launch *launch) {
  sq_session *session = sessionOf(context);
  Session &s = *session->cuda;
  const sq_launch &l = *launch;
  if (l.function < 0 ||
      l.function >= static_cast<int32_t>(s.module->deviceCode->functions()->size())) {
    note(session, SQ_STATUS_INTERNAL, "the code launches function %d of %u", l.function,
         s.module->deviceCode->functions()->size());
    return 1;
  }
  if (!l.grid[0] || !l.grid[1] || !l.grid[2])
    return 0;
  if (!checkLaunch(session, l))
    return 1;
  if (Result result = allowShared(s.module, l.function, l.shared_bytes))
    return launchFailed(session, l, result);
  bool measured = s.profile.on && l.kernel >= 0 && l.kernel < session->numKernels;
  if (measured && !beginLaunch(session, l.kernel))
    return 1;
  if (Result result = driver.launch(
          s.module->functions[l.function].kernel, static_cast<unsigned>(l.grid[0]),
          static_cast<unsigned>(l.grid[1]), static_cast<unsigned>(l.grid[2]),
          static_cast<unsigned>(l.block[0]), static_cast<unsigned>(l.block[1]),
          static_cast<unsigned>(l.block[2]), static_cast<unsigned>(l.shared_bytes), s.launchStream,
          const_cast<void **>(reinterpret_cast<const void *const *>(l.params)), nullptr))
    return launchFailed(session, l, result);
  if (measured && !endLaunch(session))
    return 1;
  if (s.synchronous)
    if (Result result = driver.streamSynchronize(s.stream)) {
      noteStatus(session, kernelFailed(session, result, kernelName(session, l)));
      return 1;
    }
  return 0;
}

int32_t readCallback(sq_kernel_context *context, void *host, const void *device, int64_t bytes) {
  sq_session *session = sessionOf(context);
  Session &s = *session->cuda;
  s.readsBack = true;
  if (s.capturing) /* cannot be recorded; the run is repeated without */
    return 1;
  if (bytes <= 0)
    return 0;
  Result result = driver.downloadAsync(host, addressOf(device), static_cast<size_t>(bytes), s.stream);
  if (!result)
    result = driver.streamSynchronize(s.stream);
  if (!result)
    return 0;
  noteStatus(session, callFailed(session, result, "reading a value back"));
  return 1;
}

} // namespace

bool isKernelFault(Result result) {
  return result == errorIllegalAddress || result == errorLaunchTimeout || result == errorAssert ||
         (result >= errorHardwareStack && result <= errorLaunchFailed);
}

sq_status callFailed(const sq_session *session, Result result, const char *what) {
  if (isKernelFault(result))
    return kernelFailed(session, result, nullptr);
  return fail(result == errorOutOfMemory ? SQ_STATUS_OUT_OF_MEMORY : SQ_STATUS_INTERNAL,
              "%s failed on %s: %s", what, session->cuda->module->text, ErrorText(result).text);
}

sq_status reserve(sq_session *session, Buffer &buffer, size_t bytes, const char *what) {
  Session &s = *session->cuda;
  if (!bytes)
    bytes = 1;
  if (bytes <= buffer.capacity)
    return SQ_STATUS_OK;
  /* Earlier runs may still use it. */
  if (Result result = driver.streamSynchronize(s.stream))
    return callFailed(session, result, "waiting for earlier runs");
  /* The second time it grows by a quarter at least: dims that creep upwards
   * shall not allocate in every run. */
  size_t larger = buffer.capacity + buffer.capacity / 4;
  if (buffer.data)
    driver.memoryFree(buffer.data);
  buffer = {};
  ++s.epoch;
  if (larger > bytes && !driver.memoryAlloc(&buffer.data, larger)) {
    buffer.capacity = larger;
    return SQ_STATUS_OK;
  }
  if (sq_status status = allocateMemory(s.module, bytes, what, &buffer.data))
    return status;
  buffer.capacity = bytes;
  return SQ_STATUS_OK;
}

void setCallbacks(sq_kernel_context *context) {
  context->arena = arenaCallback;
  context->output = outputCallback;
  context->parallel = parallelCallback;
  context->launch = launchCallback;
  context->read = readCallback;
}

} // namespace cuda
} // namespace sq
