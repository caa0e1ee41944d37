/* The C API of sq's runtime: load an artifact, run it on the CPU or on a CUDA
 * device. C11, no exceptions. */
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
  SQ_STATUS_UNSUPPORTED = 4,       /* this CPU, device, driver or format version cannot run it; no retry helps */
  SQ_STATUS_OUT_OF_MEMORY = 5,     /* of the host or the device; retry with smaller dims or more memory */
  SQ_STATUS_IO = 6,                /* reading failed; see the message */
  SQ_STATUS_INTERNAL = 7           /* a defect of sq; after a fault of a kernel the process can no longer
                                    * use the device */
} sq_status;

typedef struct sq_lm_state sq_lm_state; /* what a batch of sequences has seen: keys and values */
typedef struct sq_module sq_module;   /* shared, read-only: code and mapped weights */
typedef struct sq_session sq_session; /* one run at a time; own arena, threads or stream */

typedef struct sq_module_options {
  size_t size;            /* sizeof(sq_module_options) */
  const char *cpu;        /* cap of the CPU level ("x86-64-v3", "avx512", ...); NULL: SQ_CPU, else the best */
  int verify_weights;     /* also check the hash of the weights */
  /* "cpu", "cuda" (the first device that can run it), "cuda:N", "auto" (what the
   * artifact is compiled for); NULL: SQ_DEVICE, else auto. An artifact is for
   * one of them and refuses the other. */
  const char *device;
  /* Where weights are read on the CPU. "mapped": in the file, shared by all processes that load it. "copied": in memory of
   * the module's own, in huge pages where the system gives them: what is limited by reading weights (decoding a token)
   * gains what page walks cost. "auto": as mapped, but the codes of weights in 2 to 4 bits are in huge pages; those that
   * the page cache does not have so are copied when the module is loaded. NULL: SQ_WEIGHTS, else "auto". */
  const char *weights;
} sq_module_options;

typedef struct sq_session_options {
  size_t size;            /* sizeof(sq_session_options) */
  int threads;            /* 0: cores allowed by affinity and cgroup; of no meaning on a device */
  /* Where outputs lie whose memory the caller does not give: 0 or kDLCPU on the
   * CPU, kDLCUDA on the module's device. */
  int32_t output_device;
  /* CUDA graphs to keep, 0 to 1024: the launches of a run are recorded when its
   * shapes and device addresses come for the second time, and replayed from
   * then on; the least recently used graph goes first. A schedule that reads
   * values back from the device is launched as without. 0: none. */
  int32_t cuda_graphs;
} sq_session_options;

typedef struct sq_dim_info {
  const char *name;       /* "" when anonymous or fixed */
  int64_t min, max;       /* equal when fixed; max is INT64_MAX when unbounded */
} sq_dim_info;

typedef struct sq_tensor_info {
  const char *name;
  /* Types of 2 and 4 bits (bits = 2 or 4) have one byte an element: integers sign- or
   * zero-extended to it, kDLFloat4_e2m1fn its code in the low bits. DLPack calls that
   * padded (DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED), its default is packed: unpack
   * such a tensor first. The high bits of inputs must be as said. */
  DLDataType dtype;
  int32_t rank;
  const sq_dim_info *dims;
} sq_tensor_info;

typedef struct sq_session_stats {
  size_t size;            /* sizeof(sq_session_stats), set by the caller */
  int64_t arena_bytes;    /* on the module's device */
  int64_t output_bytes;   /* outputs the session holds, on the CPU and on the device */
  int32_t threads;        /* 1 on a device */
  int64_t device_bytes;   /* all device memory the session holds; 0 on the CPU */
} sq_session_stats;

/* The message of this thread's last failed call; "" if none. Valid until the
 * thread's next call. */
SQ_API const char *sq_last_error(void);
SQ_API const char *sq_status_string(sq_status status);
SQ_API const char *sq_runtime_version(void);

/* Loads an artifact. Code and manifest are checked by hash before anything of
 * it is executed. `path` NULL: the artifact this program is linked with. For a
 * CUDA artifact libcuda.so.1 is loaded, the device's primary context is
 * retained until the module's release, and the weights are copied to the
 * device, once for all sessions. */
