/* Runs: checks the inputs, serves the generated code's callbacks. */
#include <atomic>
#include <errno.h>
#include <new>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime/core/cores.h"
#include "runtime/core/error.h"
#include "runtime/core/module.h"
#include "runtime/core/thread_pool.h"

namespace sq {
namespace {

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SQ_ASAN
#endif
#endif
#if defined(SQ_ASAN)
extern "C" void __asan_poison_memory_region(void const volatile *, size_t);
extern "C" void __asan_unpoison_memory_region(void const volatile *, size_t);
/* A mapping has no red zone of its own: what lies beyond it gets one, up to the
 * last byte asked for. */
#define SQ_POISON(data, from, to) __asan_poison_memory_region((data) + (from), (to) - (from))
#define SQ_UNPOISON(data, size) __asan_unpoison_memory_region(data, size)
#else
#define SQ_POISON(data, from, to)
#define SQ_UNPOISON(data, size)
#endif

constexpr int maxThreads = 4096;

/* Anonymous memory that only grows. Mapped, not malloc'ed: page-aligned, and
 * growing never holds old and new at once. */
struct Region {
  uint8_t *data;
  size_t capacity;

  bool reserve(size_t bytes) {
    constexpr size_t page = 4096;
    if (bytes <= capacity) {
      SQ_UNPOISON(data, capacity);
      SQ_POISON(data, bytes, capacity);
      return true;
    }
    release();
    if (bytes > SIZE_MAX - 2 * page)
      return false;
    size_t size = (bytes + page - 1) / page * page;
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return false;
    data = static_cast<uint8_t *>(memory);
    capacity = size;
    SQ_POISON(data, bytes, capacity);
    return true;
  }
  void release() {
    SQ_UNPOISON(data, capacity);
    if (capacity)
      munmap(data, capacity);
    data = nullptr;
    capacity = 0;
  }
};

struct Output {
  Region region;
  int64_t *shape;         /* of the last run, in sq_session::shapes */
  const DLTensor *given;  /* the caller's buffer, or NULL */
  uint8_t *data;          /* where the result of this run lies */
};

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

} // namespace
} // namespace sq

struct sq_session {
  sq_kernel_context context; /* first: callbacks get a pointer to it */
  sq_module *module;
  sq::ThreadPool *pool;
  sq::Region arena;
  sq::Output *outputs;
  int64_t *shapes;              /* of all outputs */
  sq_kernel_input *inputs;
  int64_t *symbolValues;        /* of the run; -1: not seen yet */
  int32_t *symbolInputs;        /* the input that gave the value, for messages */
  std::atomic<bool> running;
  std::atomic<bool> failed;     /* the first failure has been noted */
  sq_status failure;
  char message[512];
  bool profiling;
  sq_trace_fn trace; /* NULL: none */
  void *traceUser;
  int32_t numKernels;
  sq_kernel_time *times, *reported;
};

