#include "runtime/core/copy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/core/error.h"

namespace sq {

/* Pages of files are often 4 KB: reading them once, in order, is slower by a fifth to
 * a third than reading memory in huge pages (measured on a Xeon with AMX: 11.8
 * to 16.3 GB/s on one core). */
constexpr size_t hugePage = size_t(2) << 20, page = 4096;

sq_status readWeightsChoice(const char *option, WeightsChoice *choice) {
  const char *source = option ? "the weights option" : "SQ_WEIGHTS";
  const char *name = option ? option : getenv("SQ_WEIGHTS");
  *choice = WeightsChoice::Auto;
  if (!name || !*name || strcmp(name, "auto") == 0)
    return SQ_STATUS_OK;
  *choice = strcmp(name, "copied") ? WeightsChoice::Mapped : WeightsChoice::Copied;
  if (*choice == WeightsChoice::Copied || strcmp(name, "mapped") == 0)
    return SQ_STATUS_OK;
  return fail(SQ_STATUS_INVALID_ARGUMENT,
              "%s names '%s', which is neither auto, mapped nor copied", source,
              name);
}

sq_status copyWeights(sq_module *module) {
  size_t size = module->artifact->weights_size;
  if (size == 0)
    return SQ_STATUS_OK;
  /* Room to begin where a huge page does. */
  size_t mapped = size > SIZE_MAX - 2 * hugePage
                      ? 0
                      : (size + page - 1) / page * page + hugePage;
  void *memory = mapped ? mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                        : MAP_FAILED;
  if (memory == MAP_FAILED)
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                "out of memory: %.1f MB for a copy of the weights; load the "
                "module with mapped weights",
                static_cast<double>(size) / 1e6);
  module->copyMemory = memory;
  module->copySize = mapped;
  uintptr_t from = (reinterpret_cast<uintptr_t>(memory) + hugePage - 1) /
                   hugePage * hugePage;
  auto *copy = reinterpret_cast<uint8_t *>(from);
  madvise(
      copy, size,
      MADV_HUGEPAGE); /* a hint: without huge pages it is a copy all the same */
  memcpy(copy, module->artifact->weights, size);
  mprotect(memory, mapped, PROT_READ);
  releaseMapped(module);
  module->weights = copy;
  return SQ_STATUS_OK;
}

void releaseMapped(sq_module *module) {
  if (!module->library)
    return;
  uintptr_t from = reinterpret_cast<uintptr_t>(module->artifact->weights),
            begin = (from + page - 1) / page * page,
            end = (from + module->artifact->weights_size) / page * page;
  if (begin < end)
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

void freeCopy(sq_module *module) {
  if (module->copyMemory)
    munmap(module->copyMemory, module->copySize);
}

} // namespace sq
