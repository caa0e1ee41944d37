/* The host schedule of a CUDA artifact, by hand: y = 2 x + w (+ index[0] when n
 * is 7, read back from the device), see toy_kernels.c. Compiled by the tests
 * with MANIFEST and WEIGHTS, the files to hold, and LEVELS. */
#include <stdlib.h>

#include "sq/kernel_abi.h"

#define BYTES(name, section, file)                                                                 \
  __asm__(".section " section ",\"a\",@progbits\n.balign 4096\n.hidden " name "_begin\n.globl " name \
          "_begin\n" name "_begin:\n.incbin \"" file "\"\n.hidden " name "_end\n.globl " name        \
          "_end\n" name "_end:\n.previous\n")
BYTES("manifest", ".sq.manifest", MANIFEST);
BYTES("weights", ".sq.weights", WEIGHTS);
extern const uint8_t manifest_begin[] __attribute__((visibility("hidden")));
extern const uint8_t weights_begin[] __attribute__((visibility("hidden")));

static int32_t run(sq_kernel_context *context, const sq_kernel_input *inputs) {
  int64_t batch = inputs[0].shape[0], n = inputs[0].shape[1], count = batch * n, add = 0;
  const char *counter = getenv("SQ_TOY_COUNTER"); /* the address of an int */
  if (counter)
    ++*(int *)strtoull(counter, 0, 16);
  uint8_t *arena = context->arena(context, 0, count * 4);
  if (!arena)
    return 1;
  uint8_t *y = context->output(context, 0, inputs[0].shape);
  if (!y)
    return 1;
  if (n == 7 && batch && context->read(context, &add, inputs[1].data, 8))
    return 1;
  int32_t block = n == 13 ? 2000 : 32;
  const void *first[] = {&inputs[0].data, &arena, &count};
  sq_launch doubled = {0, 0, {(count + 31) / 32, 1, 1}, {block, 1, 1}, 0, first};
  if (context->launch(context, &doubled))
    return 1;
  const void *second[] = {&arena, &context->weights, &y,   &inputs[1].data,
                          &n,     &count,            &add, &context->fault};
  /* More shared memory than a kernel has without asking. */
  sq_launch added = {1, 1, {(count + 31) / 32, 1, 1}, {32, 1, 1}, n == 12 ? 1 << 20 : 60000, second};
  return context->launch(context, &added);
}

#define VARIANT(level) {level, run},
static const sq_variant variants[] = {LEVELS};

__attribute__((visibility("default"))) const sq_artifact_descriptor sq_artifact = {
    SQ_ARTIFACT_MAGIC, SQ_KERNEL_ABI_VERSION, sizeof(variants) / sizeof(variants[0]),
    variants,          manifest_begin,        MANIFEST_SIZE,
    weights_begin,     WEIGHTS_SIZE,
};
