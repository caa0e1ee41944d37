/* The C API of sq's runtime: load an artifact, run it. C11, no exceptions. */
#ifndef SQ_RUNTIME_H
#define SQ_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "sq/dlpack.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SQ_RUNTIME_BUILD)
#define SQ_API __attribute__((visibility("default")))
#else
#define SQ_API
#endif

/* Codes are only ever appended. */
typedef enum sq_status {
  SQ_STATUS_OK = 0,
  SQ_STATUS_INVALID_ARGUMENT = 1,  /* a call or tensor does not fit the signature; fix it, then retry */
  SQ_STATUS_NOT_FOUND = 2,         /* no such file */
  SQ_STATUS_CORRUPT = 3,           /* not an artifact, truncated or changed; build it again */
  SQ_STATUS_UNSUPPORTED = 4,       /* this CPU or format version cannot run it; no retry helps */
  SQ_STATUS_OUT_OF_MEMORY = 5,     /* retry with smaller dims or more memory */
  SQ_STATUS_IO = 6,                /* reading failed; see the message */
  SQ_STATUS_INTERNAL = 7           /* a defect of sq */
} sq_status;

typedef struct sq_module sq_module;   /* shared, read-only: code and mapped weights */
typedef struct sq_session sq_session; /* one run at a time; own arena and threads */

typedef struct sq_module_options {
  size_t size;            /* sizeof(sq_module_options) */
  const char *cpu;        /* cap of the CPU level ("x86-64-v3", "avx512", ...); NULL: SQ_CPU, else the best */
  int verify_weights;     /* also check the hash of the weights */
} sq_module_options;

typedef struct sq_session_options {
  size_t size;            /* sizeof(sq_session_options) */
  int threads;            /* 0: cores allowed by affinity and cgroup */
} sq_session_options;

typedef struct sq_dim_info {
  const char *name;       /* "" when anonymous or fixed */
  int64_t min, max;       /* equal when fixed; max is INT64_MAX when unbounded */
} sq_dim_info;

typedef struct sq_tensor_info {
  const char *name;
  DLDataType dtype;
  int32_t rank;
  const sq_dim_info *dims;
} sq_tensor_info;

typedef struct sq_session_stats {
  size_t size;            /* sizeof(sq_session_stats), set by the caller */
  int64_t arena_bytes;
  int64_t output_bytes;   /* outputs the session holds */
  int32_t threads;
} sq_session_stats;

/* The message of this thread's last failed call; "" if none. Valid until the
 * thread's next call. */
SQ_API const char *sq_last_error(void);
SQ_API const char *sq_status_string(sq_status status);
SQ_API const char *sq_runtime_version(void);

/* Loads an artifact. Code and manifest are checked by hash before anything of
 * it is executed. `path` NULL: the artifact this program is linked with. */
SQ_API sq_status sq_module_load(const char *path, const sq_module_options *options, sq_module **module);
SQ_API void sq_module_release(sq_module *module); /* sessions keep it alive */
SQ_API int32_t sq_module_num_inputs(const sq_module *module);
SQ_API int32_t sq_module_num_outputs(const sq_module *module);
SQ_API const sq_tensor_info *sq_module_input(const sq_module *module, int32_t index);
SQ_API const sq_tensor_info *sq_module_output(const sq_module *module, int32_t index);
SQ_API const char *sq_module_cpu_level(const sq_module *module); /* the level chosen */
/* What a user should know of how this module was loaded, as a sentence without
 * a full stop: that its weights were widened for a CPU without AMX. NULL when
 * there is nothing to say. Valid as long as the module. */
SQ_API const char *sq_module_note(const sq_module *module);
SQ_API const uint8_t *sq_module_manifest(const sq_module *module, size_t *size);
SQ_API int64_t sq_module_weight_bytes(const sq_module *module);

SQ_API sq_status sq_session_create(sq_module *module, const sq_session_options *options, sq_session **session);
SQ_API void sq_session_release(sq_session *session);

/* Runs. `inputs` are dense row-major CPU tensors in the signature's order, not
 * changed. Each outputs[i] with data != NULL is written in place (its shape
 * must be the result's); with data == NULL it is set to memory and shape owned
 * by the session, valid until its next run or release. Not thread-safe for one
 * session; sessions of one module run concurrently. */
SQ_API sq_status sq_session_run(sq_session *session, const DLTensor *inputs, int32_t num_inputs,
                                DLTensor *outputs, int32_t num_outputs);
SQ_API sq_status sq_session_get_stats(const sq_session *session, sq_session_stats *stats);

/* Per-kernel times of the runs since the last call; see `sq-bench --per-kernel`. */
typedef struct sq_kernel_time {
  const char *name;
  int64_t calls;
  double seconds;
} sq_kernel_time;
SQ_API sq_status sq_session_set_profiling(sq_session *session, int enabled);
SQ_API sq_status sq_session_kernel_times(const sq_session *session, const sq_kernel_time **times, int32_t *count);

/* Called after each launch of a kernel with `thread` -1, and after each
 * thread's share of it with that thread (0: the caller of the run), from that
 * thread, several at once: `user` must be ready for that. `kernel` is its index
 * in the manifest, times are nanoseconds of CLOCK_MONOTONIC. */
typedef void (*sq_trace_fn)(void *user, int32_t kernel, int32_t thread, int64_t begin, int64_t end);
/* Traces the following runs; `fn` NULL ends that. */
SQ_API sq_status sq_session_set_trace(sq_session *session, sq_trace_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif
