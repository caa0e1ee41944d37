/* The kernels of toy_cuda.c as the emulator takes them (test/cuda/emulator). */
#include "test/cuda/emulator/emulator.h"

/* The type has the exported name already. */
extern sq_emulated_image toy __asm__("sq_emulated_image");
#define E toy.functions
#define PARAM(type, i) (*(type const *)params[i])

static int64_t thread(void) {
  return (int64_t)E->sreg(SQ_EMU_CTAID_X) * E->sreg(SQ_EMU_NTID_X) + E->sreg(SQ_EMU_TID_X);
}

/* x, arena, count */
static void doubled(void *const *params) {
  int64_t i = thread();
  if (i >= PARAM(int64_t, 2))
    return;
  const float *x = PARAM(const float *, 0) + i;
  float *arena = PARAM(float *, 1) + i;
  E->access(x, 4, SQ_EMU_READ, "doubled: x");
  E->access(arena, 4, SQ_EMU_WRITE, "doubled: arena");
  *arena = 2 * *x;
}

/* arena, w, y, index, n, count, add, fault; an index of 99 reads nowhere. */
static void added(void *const *params) {
  int64_t i = thread(), n = PARAM(int64_t, 4);
  if (i >= PARAM(int64_t, 5))
    return;
  const float *arena = PARAM(const float *, 0) + i, *w = PARAM(const float *, 1) + i % n;
  float *y = PARAM(float *, 2) + i;
  const int64_t *index = PARAM(const int64_t *, 3) + i / n;
  uint32_t *fault = PARAM(uint32_t *, 7);
  E->access(index, 8, SQ_EMU_READ, "added: index");
  if (*index == 99)
    E->access((const void *)64, 4, SQ_EMU_READ, "added: nowhere");
  if (*index < 0 || *index >= 10) {
    E->access(fault, 4, SQ_EMU_ATOMIC, "added: fault");
    uint32_t none = 0;
    __atomic_compare_exchange_n(fault, &none, 2, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
  E->access(arena, 4, SQ_EMU_READ, "added: arena");
  E->access(w, 4, SQ_EMU_READ, "added: w");
  E->access(y, 4, SQ_EMU_WRITE, "added: y");
  float *shared = (float *)(E->shared() + 60000 - 128) + E->sreg(SQ_EMU_TID_X);
  E->access(shared, 4, SQ_EMU_WRITE, "added: shared");
  *y = *arena + *w + (float)PARAM(int64_t, 6);
}

static const int32_t doubledBytes[] = {8, 8, 8}, addedBytes[] = {8, 8, 8, 8, 8, 8, 8, 8};
static const sq_emulated_kernel kernels[] = {{"toy_doubled", doubled, 0, 3, 0, doubledBytes},
                                             {"toy_added", added, 0, 8, 0, addedBytes}};
sq_emulated_image toy = {0, 2, kernels};
