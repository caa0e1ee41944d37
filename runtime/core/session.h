/* A session: what runs on the CPU and on a device have in common. */
#ifndef SQ_RUNTIME_CORE_SESSION_H
#define SQ_RUNTIME_CORE_SESSION_H

#include <atomic>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/core/module.h"
#include "runtime/core/region.h"
#include "runtime/core/thread_pool.h"

namespace sq {

namespace cuda {
struct Session;
}
struct CacheSession;

struct Output {
  Region region;          /* of runs on the CPU */
  int64_t *shape;         /* of the last run, in sq_session::shapes */
  const DLTensor *given;  /* the caller's buffer, or NULL */
  int64_t bytes;          /* of the last run */
  uint8_t *data;          /* where the code of this run puts the result; NULL before it asks */
};

} // namespace sq

struct sq_session {
  sq_kernel_context context; /* first: callbacks get a pointer to it */
  sq_module *module;
  sq::Output *outputs;
  int64_t *shapes;              /* of all outputs */
  sq_kernel_input *inputs;
  int64_t *inputBytes;
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
  /* On the CPU. */
  sq::ThreadPool *pool;
  sq::Region *arenas;
  int32_t numArenas;
  sq::CacheSession *cache; /* cache.h; NULL for modules without */
  sq::Region sampling;     /* of sq_lm_sample */
  /* On a device; NULL on the CPU. */
  sq::cuda::Session *cuda;
};

namespace sq {

constexpr int maxThreads = 4096;

inline sq_session *sessionOf(sq_kernel_context *context) {
  return reinterpret_cast<sq_session *>(context);
}

/* Of CLOCK_MONOTONIC, in nanoseconds. */
inline int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

/* Zeroed, for free(3); NULL when memory ran out. */
template <typename T> T *allocate(size_t count) {
  return static_cast<T *>(calloc(count ? count : 1, sizeof(T)));
}

/* Makes an array long enough for element `index`; new elements are zeroed. False
 * when memory ran out, or for a negative index. */
template <typename T> bool growTo(T **array, int32_t *count, int32_t index) {
  if (index < *count)
    return index >= 0;
  T *grown = static_cast<T *>(realloc(*array, (static_cast<size_t>(index) + 1) * sizeof(T)));
  if (!grown)
    return false;
  memset(grown + *count, 0, static_cast<size_t>(index + 1 - *count) * sizeof(T));
  *array = grown;
  *count = index + 1;
  return true;
}

inline bool isOnHost(const DLTensor &tensor) {
  return tensor.device.device_type == kDLCPU || tensor.device.device_type == kDLCUDAHost;
}

/* Keeps the first failure of a run; any thread may call. */
__attribute__((format(printf, 3, 4))) void note(sq_session *session, sq_status status,
                                                const char *format, ...);

/* Checks what the caller of a run gave; fills session->inputs with his
 * addresses, and what is known of the outputs. */
sq_status checkInputs(sq_session *session, const DLTensor *inputs, int32_t count);
sq_status checkOutputs(sq_session *session, const DLTensor *outputs, int32_t count);
/* In the output callback: checks the shape (against the caller's buffer too)
 * and keeps it. False: the failure has been noted. */
bool checkOutputShape(sq_session *session, int32_t index, const int64_t *shape, int64_t *bytes);

/* The callbacks, pool and memory of a session on the CPU. */
sq_status createHostSession(sq_session *session, int threads);
void releaseHostSession(sq_session *session);
/* A run whose tensors are checked; outputs that the caller did not give are set. */
sq_status runOnHost(sq_session *session, DLTensor *outputs);

/* Calls the generated code, and checks that it made all outputs. */
sq_status callEntry(sq_session *session);

} // namespace sq

#endif
