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

bool isSound(const manifest::Unpacked &u, uint64_t weightsSize, uint64_t unpackedSize) {
  if (u.bits() < 2 || u.bits() > 7 || u.count() > maxExtent * maxExtent || u.destination() % 64)
    return false;
  return inside(u.source(), ceilDiv(u.count() * u.bits(), 8), weightsSize) &&
         inside(u.destination(), u.count(), unpackedSize);
}

/* `bits` bytes hold eight numbers. */
template <unsigned bits> void unpack(const uint8_t *from, uint8_t *to, uint64_t count) {
  constexpr uint64_t mask = (1u << bits) - 1, sign = 1u << (bits - 1);
  auto number = [](uint64_t word, uint64_t j) { return static_cast<uint8_t>(((word >> j * bits & mask) ^ sign) - sign); };
  uint64_t word = 0, i = 0;
  for (; i + 8 <= count; i += 8, from += bits) {
    memcpy(&word, from, bits);
    for (uint64_t j = 0; j < 8; ++j)
      to[i + j] = number(word, j);
  }
  memcpy(&word, from, ceilDiv((count - i) * bits, 8));
  for (uint64_t j = 0; i + j < count; ++j)
    to[i + j] = number(word, j);
}

constexpr void (*unpackers[])(const uint8_t *, uint8_t *, uint64_t) = {
    unpack<2>, unpack<3>, unpack<4>, unpack<5>, unpack<6>, unpack<7>};

template <typename Entries> uint64_t countOf(const Entries *entries) { return entries ? entries->size() : 0; }

} // namespace

sq_status widenWeights(sq_module *module, const manifest::Variant *variant) {
  const auto *entries = module->manifest->widened();
  const auto *packed = module->manifest->unpacked();
  uint64_t unpackedSize = module->manifest->unpacked_size(), all = module->manifest->widened_size();
  bool inFloat = variant->widened() && countOf(entries);
  if (!inFloat && !countOf(packed))
    return SQ_STATUS_OK;
  uint64_t size = inFloat ? all : unpackedSize;
  for (uint64_t i = 0; i < countOf(packed); ++i)
    if (unpackedSize > all || !isSound(*packed->Get(static_cast<uint32_t>(i)), module->artifact->weights_size, unpackedSize))
      return fail(SQ_STATUS_CORRUPT, "the manifest is damaged: a weight of few bits lies outside of its "
                                     "place; build the artifact again");
  for (uint64_t i = 0; inFloat && i < entries->size(); ++i)
    if (!isSound(*entries->Get(static_cast<uint32_t>(i)), module->artifact->weights_size, size))
      return fail(SQ_STATUS_CORRUPT, "the manifest is damaged: a bf16 weight lies outside of its "
                                     "place; build the artifact again");
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                inFloat ? "out of memory: %.1f MB for weights in f32, which this CPU needs as it has no AMX; "
                          "compile the model with --precision=f32 to use them from the file"
                        : "out of memory: %.1f MB for the bytes of weights that are stored in fewer bits; "
                          "compile the model with int8 layers to use them from the file",
                static_cast<double>(size) / 1e6);
  module->widened = static_cast<uint8_t *>(memory);
  module->widenedSize = size;
  for (uint64_t i = 0; i < countOf(packed); ++i) {
    const manifest::Unpacked *entry = packed->Get(static_cast<uint32_t>(i));
    unpackers[entry->bits() - 2](module->artifact->weights + entry->source(), module->widened + entry->destination(),
                                 entry->count());
  }
  for (uint64_t i = 0; inFloat && i < entries->size(); ++i) {
    const manifest::Widened *entry = entries->Get(static_cast<uint32_t>(i));
    widen(reinterpret_cast<const uint16_t *>(module->artifact->weights + entry->source()),
          reinterpret_cast<uint32_t *>(module->widened + entry->destination()), entry->depth(),
          entry->columns());
  }
  mprotect(memory, size, PROT_READ);
  if (inFloat)
    snprintf(module->note, sizeof(module->note),
           "the weights are stored in bf16 for AMX, which this CPU level (%s) lacks: %.1f MB of them "
           "were widened to f32",
           module->variant->level, static_cast<double>(size - unpackedSize) / 1e6);
  return SQ_STATUS_OK;
}

void freeWidened(sq_module *module) {
  if (module->widened)
    munmap(module->widened, module->widenedSize);
}

} // namespace sq
