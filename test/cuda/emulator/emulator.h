/* What kernels that were compiled for the emulator (sq-compile --emulate-cuda)
 * and the emulator agree on. Such kernels are the ones that NVPTX would get,
 * compiled for the CPU: every NVVM intrinsic has become a call through
 * `sq_emulator`, and every access to memory is announced before it happens.
 *
 * The device image is an x86-64 shared object that exports `sq_emulated_image`.
 * The test-only driver (libcuda.so.1 in this folder) loads it where a real one
 * would load a cubin.
 */
#ifndef SQ_TEST_CUDA_EMULATOR_H
#define SQ_TEST_CUDA_EMULATOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Special registers, for `sreg`. */
enum {
  SQ_EMU_TID_X, SQ_EMU_TID_Y, SQ_EMU_TID_Z,
  SQ_EMU_NTID_X, SQ_EMU_NTID_Y, SQ_EMU_NTID_Z,
  SQ_EMU_CTAID_X, SQ_EMU_CTAID_Y, SQ_EMU_CTAID_Z,
  SQ_EMU_NCTAID_X, SQ_EMU_NCTAID_Y, SQ_EMU_NCTAID_Z,
  SQ_EMU_LANEID
};
enum { SQ_EMU_SHFL_UP, SQ_EMU_SHFL_DOWN, SQ_EMU_SHFL_BFLY, SQ_EMU_SHFL_IDX };
enum { SQ_EMU_READ, SQ_EMU_WRITE, SQ_EMU_ATOMIC };
/* mma.sync.aligned.<shape>.row.col, fragments as in the PTX ISA manual,
 * "Matrix Fragments for mma.m16n8k16 / m16n8k8 / m16n8k32". */
enum {
  SQ_EMU_MMA_F16_M16N8K16,  /* f32 += f16 * f16: a 4, b 2, c and d 4 registers */
  SQ_EMU_MMA_BF16_M16N8K16, /* f32 += bf16 * bf16: the same */
  SQ_EMU_MMA_TF32_M16N8K8,  /* f32 += tf32 * tf32 (low 13 bits of each factor ignored): a 4, b 2, c and d 4 */
  SQ_EMU_MMA_S8_M16N8K32    /* s32 += s8 * s8: a 4, b 2, c and d 4 */
};

/* Functions of the emulator. They may be called by kernel code only, on the
 * fiber of a GPU thread. `where` is a static string: kernel and source op. */
typedef struct sq_emulator {
  int32_t (*sreg)(int32_t which);
  /* bar.sync of the whole block. */
  void (*barrier)(const char *where);
  /* bar.warp.sync: of the lanes in `mask`. */
  void (*sync_warp)(int32_t mask, const char *where);
  /* shfl.sync: `clamp` as in PTX (bits 0-4 the clamp, 8-12 the segment mask).
   * *valid becomes PTX's predicate. A lane that is not in the mask or gone is an error. */
  int32_t (*shfl)(int32_t mode, int32_t mask, int32_t value, int32_t lane, int32_t clamp, int32_t *valid,
                  const char *where);
  /* ldmatrix.sync.aligned.m8n8.x<count>[.trans].shared.b16 of all 32 lanes;
   * `row` is this lane's address of shared memory, 16-byte aligned. */
  void (*ldmatrix)(int32_t count, int32_t transposed, const void *row, int32_t *out, const char *where);
  void (*mma)(int32_t kind, const int32_t *a, const int32_t *b, const int32_t *c, int32_t *d, const char *where);
  /* cp.async.{ca,cg}.shared.global of `bytes` (4, 8, 16) of which the first
   * `source_bytes` are read and the rest becomes 0. What is copied is seen only
   * after this thread's matching wait: the emulator copies then, not before. */
  void (*cp_async)(void *shared, const void *global, int32_t bytes, int32_t source_bytes, const char *where);
  void (*cp_async_commit)(void);
  void (*cp_async_wait)(int32_t groups); /* at most `groups` of the last committed are still under way */
  /* Announces an access of the kernel's own; called before it. Does not return
   * when the access is an error. Local memory (the fiber's stack) is not announced. */
  void (*access)(const void *address, int64_t bytes, int32_t kind, const char *where);
  /* Shared memory of this block: first the kernel's static part, then the dynamic one. */
  uint8_t *(*shared)(void);
  /* A kernel trapped. Does not return. */
  void (*trap)(const char *where);
  /* fence.proxy.async: what this thread wrote to shared memory (its cp.asyncs
   * that it waited for among it) may be read by wgmma, after a barrier. */
  void (*proxy_fence)(void);
  /* wgmma.mma_async.m64n<columns>k16.f32 of f16 (kind 0) or bf16 (1), d += a b
   * with a along k and b along n, both in shared memory with the 128-byte
   * swizzle: this thread's columns / 2 sums. The products are made at once. */
  void (*wgmma)(int32_t kind, int32_t columns, int64_t a, int64_t b, float *d, const char *where);
} sq_emulator;

typedef struct sq_emulated_kernel {
  const char *name;
  void (*run)(void *const *params);  /* one GPU thread; params as of cuLaunchKernel */
  int64_t static_shared_bytes;
  int32_t num_params;
  int32_t reserved;
  const int32_t *param_bytes;        /* size of each parameter */
} sq_emulated_kernel;

/* Exported by the image under the name `sq_emulated_image`; the driver sets
 * `functions` before the first kernel runs. */
typedef struct sq_emulated_image {
  const sq_emulator *functions;
  int64_t num_kernels;
  const sq_emulated_kernel *kernels;
} sq_emulated_image;

#ifdef __cplusplus
}
#endif
#endif
