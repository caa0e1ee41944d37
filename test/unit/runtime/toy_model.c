/* What generated code looks like to the runtime, by hand: y = 2 x + w on
 * x f32 [batch, n], w f32 [64] from the weights; index i64 [batch] must lie in
 * [0, 10); who i64 [batch, n]: 1000 * level + the thread that made the row. */
#include <string.h>

#include "sq/kernel_abi.h"

extern const uint8_t sq_manifest_begin[] __attribute__((visibility("hidden")));
extern const uint8_t sq_weights_begin[] __attribute__((visibility("hidden")));
extern const uint8_t sq_manifest_bytes[] __attribute__((visibility("hidden")));
extern const uint8_t sq_weights_bytes[] __attribute__((visibility("hidden")));

typedef struct {
  const float *x, *w;
  float *arena, *y;
  int64_t *who, n, level;
} captures;

static void doubled(const void *p, int64_t begin, int64_t end, int32_t thread) {
  const captures *c = p;
  for (int64_t i = begin * c->n; i < end * c->n; ++i)
    c->arena[i] = 2 * c->x[i];
}

static void added(const void *p, int64_t begin, int64_t end, int32_t thread) {
  const captures *c = p;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t i = 0; i < c->n; ++i) {
      c->y[row * c->n + i] = c->arena[row * c->n + i] + c->w[i];
      c->who[row * c->n + i] = 1000 * c->level + thread;
    }
}

static int32_t run(sq_kernel_context *context, const sq_kernel_input *inputs, int64_t level) {
  int64_t batch = inputs[0].shape[0], n = inputs[0].shape[1];
  captures c = {.w = (const float *)context->weights, .n = n, .level = level};
  c.x = (const float *)inputs[0].data;
  c.arena = (float *)context->arena(context, 0, batch * n * (int64_t)sizeof(float));
  if (!c.arena)
    return 1;
  c.y = (float *)context->output(context, 0, inputs[0].shape);
  c.who = (int64_t *)context->output(context, 1, inputs[0].shape);
  if (!c.y || !c.who)
    return 1;
  for (int64_t i = 0; i < batch; ++i) {
    int64_t index;
    memcpy(&index, inputs[1].data + i * 8, 8);
    if (index < 0 || index >= 10) {
      context->fail(context, "index %a is outside [0, %b)", index, 10);
      return 1;
    }
  }
  context->parallel(context, doubled, &c, batch, 2, 0);
  context->parallel(context, added, &c, batch, 1, 1);
  return 0;
}

static int32_t run_v3(sq_kernel_context *context, const sq_kernel_input *inputs) {
  return run(context, inputs, 3);
}
static int32_t run_avx512(sq_kernel_context *context, const sq_kernel_input *inputs) {
  return run(context, inputs, 4);
}

static const sq_variant variants[] = {{"x86-64-v3", run_v3}, {"avx512", run_avx512}};

const sq_artifact_descriptor sq_artifact = {
    SQ_ARTIFACT_MAGIC,   SQ_KERNEL_ABI_VERSION,       2,
    variants,            sq_manifest_begin,           (uint64_t)sq_manifest_bytes,
    sq_weights_begin,    (uint64_t)sq_weights_bytes,
};
