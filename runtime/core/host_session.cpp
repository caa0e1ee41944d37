/* Runs on the CPU: serves the generated code's callbacks. */
#include "runtime/core/cache.h"
#include "runtime/core/error.h"
#include "runtime/core/session.h"

namespace sq {
namespace {

uint8_t *arenaCallback(sq_kernel_context *context, int32_t index, int64_t bytes) {
  sq_session *session = sessionOf(context);
  if (bytes < 0) {
    note(session, SQ_STATUS_INTERNAL, "the arena's size overflows for these dims");
    return nullptr;
  }
  /* At least one page: an empty arena is no failure. */
  if (!growTo(&session->arenas, &session->numArenas, index) ||
      !session->arenas[index].reserve(bytes ? static_cast<size_t>(bytes) : 1)) {
    note(session, SQ_STATUS_OUT_OF_MEMORY,
         "out of memory: this run needs an arena of %lld bytes; use smaller dims",
         static_cast<long long>(bytes));
    return nullptr;
  }
  return session->arenas[index].data;
}

} // namespace

uint8_t *outputMemory(sq_session *session, int32_t index, const int64_t *shape) {
  int64_t bytes;
  if (!checkOutputShape(session, index, shape, &bytes))
    return nullptr;
  Output &output = session->outputs[index];
  if (output.given) {
    output.data = static_cast<uint8_t *>(output.given->data) + output.given->byte_offset;
    return output.data;
  }
  if (!output.region.reserve(bytes ? static_cast<size_t>(bytes) : 1)) {
    note(session, SQ_STATUS_OUT_OF_MEMORY, "out of memory: output '%s' needs %lld bytes",
         session->module->outputs[index].name, static_cast<long long>(bytes));
    return nullptr;
  }
  output.data = output.region.data;
  return output.data;
}

namespace {

uint8_t *outputCallback(sq_kernel_context *context, int32_t index, const int64_t *shape) {
  sq_session *session = sessionOf(context);
  const Cache *cache = session->module->cache;
  if (cache && (index < 0 || index >= cache->numProgramOutputs)) {
    note(session, SQ_STATUS_INTERNAL, "the code asks for output %d of %d", index, cache->numProgramOutputs);
    return nullptr;
  }
  return outputMemory(session, cache ? cache->programOutputs[index] : index, shape);
}

/* A kernel whose shares are traced. */
struct Traced {
  sq_session *session;
  sq_kernel_fn fn;
  const void *captures;
  int32_t kernel;
};

void runTraced(const void *captures, int64_t begin, int64_t end, int32_t thread) {
  const Traced &traced = *static_cast<const Traced *>(captures);
  int64_t start = now();
  traced.fn(traced.captures, begin, end, thread);
  traced.session->trace(traced.session->traceUser, traced.kernel, thread, start, now());
}

void parallelCallback(sq_kernel_context *context, sq_kernel_fn fn, const void *captures,
                      int64_t count, int64_t grain, int32_t kernel) {
  sq_session *session = sessionOf(context);
  if ((!session->profiling && !session->trace) || kernel < 0 || kernel >= session->numKernels)
    return poolRun(session->pool, fn, captures, count, grain);
  Traced traced = {session, fn, captures, kernel};
  int64_t start = now();
  if (session->trace)
    poolRun(session->pool, runTraced, &traced, count, grain);
  else
    poolRun(session->pool, fn, captures, count, grain);
  int64_t end = now();
  if (session->trace)
    session->trace(session->traceUser, kernel, -1, start, end);
  session->times[kernel].seconds += static_cast<double>(end - start) * 1e-9;
  ++session->times[kernel].calls;
}

} // namespace

sq_status createHostSession(sq_session *session, int threads) {
  session->context.weights = session->module->weights;
  session->context.widened = session->module->widened;
  session->context.arena = arenaCallback;
  session->context.output = outputCallback;
  session->context.parallel = parallelCallback;
  session->context.threads = threads;
  return poolCreate(threads, &session->pool);
}

void releaseHostSession(sq_session *session) {
  poolDestroy(session->pool);
  for (int32_t i = 0; i < session->numArenas; ++i)
    session->arenas[i].release();
  free(session->arenas);
  for (int32_t i = 0; session->outputs && i < session->module->numOutputs; ++i)
    session->outputs[i].region.release();
}

sq_status runOnHost(sq_session *session, DLTensor *outputs) {
  if (sq_status status = callEntry(session))
    return status;
  const sq_module *module = session->module;
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    const Output &output = session->outputs[i];
    if (!output.given)
      outputs[i] = {output.data, {kDLCPU, 0}, module->outputs[i].rank, module->outputs[i].dtype,
                    output.shape, nullptr, 0};
  }
  return SQ_STATUS_OK;
}

} // namespace sq
