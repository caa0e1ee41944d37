/* Runs on a CUDA device: queues copies and kernels on a stream. */
#include "runtime/cuda/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/error.h"
#include "runtime/cuda/state.h"

namespace sq {
namespace cuda {
namespace {

sq_status reservePinned(sq_session *session, PinnedBuffer &buffer, size_t bytes, const char *name) {
  if (bytes <= buffer.capacity)
    return SQ_STATUS_OK;
  if (buffer.data)
    driver.hostFree(buffer.data);
  buffer = {};
  void *memory = nullptr;
  if (Result result = driver.hostAlloc(&memory, bytes, 0)) {
    if (result == errorOutOfMemory)
      return fail(SQ_STATUS_OUT_OF_MEMORY,
                  "out of memory: output '%s' needs %zu bytes of pinned memory on the CPU; give a "
                  "buffer of your own",
                  name, bytes);
    return callFailed(session, result, "allocating pinned memory");
  }
  buffer = {static_cast<uint8_t *>(memory), bytes};
  return SQ_STATUS_OK;
}

/* Failed checks of the runs since the last wait, which are done. The caller asks
 * about the `asked` last of them; the others are called earlier ones. */
sq_status reportFaults(sq_session *session, int32_t asked) {
  Session &s = *session->cuda;
  int32_t count = s.numFaults;
  s.numFaults = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (!s.faults[i])
      continue;
    const auto *messages = s.module->deviceCode->messages();
    const char *earlier = i + asked < count ? "in an earlier run: " : "";
    if (s.faults[i] > messages->size())
      return fail(SQ_STATUS_INTERNAL, "%sa kernel reports the unknown failure %u of %u", earlier,
                  s.faults[i], messages->size());
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s%s", earlier,
                messages->Get(s.faults[i] - 1)->c_str());
  }
  return SQ_STATUS_OK;
}

sq_status wait(sq_session *session, int32_t asked) {
  Session &s = *session->cuda;
  if (Result result = driver.eventSynchronize(s.done)) {
    s.numFaults = 0;
    return callFailed(session, result, "waiting for the run");
  }
  return reportFaults(session, asked);
}

sq_status queueInputs(sq_session *session, const DLTensor *inputs) {
  Session &s = *session->cuda;
  for (int32_t i = 0; i < session->module->numInputs; ++i) {
    bool host = isOnHost(inputs[i]);
    if (!host && isAligned(inputs[i]))
      continue; /* in place */
    const char *name = session->module->inputs[i].name;
    size_t bytes = static_cast<size_t>(session->inputBytes[i]);
    char what[160];
    snprintf(what, sizeof(what), "input '%.128s' needs", name);
    if (sq_status status = reserve(session, s.inputs[i], bytes, what))
      return status;
    Address to = s.inputs[i].data;
    Result result = success;
    if (bytes)
      result = host ? driver.uploadAsync(to, session->inputs[i].data, bytes, s.stream)
                    : driver.copyAsync(to, addressOf(inputs[i]), bytes, s.stream);
    if (result)
      return callFailed(session, result, "copying inputs");
    session->inputs[i].data = pointer(to);
  }
  return SQ_STATUS_OK;
}

sq_status queueOutputs(sq_session *session) {
  Session &s = *session->cuda;
  for (int32_t i = 0; i < session->module->numOutputs; ++i) {
    const Output &output = session->outputs[i];
    size_t bytes = static_cast<size_t>(output.bytes);
    if (isInPlace(output) || (!output.given && s.outputsOnDevice))
      continue;
    if (!output.given)
      if (sq_status status = reservePinned(session, s.results[i], bytes ? bytes : 1,
                                           session->module->outputs[i].name))
        return status;
    Result result = success;
    if (bytes && output.given && !isOnHost(*output.given))
      result = driver.copyAsync(addressOf(*output.given), addressOf(output.data), bytes, s.stream);
    else if (bytes)
      result = driver.downloadAsync(output.given ? pointer(addressOf(*output.given)) : s.results[i].data,
                                    addressOf(output.data), bytes, s.stream);
    if (result)
      return callFailed(session, result, "copying outputs");
  }
  return SQ_STATUS_OK;
}

sq_status queueRun(sq_session *session, const DLTensor *inputs) {
  Session &s = *session->cuda;
  if (Result result = driver.fillAsync(s.fault.data, 0, 1, s.stream))
    return callFailed(session, result, "starting a run");
  if (sq_status status = queueInputs(session, inputs))
    return status;
  if (sq_status status = queueSchedule(session))
    return status;
  if (sq_status status = queueOutputs(session))
    return status;
  Result result = driver.downloadAsync(&s.faults[s.numFaults], s.fault.data, 4, s.stream);
  if (!result)
    result = driver.eventRecord(s.done, s.stream);
  if (result)
    return callFailed(session, result, "ending a run");
  ++s.numFaults;
  return SQ_STATUS_OK;
}

/* After a failure midway: nothing of the caller's may be in use when he learns
 * of it, and a kernel's failed check or fault came first. */
sq_status abandon(sq_session *session, sq_status status) {
  Session &s = *session->cuda;
  uint32_t *fault = &s.faults[s.numFaults];
  *fault = 0;
  Result result = driver.downloadAsync(fault, s.fault.data, 4, s.stream);
  Result waited = driver.streamSynchronize(s.stream);
  if (isKernelFault(waited) && status != SQ_STATUS_INTERNAL)
    return callFailed(session, waited, "");
  if (result || waited || !*fault)
    return status;
  ++s.numFaults;
  return reportFaults(session, true);
}

} // namespace