namespace sq {
namespace {

sq_session *sessionOf(sq_kernel_context *context) {
  return reinterpret_cast<sq_session *>(context);
}

/* Keeps the first failure of a run; any thread may call. */
__attribute__((format(printf, 3, 4))) void note(sq_session *session, sq_status status,
                                                const char *format, ...) {
  if (session->failed.exchange(true))
    return;
  session->failure = status;
  va_list args;
  va_start(args, format);
  vsnprintf(session->message, sizeof(session->message), format, args);
  va_end(args);
}

uint8_t *arenaCallback(sq_kernel_context *context, int64_t bytes) {
  sq_session *session = sessionOf(context);
  if (bytes < 0) {
    note(session, SQ_STATUS_INTERNAL, "the arena's size overflows for these dims");
    return nullptr;
  }
  /* At least one page: an empty arena is no failure. */
  if (!session->arena.reserve(bytes ? static_cast<size_t>(bytes) : 1)) {
    note(session, SQ_STATUS_OUT_OF_MEMORY,
         "out of memory: this run needs an arena of %lld bytes; use smaller dims",
         static_cast<long long>(bytes));
    return nullptr;
  }
  return session->arena.data;
}

/* "[2, 3]" */
struct ShapeText {
  char text[256];
  ShapeText(const int64_t *shape, int32_t rank) {
    size_t used = static_cast<size_t>(snprintf(text, sizeof(text), "["));
    for (int32_t i = 0; i < rank && used < sizeof(text) - 24; ++i)
      used += static_cast<size_t>(snprintf(text + used, sizeof(text) - used, "%s%lld",
                                           i ? ", " : "", static_cast<long long>(shape[i])));
    snprintf(text + used, sizeof(text) - used, "]");
  }
};

uint8_t *outputCallback(sq_kernel_context *context, int32_t index, const int64_t *shape) {
  sq_session *session = sessionOf(context);
  if (index < 0 || index >= session->module->numOutputs) {
    note(session, SQ_STATUS_INTERNAL, "the code asks for output %d of %d", index,
         session->module->numOutputs);
    return nullptr;
  }
  const sq_tensor_info &info = session->module->outputs[index];
  Output &output = session->outputs[index];
  int64_t bytes = info.dtype.bits / 8;
  bool overflow = false;
  for (int32_t i = 0; i < info.rank; ++i)
    overflow |= shape[i] < 0 || __builtin_mul_overflow(bytes, shape[i], &bytes);
  if (overflow) {
    note(session, SQ_STATUS_INTERNAL, "output '%s' would have the shape %s", info.name,
         ShapeText(shape, info.rank).text);
    return nullptr;
  }
  if (output.given) {
    for (int32_t i = 0; i < info.rank; ++i)
      if (output.given->shape[i] != shape[i]) {
        note(session, SQ_STATUS_INVALID_ARGUMENT,
             "output '%s' has the shape %s, the buffer given for it has %s", info.name,
             ShapeText(shape, info.rank).text, ShapeText(output.given->shape, info.rank).text);
        return nullptr;
      }
    output.data = static_cast<uint8_t *>(output.given->data) + output.given->byte_offset;
  } else {
    if (!output.region.reserve(bytes ? static_cast<size_t>(bytes) : 1)) {
      note(session, SQ_STATUS_OUT_OF_MEMORY, "out of memory: output '%s' needs %lld bytes",
           info.name, static_cast<long long>(bytes));
      return nullptr;
    }
    output.data = output.region.data;
  }
  if (info.rank)
    memcpy(output.shape, shape, sizeof(int64_t) * static_cast<size_t>(info.rank));
  return output.data;
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

template <typename T> T *allocate(size_t count) {
  return static_cast<T *>(calloc(count ? count : 1, sizeof(T)));
}

/* Strides, when given, must say dense row-major; those of dims of size 0 and 1
 * do not matter. */
bool isDense(const DLTensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t stride = 1;
  for (int32_t i = tensor.ndim; i-- > 0;) {
    if (tensor.shape[i] == 0)
      return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride)
      return false;
    if (__builtin_mul_overflow(stride, tensor.shape[i], &stride))
      return false;
  }
  return true;
}

/* What holds for inputs and given outputs alike. */
sq_status checkTensor(const char *kind, const sq_tensor_info &info, const DLTensor &tensor) {
  if (tensor.device.device_type != kDLCPU)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' lies on device type %d; copy it to the CPU (1)",
                kind, info.name, static_cast<int>(tensor.device.device_type));
  if (tensor.dtype.code != info.dtype.code || tensor.dtype.bits != info.dtype.bits ||
      tensor.dtype.lanes != info.dtype.lanes)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has dtype %s, expected %s", kind, info.name,
                dtypeName(tensor.dtype), dtypeName(info.dtype));
  if (tensor.ndim != info.rank)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has rank %d, expected %d", kind, info.name,
                tensor.ndim, info.rank);
  if (tensor.ndim && !tensor.shape)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has no shape (NULL)", kind, info.name);
  if (!isDense(tensor))
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%s '%s' has strides; make it dense row-major (strides NULL)", kind, info.name);
  return SQ_STATUS_OK;
}

/* "batch" or "dim 1". */
struct DimName {
  char text[160];
  DimName(const sq_dim_info &dim, int32_t index) {
    if (*dim.name)
      snprintf(text, sizeof(text), "dim %d (%.120s)", index, dim.name);
    else
      snprintf(text, sizeof(text), "dim %d", index);
  }
};

