#include "runtime/core/widen.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/core/error.h"

namespace sq {
namespace {

constexpr uint64_t pairColumns = 32, pairDepth = 32, panelColumns = 48; /* as manifest.fbs says */
/* Beyond any real matrix; products of two such counts and a size stay far from
 * overflow. */
constexpr uint64_t maxExtent = 1ull << 28;

uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

bool inside(uint64_t offset, uint64_t size, uint64_t all) { return size <= all && offset <= all - size; }

bool isSound(const manifest::Widened &w, uint64_t weightsSize, uint64_t widenedSize) {
  if (w.depth() == 0 || w.columns() == 0 || w.depth() > maxExtent || w.columns() > maxExtent ||
      w.source() % sizeof(uint16_t) || w.destination() % 64)
    return false;
  uint64_t from = ceilDiv(w.columns(), pairColumns) * ceilDiv(w.depth(), pairDepth) * pairDepth * pairColumns * 2;
  uint64_t to = ceilDiv(w.columns(), panelColumns) * w.depth() * panelColumns * sizeof(float);
  return inside(w.source(), from, weightsSize) && inside(w.destination(), to, widenedSize);
}

/* `to` is zero. */
void widen(const uint16_t *from, uint32_t *to, uint64_t depth, uint64_t columns) {
  uint64_t pairs = ceilDiv(depth, pairDepth) * (pairDepth / 2);
  for (uint64_t n = 0; n < columns; ++n) {
    const uint16_t *column = from + n / pairColumns * pairs * pairColumns * 2 + n % pairColumns * 2;
    uint32_t *out = to + n / panelColumns * depth * panelColumns + n % panelColumns;
    for (uint64_t k = 0; k < depth; ++k)
      out[k * panelColumns] = static_cast<uint32_t>(column[k / 2 * pairColumns * 2 + k % 2]) << 16;
  }
}

} // namespace

sq_status widenWeights(sq_module *module, const manifest::Variant *variant) {
  const auto *entries = module->manifest->widened();
  uint64_t size = module->manifest->widened_size();
  if (!variant->widened() || !entries || entries->size() == 0)
    return SQ_STATUS_OK;
  for (const manifest::Widened *entry : *entries)
    if (!isSound(*entry, module->artifact->weights_size, size))
      return fail(SQ_STATUS_CORRUPT, "the manifest is damaged: a bf16 weight lies outside of its "
                                     "place; build the artifact again");
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                "out of memory: %.1f MB for weights in f32, which this CPU needs as it has no AMX; "
                "compile the model with --precision=f32 to use them from the file",
                static_cast<double>(size) / 1e6);
  module->widened = static_cast<uint8_t *>(memory);
  module->widenedSize = size;
  for (const manifest::Widened *entry : *entries)
    widen(reinterpret_cast<const uint16_t *>(module->artifact->weights + entry->source()),
          reinterpret_cast<uint32_t *>(module->widened + entry->destination()), entry->depth(),
          entry->columns());
  mprotect(memory, size, PROT_READ);
  snprintf(module->note, sizeof(module->note),
           "the weights are stored in bf16 for AMX, which this CPU level (%s) lacks: %.1f MB of them "
           "were widened to f32",
           module->variant->level, static_cast<double>(size) / 1e6);
  return SQ_STATUS_OK;
}

void freeWidened(sq_module *module) {
  if (module->widened)
    munmap(module->widened, module->widenedSize);
}

} // namespace sq