SQ_API sq_status sq_module_load(const char *path, const sq_module_options *options, sq_module **module);
SQ_API void sq_module_release(sq_module *module); /* sessions keep it alive */
SQ_API int32_t sq_module_num_inputs(const sq_module *module);
SQ_API int32_t sq_module_num_outputs(const sq_module *module);
SQ_API const sq_tensor_info *sq_module_input(const sq_module *module, int32_t index);
SQ_API const sq_tensor_info *sq_module_output(const sq_module *module, int32_t index);
SQ_API const char *sq_module_cpu_level(const sq_module *module); /* the level chosen, or "cuda:sm_90" */
/* Where it runs: "cpu", or like "cuda:0 (NVIDIA H200, sm_90)", where sm_90 is
 * what the device is. Valid as long as the module. */
SQ_API const char *sq_module_device(const sq_module *module);
/* What a user should know of how this module was loaded, as a sentence without
 * a full stop: that its weights were widened for a CPU without AMX, or that the
 * driver compiled its kernels from PTX. NULL when there is nothing to say. Valid as long as the module. */
SQ_API const char *sq_module_note(const sq_module *module);
SQ_API const uint8_t *sq_module_manifest(const sq_module *module, size_t *size);
SQ_API int64_t sq_module_weight_bytes(const sq_module *module);

SQ_API sq_status sq_session_create(sq_module *module, const sq_session_options *options, sq_session **session);
SQ_API void sq_session_release(sq_session *session);

/* Runs. `inputs` are dense row-major tensors in the signature's order, not
 * changed, and lie on the CPU or, for a CUDA artifact, on its device (kDLCUDA). Each outputs[i] with data != NULL is written in place (its shape
 * must be the result's); with data == NULL it is set to memory and shape owned
 * by the session, valid until its next run or release. Not thread-safe for one
 * session; sessions of one module run concurrently.
 *
 * On a device: tensors there are used in place (those not aligned to 16 bytes
 * through a copy); tensors on the CPU are copied. Everything is queued on the
 * session's stream. When all inputs and outputs lie on the device the call
 * returns without waiting (unless memory has to grow, or 256 runs are queued):
 * inputs must stay unchanged until the run is done on the stream, and what fails
 * in a kernel is reported by sq_session_synchronize. Otherwise, and while
 * profiling or tracing, the call waits and reports for itself; outputs are
 * then complete. */
SQ_API sq_status sq_session_run(sq_session *session, const DLTensor *inputs, int32_t num_inputs,
                                DLTensor *outputs, int32_t num_outputs);
/* The CUstream (or cudaStream_t) of the following runs; NULL: the session's own,
 * which waits for the legacy default stream as usual streams do. That one itself
 * is (void *)1, a thread's own default stream (void *)2. Work of
 * earlier runs is ordered before the new stream's. The stream must belong to the
 * device's primary context and outlive the runs. SQ_STATUS_INVALID_ARGUMENT on
 * the CPU. */
SQ_API sq_status sq_session_set_stream(sq_session *session, void *stream);
/* Waits for the runs so far, and reports the first failed check of theirs
 * (SQ_STATUS_INVALID_ARGUMENT) or a kernel's fault (SQ_STATUS_INTERNAL) that no
 * call has reported yet. On the CPU there is nothing to wait for. */
SQ_API sq_status sq_session_synchronize(sq_session *session);
SQ_API sq_status sq_session_get_stats(const sq_session *session, sq_session_stats *stats);

/* Per-kernel times of the runs since the last call; see `sq-bench --per-kernel`.
 * On a device they are the device's, measured with events around each launch. */
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
 * in the manifest, times are nanoseconds of CLOCK_MONOTONIC. On a device the
 * calls come at the end of a run, from its caller, with thread -1 and 0; the
 * device's times are mapped onto the clock within some 10 microseconds. */
typedef void (*sq_trace_fn)(void *user, int32_t kernel, int32_t thread, int64_t begin, int64_t end);
/* Traces the following runs; `fn` NULL ends that. */
SQ_API sq_status sq_session_set_trace(sq_session *session, sq_trace_fn fn, void *user);

/* Language models. A decoder that was compiled from one with past_key_values
 * and present (sq-compile --kv-cache) keeps keys and values of its sequences in
 * a state: a token costs what is new, nothing of the past is copied.
 * sq_session_run still takes the past and returns it longer, by copies. States
 * are for the CPU. A call that fails leaves the state and its lengths as they
 * were. */
typedef struct sq_lm_info {
  size_t size;        /* sizeof(sq_lm_info), set by the caller */
  int32_t caches;     /* of keys or values; 0: the model has none, and no sq_lm_
                         call works */
  int64_t vocabulary; /* token ids are 0 .. vocabulary - 1; 0: not known */
  int64_t bytes_per_token; /* of all caches, for one sequence */
  int64_t max_past; /* places before a call, at most; INT64_MAX: any (sq-compile
                       --shape) */
  int64_t max_tokens; /* new ones of a sequence in a call, at most */
} sq_lm_info;
SQ_API sq_status sq_lm_get_info(const sq_module *module, sq_lm_info *info);

