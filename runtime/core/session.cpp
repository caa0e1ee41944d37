/* The C API of sessions. */
#include "runtime/core/session.h"

#include <new>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/cache.h"
#include "runtime/core/cores.h"
#include "runtime/core/error.h"
#include "runtime/core/kernel_list.h"
#include "runtime/cuda/session.h"

namespace sq {

void note(sq_session *session, sq_status status, const char *format, ...) {
  if (session->failed.exchange(true))
    return;
  session->failure = status;
  va_list args;
  va_start(args, format);
  vsnprintf(session->message, sizeof(session->message), format, args);
  va_end(args);
}

sq_status callEntry(sq_session *session) {
  const sq_module *module = session->module;
  session->failed = false;
  int32_t code = module->variant->entry(&session->context, session->cache ? session->cache->inputs : session->inputs);
  if (session->failed)
    return fail(session->failure, "%s", session->message);
  if (code)
    return fail(SQ_STATUS_INTERNAL, "the generated code stopped with code %d and no message", code);
  int32_t made = session->cache ? module->cache->numProgramOutputs : module->numOutputs;
  for (int32_t i = 0; i < made; ++i) {
    int32_t output = session->cache ? module->cache->programOutputs[i] : i;
    if (!session->outputs[output].data)
      return fail(SQ_STATUS_INTERNAL, "the generated code did not make output '%s'",
                  module->outputs[output].name);
  }
  return SQ_STATUS_OK;
}

namespace {

void failCallback(sq_kernel_context *context, const char *message, int64_t a, int64_t b) {
  sq_session *session = sessionOf(context);
  char text[sizeof(session->message)];
  size_t used = 0;
  for (const char *c = message; *c && used < sizeof(text) - 24; ++c) {
    if (*c == '%' && (c[1] == 'a' || c[1] == 'b'))
      used += static_cast<size_t>(snprintf(text + used, sizeof(text) - used, "%lld",
                                           static_cast<long long>(*++c == 'a' ? a : b)));
    else
      text[used++] = *c;
  }
  text[used] = 0;
  note(session, SQ_STATUS_INVALID_ARGUMENT, "%s", text);
}

sq_status run(sq_session *session, const DLTensor *inputs, int32_t numInputs, DLTensor *outputs,
              int32_t numOutputs) {
  if (sq_status status = checkInputs(session, inputs, numInputs))
    return status;
  if (sq_status status = checkOutputs(session, outputs, numOutputs))
    return status;
  if (session->cache)
    return runWithPast(session, outputs);
  return session->cuda ? cuda::run(session, inputs, outputs) : runOnHost(session, outputs);
}

sq_status create(sq_session *session, const sq_session_options &options) {
  const sq_module *module = session->module;
  session->context.fail = failCallback;
  size_t ranks = 0;
  for (int32_t i = 0; i < module->numOutputs; ++i)
    ranks += static_cast<size_t>(module->outputs[i].rank);
  const auto *kernels = kernelList(module->manifest, module->variant->level);
  session->numKernels = static_cast<int32_t>(kernels->size());
  session->outputs = allocate<Output>(static_cast<size_t>(module->numOutputs));
  session->shapes = allocate<int64_t>(ranks);
  session->inputs = allocate<sq_kernel_input>(static_cast<size_t>(module->numInputs));
  session->inputBytes = allocate<int64_t>(static_cast<size_t>(module->numInputs));
  session->symbolValues = allocate<int64_t>(static_cast<size_t>(module->numSymbols));
  session->symbolInputs = allocate<int32_t>(static_cast<size_t>(module->numSymbols));
  session->times = allocate<sq_kernel_time>(kernels->size());
  session->reported = allocate<sq_kernel_time>(kernels->size());
  if (!session->outputs || !session->shapes || !session->inputs || !session->inputBytes ||
      !session->symbolValues || !session->symbolInputs || !session->times || !session->reported)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  int64_t *shape = session->shapes;
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    session->outputs[i].shape = shape;
    shape += module->outputs[i].rank;
  }
  for (int32_t i = 0; i < session->numKernels; ++i)
    session->times[i].name = kernels->Get(static_cast<uint32_t>(i))->name()->c_str();
  if (module->cuda)
    return cuda::createSession(session, options);
  if (sq_status status = createCacheSession(session))
    return status;
  int threads = options.threads ? options.threads : allowedCores();
  return createHostSession(session, threads < maxThreads ? threads : maxThreads);
}

/* What the option structure of a call holds, with zeros past its size. */
sq_status checkOptions(const sq_module *module, const sq_session_options *options,
                       sq_session_options *all) {
  *all = {sizeof(*all), 0, 0, 0};
  if (options) {
    if (options->size < sizeof(size_t))
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "sq_session_create: options.size is %zu; set it to sizeof(sq_session_options)",
                  options->size);
    memcpy(all, options, options->size < sizeof(*all) ? options->size : sizeof(*all));
  }
  if (all->threads < 0 || all->threads > maxThreads)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%d threads asked for; give 1 to %d, or 0 for all allowed cores", all->threads,
                maxThreads);
  if (all->output_device && all->output_device != kDLCPU &&
      (all->output_device != kDLCUDA || !module->cuda))
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "sq_session_create: output_device is %d, expected 0 or 1 for the CPU%s",
                all->output_device,
                module->cuda ? ", or 2 for the module's device" : ": this module runs there");
  if (all->cuda_graphs < 0 || all->cuda_graphs > cuda::maxGraphs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%d CUDA graphs asked for; give 0 to %d",
                all->cuda_graphs, cuda::maxGraphs);
  return SQ_STATUS_OK;
}

} // namespace
} // namespace sq