sq_status createSession(sq_session *session, const sq_session_options &options) {
  const sq_module *module = session->module;
  session->cuda = allocate<Session>(1);
  if (!session->cuda)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  Session &s = *session->cuda;
  s.module = module->cuda;
  s.outputsOnDevice = options.output_device == kDLCUDA;
  const char *synchronous = getenv("SQ_CUDA_SYNC");
  s.synchronous = synchronous && *synchronous && strcmp(synchronous, "0");
  s.inputs = allocate<Buffer>(static_cast<size_t>(module->numInputs));
  s.outputs = allocate<Buffer>(static_cast<size_t>(module->numOutputs));
  s.results = allocate<PinnedBuffer>(static_cast<size_t>(module->numOutputs));
  if (!s.inputs || !s.outputs || !s.results)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  ContextScope scope(s.module->context);
  Result result = scope.result;
  void *faults = nullptr;
  if (!result)
    result = driver.streamCreate(&s.own, streamDefault);
  if (!result)
    result = driver.eventCreate(&s.done, eventNoTiming);
  if (!result)
    result = driver.hostAlloc(&faults, faultSlots * sizeof(uint32_t), 0);
  if (result)
    return callFailed(session, result, "making a session");
  s.faults = static_cast<uint32_t *>(faults);
  s.stream = s.launchStream = s.own;
  if (sq_status status = reserve(session, s.fault, sizeof(uint32_t), "a session needs"))
    return status;
  session->context.weights = pointer(s.module->weights);
  session->context.threads = 1;
  setCallbacks(&session->context);
  session->context.fault = reinterpret_cast<uint32_t *>(pointer(s.fault.data));
  return createGraphs(session, options.cuda_graphs);
}