sq_status checkDims(sq_session *session, int32_t index, const DLTensor &tensor) {
  const sq_module *module = session->module;
  const sq_tensor_info &info = module->inputs[index];
  for (int32_t i = 0; i < info.rank; ++i) {
    const sq_dim_info &dim = info.dims[i];
    long long size = tensor.shape[i];
    if (size < dim.min || size > dim.max) {
      char expected[64];
      if (dim.min == dim.max)
        snprintf(expected, sizeof(expected), "%lld", static_cast<long long>(dim.min));
      else if (dim.max == INT64_MAX)
        snprintf(expected, sizeof(expected), "at least %lld", static_cast<long long>(dim.min));
      else
        snprintf(expected, sizeof(expected), "%lld to %lld", static_cast<long long>(dim.min),
                 static_cast<long long>(dim.max));
      return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has %lld for %s, expected %s", info.name,
                  size, DimName(dim, i).text, expected);
    }
    int32_t symbol = module->symbols[&dim - module->dims];
    if (symbol < 0)
      continue;
    if (session->symbolValues[symbol] < 0) {
      session->symbolValues[symbol] = size;
      session->symbolInputs[symbol] = index;
    } else if (session->symbolValues[symbol] != size) {
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "input '%s' has %lld for %s, but input '%s' has %lld; they must be equal",
                  info.name, size, DimName(dim, i).text,
                  module->inputs[session->symbolInputs[symbol]].name,
                  static_cast<long long>(session->symbolValues[symbol]));
    }
  }
  return SQ_STATUS_OK;
}

sq_status checkInputs(sq_session *session, const DLTensor *inputs, int32_t count) {
  const sq_module *module = session->module;
  if (count != module->numInputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%d inputs given, the model has %d", count,
                module->numInputs);
  if (count && !inputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "inputs is NULL");
  memset(session->symbolValues, -1, sizeof(int64_t) * static_cast<size_t>(module->numSymbols));
  for (int32_t i = 0; i < count; ++i) {
    const sq_tensor_info &info = module->inputs[i];
    if (sq_status status = checkTensor("input", info, inputs[i]))
      return status;
    if (sq_status status = checkDims(session, i, inputs[i]))
      return status;
    int64_t bytes = info.dtype.bits / 8;
    for (int32_t d = 0; d < info.rank; ++d)
      if (__builtin_mul_overflow(bytes, inputs[i].shape[d], &bytes))
        return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has the impossible shape %s", info.name,
                    ShapeText(inputs[i].shape, info.rank).text);
    if (bytes && !inputs[i].data)
      return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has no data (NULL)", info.name);
    session->inputs[i] = {static_cast<const uint8_t *>(inputs[i].data) + inputs[i].byte_offset,
                          inputs[i].shape};
  }
  return SQ_STATUS_OK;
}

sq_status checkOutputs(sq_session *session, const DLTensor *outputs, int32_t count) {
  const sq_module *module = session->module;
  if (count != module->numOutputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%d outputs given, the model has %d", count,
                module->numOutputs);
  if (count && !outputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "outputs is NULL");
  for (int32_t i = 0; i < count; ++i) {
    if (outputs[i].data)
      if (sq_status status = checkTensor("output", module->outputs[i], outputs[i]))
        return status;
    session->outputs[i].given = outputs[i].data ? &outputs[i] : nullptr;
    session->outputs[i].data = nullptr;
  }
  return SQ_STATUS_OK;
}

sq_status runChecked(sq_session *session, const DLTensor *inputs, int32_t numInputs,
                     DLTensor *outputs, int32_t numOutputs) {
  if (sq_status status = checkInputs(session, inputs, numInputs))
    return status;
  if (sq_status status = checkOutputs(session, outputs, numOutputs))
    return status;
  const sq_module *module = session->module;
  session->failed = false;
  int32_t code = module->variant->entry(&session->context, session->inputs);
  if (session->failed)
    return fail(session->failure, "%s", session->message);
  if (code)
    return fail(SQ_STATUS_INTERNAL, "the generated code stopped with code %d and no message", code);
  for (int32_t i = 0; i < numOutputs; ++i)
    if (!session->outputs[i].data)
      return fail(SQ_STATUS_INTERNAL, "the generated code did not make output '%s'",
                  module->outputs[i].name);
  for (int32_t i = 0; i < numOutputs; ++i) {
    const Output &output = session->outputs[i];
    if (!output.given)
      outputs[i] = {output.data, {kDLCPU, 0}, module->outputs[i].rank, module->outputs[i].dtype,
                    output.shape, nullptr, 0};
  }
  return SQ_STATUS_OK;
}