sq_status sq_session_create(sq_module *module, const sq_session_options *options,
                            sq_session **result) {
  sq::clearError();
  if (!module || !result)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_create: %s is NULL",
                    module ? "session" : "module");
  sq_session_options all;
  if (sq_status status = sq::checkOptions(module, options, &all))
    return status;
  void *memory = calloc(1, sizeof(sq_session));
  if (!memory)
    return sq::fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  auto *session = new (memory) sq_session();
  session->module = module;
  module->references.fetch_add(1);
  if (sq_status status = sq::create(session, all)) {
    sq_session_release(session);
    return status;
  }
  *result = session;
  return SQ_STATUS_OK;
}

void sq_session_release(sq_session *session) {
  if (!session)
    return;
  sq::cuda::releaseSession(session);
  sq::releaseHostSession(session);
  sq::releaseCacheSession(session);
  session->sampling.release();
  free(session->outputs);
  free(session->shapes);
  free(session->inputs);
  free(session->inputBytes);
  free(session->symbolValues);
  free(session->symbolInputs);
  free(session->times);
  free(session->reported);
  sq_module_release(session->module);
  free(session);
}

sq_status sq_session_run(sq_session *session, const DLTensor *inputs, int32_t num_inputs,
                         DLTensor *outputs, int32_t num_outputs) {
  sq::clearError();
  if (!session)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_run: session is NULL");
  if (session->running.exchange(true))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "this session is running in another thread; give each thread its own session");
  sq_status status = sq::run(session, inputs, num_inputs, outputs, num_outputs);
  session->running = false;
  return status;
}

sq_status sq_session_set_stream(sq_session *session, void *stream) {
  sq::clearError();
  if (!session)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_set_stream: session is NULL");
  if (!session->cuda)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_session_set_stream: this session runs on the CPU, which has no streams");
  return sq::cuda::setStream(session, stream);
}

sq_status sq_session_synchronize(sq_session *session) {
  sq::clearError();
  if (!session)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_synchronize: session is NULL");
  return session->cuda ? sq::cuda::synchronize(session) : SQ_STATUS_OK;
}

sq_status sq_session_get_stats(const sq_session *session, sq_session_stats *stats) {
  sq::clearError();
  if (!session || !stats || stats->size < sizeof(size_t))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_session_get_stats: give a session, and stats with its size set");
  sq_session_stats all = {stats->size, 0, 0,
                          session->cuda ? 1 : sq::poolThreads(session->pool), 0};
  for (int32_t i = 0; i < session->numArenas; ++i)
    all.arena_bytes += static_cast<int64_t>(session->arenas[i].capacity);
  for (int32_t i = 0; i < session->module->numOutputs; ++i)
    all.output_bytes += static_cast<int64_t>(session->outputs[i].region.capacity);
  if (session->cuda)
    sq::cuda::getStats(session, &all);
  memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
  return SQ_STATUS_OK;
}

sq_status sq_session_set_profiling(sq_session *session, int enabled) {
  sq::clearError();
  if (!session)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_set_profiling: session is NULL");
  session->profiling = enabled != 0;
  return SQ_STATUS_OK;
}

sq_status sq_session_set_trace(sq_session *session, sq_trace_fn fn, void *user) {
  sq::clearError();
  if (!session)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_set_trace: session is NULL");
  session->trace = fn;
  session->traceUser = user;
  return SQ_STATUS_OK;
}

sq_status sq_session_kernel_times(const sq_session *session, const sq_kernel_time **times,
                                  int32_t *count) {
  sq::clearError();
  if (!session || !times || !count)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_kernel_times: an argument is NULL");
  size_t n = static_cast<size_t>(session->numKernels);
  for (size_t i = 0; i < n; ++i) {
    session->reported[i] = session->times[i];
    session->times[i].calls = 0;
    session->times[i].seconds = 0;
  }
  *times = session->reported;
  *count = session->numKernels;
  return SQ_STATUS_OK;
}