void releaseSession(sq_session *session) {
  if (!session->cuda)
    return;
  Session &s = *session->cuda;
  {
    ContextScope scope(s.module->context);
    if (scope.result == success) {
      if (s.done)
        driver.eventSynchronize(s.done);
      releaseGraphs(session);
      releaseProfile(session);
      for (int32_t i = 0; i < s.numArenas; ++i)
        if (s.arenas[i].data)
          driver.memoryFree(s.arenas[i].data);
      if (s.fault.data)
        driver.memoryFree(s.fault.data);
      for (int32_t i = 0; s.inputs && i < session->module->numInputs; ++i)
        if (s.inputs[i].data)
          driver.memoryFree(s.inputs[i].data);
      for (int32_t i = 0; s.outputs && i < session->module->numOutputs; ++i)
        if (s.outputs[i].data)
          driver.memoryFree(s.outputs[i].data);
      for (int32_t i = 0; s.results && i < session->module->numOutputs; ++i)
        if (s.results[i].data)
          driver.hostFree(s.results[i].data);
      if (s.faults)
        driver.hostFree(s.faults);
      if (s.done)
        driver.eventDestroy(s.done);
      if (s.own)
        driver.streamDestroy(s.own);
    }
  }
  free(s.arenas);
  free(s.inputs);
  free(s.outputs);
  free(s.results);
  free(session->cuda);
  session->cuda = nullptr;
}

sq_status run(sq_session *session, const DLTensor *inputs, DLTensor *outputs) {
  Session &s = *session->cuda;
  const sq_module *module = session->module;
  ContextScope scope(s.module->context);
  if (scope.result)
    return callFailed(session, scope.result, "starting a run");
  if (s.numFaults == faultSlots)
    if (sq_status status = wait(session, 0))
      return status;
  s.profile.on = session->profiling || session->trace;
  bool waits = s.profile.on || s.synchronous;
  for (int32_t i = 0; i < module->numInputs; ++i)
    waits |= isOnHost(inputs[i]);
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    const DLTensor *given = session->outputs[i].given;
    waits |= given ? isOnHost(*given) : !s.outputsOnDevice;
  }
  if (s.profile.on)
    if (sq_status status = beginProfile(session))
      return status;
  if (sq_status status = queueRun(session, inputs))
    return abandon(session, status);
  if (waits)
    if (sq_status status = wait(session, 1))
      return status;
  if (s.profile.on)
    if (sq_status status = collectProfile(session))
      return status;
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    const Output &output = session->outputs[i];
    if (output.given)
      continue;
    DLDevice device = {kDLCPU, 0};
    if (s.outputsOnDevice)
      device = {kDLCUDA, s.module->ordinal};
    outputs[i] = {s.outputsOnDevice ? output.data : s.results[i].data, device,
                  module->outputs[i].rank, module->outputs[i].dtype, output.shape, nullptr, 0};
  }
  return SQ_STATUS_OK;
}

sq_status synchronize(sq_session *session) {
  ContextScope scope(session->cuda->module->context);
  if (scope.result)
    return callFailed(session, scope.result, "waiting for the run");
  return wait(session, faultSlots);
}

sq_status setStream(sq_session *session, void *stream) {
  Session &s = *session->cuda;
  ContextScope scope(s.module->context);
  Stream next = stream ? static_cast<Stream>(stream) : s.own;
  Result result = scope.result;
  /* The session's memory is used by runs on both. */
  if (!result && next != s.stream)
    result = driver.streamWait(next, s.done, 0);
  if (result)
    return callFailed(session, result, "changing the stream");
  s.stream = s.launchStream = next;
  return SQ_STATUS_OK;
}

void getStats(const sq_session *session, sq_session_stats *stats) {
  const Session &s = *session->cuda;
  size_t arenas = 0, inputs = 0, outputs = 0, results = 0;
  for (int32_t i = 0; i < s.numArenas; ++i)
    arenas += s.arenas[i].capacity;
  for (int32_t i = 0; i < session->module->numInputs; ++i)
    inputs += s.inputs[i].capacity;
  for (int32_t i = 0; i < session->module->numOutputs; ++i) {
    outputs += s.outputs[i].capacity;
    results += s.results[i].capacity;
  }
  stats->arena_bytes = static_cast<int64_t>(arenas);
  stats->output_bytes = static_cast<int64_t>(outputs + results);
  stats->device_bytes = static_cast<int64_t>(arenas + s.fault.capacity + inputs + outputs);
}

} // namespace cuda
} // namespace sq