sq_status create(sq_session *session, int threads) {
  const sq_module *module = session->module;
  session->context = {module->artifact->weights, module->widened, arenaCallback, outputCallback, parallelCallback,
                      failCallback, threads, 0};
  size_t ranks = 0;
  for (int32_t i = 0; i < module->numOutputs; ++i)
    ranks += static_cast<size_t>(module->outputs[i].rank);
  const auto *kernels = module->manifest->kernels();
  session->numKernels = static_cast<int32_t>(kernels->size());
  session->outputs = allocate<Output>(static_cast<size_t>(module->numOutputs));
  session->shapes = allocate<int64_t>(ranks);
  session->inputs = allocate<sq_kernel_input>(static_cast<size_t>(module->numInputs));
  session->symbolValues = allocate<int64_t>(static_cast<size_t>(module->numSymbols));
  session->symbolInputs = allocate<int32_t>(static_cast<size_t>(module->numSymbols));
  session->times = allocate<sq_kernel_time>(kernels->size());
  session->reported = allocate<sq_kernel_time>(kernels->size());
  if (!session->outputs || !session->shapes || !session->inputs || !session->symbolValues ||
      !session->symbolInputs || !session->times || !session->reported)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  int64_t *shape = session->shapes;
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    session->outputs[i].shape = shape;
    shape += module->outputs[i].rank;
  }
  for (int32_t i = 0; i < session->numKernels; ++i)
    session->times[i].name = kernels->Get(static_cast<uint32_t>(i))->name()->c_str();
  return poolCreate(threads, &session->pool);
}

} // namespace
} // namespace sq

sq_status sq_session_create(sq_module *module, const sq_session_options *options,
                            sq_session **result) {
  sq::clearError();
  if (!module || !result)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_session_create: %s is NULL",
                    module ? "session" : "module");
  sq_session_options all = {sizeof(all), 0};
  if (options) {
    if (options->size < sizeof(size_t))
      return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                      "sq_session_create: options.size is %zu; set it to sizeof(sq_session_options)",
                      options->size);
    memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
  }
  if (all.threads < 0 || all.threads > sq::maxThreads)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "%d threads asked for; give 1 to %d, or 0 for all allowed cores", all.threads,
                    sq::maxThreads);
  int cores = all.threads ? all.threads : sq::allowedCores();
  if (cores > sq::maxThreads)
    cores = sq::maxThreads;
  void *memory = calloc(1, sizeof(sq_session));
  if (!memory)
    return sq::fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  auto *session = new (memory) sq_session();
  session->module = module;
  module->references.fetch_add(1);
  if (sq_status status = sq::create(session, cores)) {
    sq_session_release(session);
    return status;
  }
  *result = session;
  return SQ_STATUS_OK;
}

void sq_session_release(sq_session *session) {
  if (!session)
    return;
  sq::poolDestroy(session->pool);
  session->arena.release();
  for (int32_t i = 0; session->outputs && i < session->module->numOutputs; ++i)
    session->outputs[i].region.release();
  free(session->outputs);
  free(session->shapes);
  free(session->inputs);
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
  sq_status status = sq::runChecked(session, inputs, num_inputs, outputs, num_outputs);
  session->running = false;
  return status;
}

sq_status sq_session_get_stats(const sq_session *session, sq_session_stats *stats) {
  sq::clearError();
  if (!session || !stats || stats->size < sizeof(size_t))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_session_get_stats: give a session, and stats with its size set");
  sq_session_stats all = {stats->size, static_cast<int64_t>(session->arena.capacity), 0,
                          sq::poolThreads(session->pool)};
  for (int32_t i = 0; i < session->module->numOutputs; ++i)
    all.output_bytes += static_cast<int64_t>(session->outputs[i].region.capacity);
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