/* A state for `batch` sequences, all empty. `capacity` is the most tokens that
 * a sequence may have; memory for them is reserved, and used as it is filled.
 * 0: the state starts small and grows to twice its capacity when it is full,
 * which copies it. It keeps the module alive. Not thread-safe; one session uses
 * it at a time, of any session of the module. */
SQ_API sq_status sq_lm_state_create(sq_module *module, int64_t batch,
                                    int64_t capacity, sq_lm_state **state);
SQ_API void sq_lm_state_release(sq_lm_state *state);
/* Tokens that sequence `row` has; -1 for a row there is not. */
SQ_API int64_t sq_lm_state_length(const sq_lm_state *state, int64_t row);
/* Forgets all but the first `length` tokens of sequence `row`, of all for -1,
 * in no time. SQ_STATUS_INVALID_ARGUMENT when it has fewer. */
SQ_API sq_status sq_lm_state_truncate(sq_lm_state *state, int64_t row,
                                      int64_t length);
/* A new state whose sequence i is a copy of sequence rows[i] of `state`; `rows`
 * NULL: all of them, in order (`count` is then ignored). Capacity and growth
 * are those of `state`. Copies the tokens there are. */
SQ_API sq_status sq_lm_state_fork(const sq_lm_state *state, const int64_t *rows,
                                  int64_t count, sq_lm_state **fork);
typedef struct sq_lm_state_stats {
  size_t size; /* sizeof(sq_lm_state_stats), set by the caller */
  int64_t batch,
      capacity;           /* sequences; tokens of each that there is room for */
  int64_t reserved_bytes; /* of address space; memory is what tokens were
                             written to */
  int64_t copied_bytes; /* of keys and values so far, by growing and forking */
} sq_lm_state_stats;
SQ_API sq_status sq_lm_state_get_stats(const sq_lm_state *state,
                                       sq_lm_state_stats *stats);

enum { SQ_LM_LAST = 0, SQ_LM_ALL = 1 };
/* Appends tokens to all sequences and computes their logits. `tokens` is
 * [batch, columns], row-major, of which sequence b takes the first counts[b] (0
 * to columns; NULL: all); the others may hold anything. `logits` becomes f32
 * [batch, 1, n] for SQ_LM_LAST, after the last token that counts, or
 * [batch, columns, n] for SQ_LM_ALL; what lies past a sequence's count is
 * undefined. With data == NULL it is the session's memory until its next run,
 * otherwise it is written in place.
 *
 * Sequence b gets the same bits whatever the capacity and, unless the model
 * itself mixes them, the other sequences hold. No allocation after
 * the first calls of a shape, except by a state that grows. Refused
 * (SQ_STATUS_INVALID_ARGUMENT): no tokens at all, a token outside the
 * vocabulary, more tokens than the state's capacity or the model's ranges
 * allow, a state of another module. SQ_STATUS_UNSUPPORTED: a model with inputs
 * beside tokens, positions and its past. */
SQ_API sq_status sq_lm_append(sq_session *session, sq_lm_state *state,
                              const int64_t *tokens, int64_t columns,
                              const int64_t *counts, int32_t which,
                              DLTensor *logits);

/* How to choose from logits; zeros are greedy. */
typedef struct sq_lm_sampling {
  size_t size;        /* sizeof(sq_lm_sampling) */
  double temperature; /* logits are divided by it; 0: the largest one is taken,
                         the lowest id on ties */
  int64_t top_k; /* only so many of the largest (Fan et al. 2018); 0: all */
  double top_p; /* of these the fewest whose probabilities reach it (Holtzman et
                   al. 2020); 0 or 1: all */
  uint64_t seed;
} sq_lm_sampling;
/* Chooses one of `count` logits (f32). The random number is a function of seed,
 * `sequence` and `step` alone (Philox4x32-10, Salmon et al. 2011), and what
 * follows from it is computed without libm: the same logits give the same token
 * on every machine. `session` lends memory only. SQ_STATUS_INVALID_ARGUMENT for
 * options out of range, or logits that are NaN or +inf. */
SQ_API sq_status sq_lm_sample(sq_session *session, const float *logits,
                              int64_t count, const sq_lm_sampling *sampling,
                              uint64_t sequence, uint64_t step, int64_t *token);

#ifdef __cplusplus
}
#endif
#endif
