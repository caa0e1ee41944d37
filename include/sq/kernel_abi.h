/* What generated code and the runtime agree on. Not for users of the runtime:
 * they include sq/runtime.h. A change here raises SQ_KERNEL_ABI_VERSION. */
#ifndef SQ_KERNEL_ABI_H
#define SQ_KERNEL_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SQ_KERNEL_ABI_VERSION 4
#define SQ_ARTIFACT_MAGIC 0x31465452414b5153ull /* "SQKARTF1" */

typedef struct sq_kernel_context sq_kernel_context;

/* A kernel: works on [begin, end) of its range, with the values that its host
 * schedule captured at `captures` (layout private to the generated code). */
typedef void (*sq_kernel_fn)(const void *captures, int64_t begin, int64_t end, int32_t thread);

/* A launch of a kernel of a CUDA variant's device code. */
typedef struct sq_launch {
  int32_t kernel;             /* index in the manifest's list of kernels, for profiles */
  int32_t function;           /* index in the device code's list of functions */
  int64_t grid[3];            /* blocks; with a 0 among them nothing is launched */
  int32_t block[3];           /* threads of a block */
  int32_t shared_bytes;       /* dynamic shared memory of a block */
  const void *const *params;  /* the address of each parameter, in order */
} sq_launch;

/* Callbacks of one run. In a run of a CUDA variant all memory that the context
 * speaks of (weights, arena, outputs, inputs) is the device's. Generated code gets a pointer to this structure; the
 * runtime may keep fields of its own behind it. The order of fields is fixed. */
struct sq_kernel_context {
  /* The weight section, 64-byte aligned, read-only. */
  const uint8_t *weights;
  /* Bytes of weights stored in fewer bits and f32 copies of bf16 weights
   * (manifest.fbs: Unpacked, Widened), 64-byte aligned, read-only; NULL when
   * the running level reads none. */
  const uint8_t *widened;
  /* Returns the session's arena `index` with at least `bytes` usable bytes,
   * 64-byte aligned, or NULL when memory ran out (the runtime has noted it).
   * Arena 0 is what follows from the shapes of the inputs; the others hold what
   * depends on data and are asked for as soon as their sizes are known, in a
   * loop once an iteration: that ends the life of what they held. Contents are
   * undefined. */
  uint8_t *(*arena)(sq_kernel_context *, int32_t index, int64_t bytes);
  /* Returns the memory of output `index`, dense row-major, for `shape` (as
   * many entries as the manifest's rank), 64-byte aligned unless the caller of
   * the run gave his own, or NULL (noted) when a caller's buffer does not fit.
   * Called once per output and run, before the first kernel that writes it. */
  uint8_t *(*output)(sq_kernel_context *, int32_t index, const int64_t *shape);
  /* Runs fn for ranges covering [0, count), on at most count / grain threads;
   * returns when all are done. `kernel` is the index of the kernel in the
   * manifest's list, for profiles. */
  void (*parallel)(sq_kernel_context *, sq_kernel_fn fn, const void *captures, int64_t count,
                   int64_t grain, int32_t kernel);
  /* Notes a failed check (the first one counts), thread-safe; `message` is a
   * static string, `a` and `b` are the two numbers it speaks of ("%a", "%b" in
   * the message stand for them). */
  void (*fail)(sq_kernel_context *, const char *message, int64_t a, int64_t b);
  /* Threads of this run, at least 1; sq_kernel_fn's `thread` is below it. */
  int32_t threads;
  int32_t reserved;
  /* Of CUDA variants only, NULL in others: */
  /* Queues a kernel on the run's stream. Returns 0, or non-zero when that
   * failed (the runtime has noted it): the schedule then returns at once. */
  int32_t (*launch)(sq_kernel_context *, const sq_launch *);
  /* Copies `bytes` of device memory to `host` after all kernels queued so far,
   * and waits for that. Returns as `launch`. */
  int32_t (*read)(sq_kernel_context *, void *host, const void *device, int64_t bytes);
  /* 4 bytes of device memory, 0 at the start of a run: a kernel whose check
   * fails raises it to 1 + the number of the check's message in the device
   * code's list, and goes on with what it clamped. */
  uint32_t *fault;
};

/* One tensor as it enters a run: dense row-major, shape already checked
 * against the manifest. */
typedef struct sq_kernel_input {
  const uint8_t *data;
  const int64_t *shape;
} sq_kernel_input;

/* The host schedule of one CPU level. Returns 0, or non-zero when it stopped
 * after a failed check or a NULL from a callback. */
typedef int32_t (*sq_entry_fn)(sq_kernel_context *, const sq_kernel_input *inputs);

typedef struct sq_variant {
  const char *level; /* "x86-64-v3", "avx512", ... ; the manifest lists the features it needs */
  sq_entry_fn entry;
} sq_variant;

/* What an artifact exports under the name `sq_artifact`. */
typedef struct sq_artifact_descriptor {
  uint64_t magic;
  uint32_t kernel_abi_version;
  uint32_t num_variants;
  const sq_variant *variants; /* from the least to the most demanding level */
  const uint8_t *manifest;    /* FlatBuffer, runtime/core/manifest.fbs */
  uint64_t manifest_size;
  const uint8_t *weights;
  uint64_t weights_size;
} sq_artifact_descriptor;

#ifdef __cplusplus
}
#endif
#endif
