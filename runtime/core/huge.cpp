#include "runtime/core/huge.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/core/copy.h"
#include "runtime/core/error.h"

namespace sq {
namespace {

constexpr uintptr_t page = 4096, huge = uintptr_t(2) << 20;

uintptr_t up(uintptr_t v) { return (v + huge - 1) / huge * huge; }
uintptr_t down(uintptr_t v) { return v / huge * huge; }

/* PAGEMAP_SCAN of Linux 6.7 (linux/fs.h), which headers of older systems lack.
 */
struct Region {
  uint64_t start, end, categories;
};
struct ScanArguments {
  uint64_t size, flags, start, end, walkEnd, vec, vecLen, maxPages,
      categoryInverted, categoryMask, categoryAnyOf, returnMask;
};
constexpr unsigned long pagemapScan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t pageIsHuge = 1 << 6;

/* Whether [at, at + huge), of which a page was read, is mapped by one entry.
 * Without an answer it is not: copies are right anyhow. */
bool isHuge(int pagemap, uintptr_t at) {
  Region region = {};
  ScanArguments scan = {};
  scan.size = sizeof(scan);
  scan.start = at;
  scan.end = at + huge;
  scan.vec = reinterpret_cast<uintptr_t>(&region);
  scan.vecLen = 1;
  scan.categoryMask = scan.returnMask = pageIsHuge;
  return pagemap >= 0 && ioctl(pagemap, pagemapScan, &scan) == 1 &&
         region.start == at && region.end == at + huge;
}

/* Puts a copy of `from` at [begin, end) in place of what is mapped there. */
bool replaceByCopy(uintptr_t begin, uintptr_t end, const uint8_t *from) {
  auto *at = reinterpret_cast<void *>(begin);
  size_t size = end - begin;
  if (mmap(at, size, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return false;
  madvise(
      at, size,
      MADV_HUGEPAGE); /* a hint: without huge pages it is a copy all the same */
  memcpy(at, from, size);
  mprotect(at, size, PROT_READ);
  return true;
}

} // namespace

sq_status mapHuge(sq_module *module, uint64_t offset) {
  uint64_t size = module->artifact->weights_size,
           begin = module->manifest->coded_begin(),
           end = module->manifest->coded_end();
  if (begin > end || end > size)
    return fail(SQ_STATUS_CORRUPT, "the manifest is damaged: codes lie outside "
                                   "of the weights; build the artifact again");
  if (end - begin < 2 * huge)
    return SQ_STATUS_OK;
  /* Huge pages of a file begin where both its offset and the address are
   * multiples of their size. */
  uint64_t from = offset / page * page;
  size_t length = offset + size - from;
  void *memory = mmap(nullptr, length + huge, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return SQ_STATUS_OK;
  uintptr_t reserved = reinterpret_cast<uintptr_t>(memory),
            base = down(reserved) + from % huge;
  if (base < reserved)
    base += huge;
  auto *view = reinterpret_cast<uint8_t *>(base);
  if (mmap(view, length, PROT_READ, MAP_PRIVATE | MAP_FIXED, module->fd,
           static_cast<off_t>(from)) == MAP_FAILED) {
    munmap(memory, length + huge);
    return SQ_STATUS_OK;
  }
  madvise(
      view, length,
      MADV_HUGEPAGE); /* what is not in memory yet is then read in such pages */
  uintptr_t weights = base + (offset - from), first = up(weights + begin),
            last = down(weights + end);
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  bool complete = true;
  for (uintptr_t at = first, run = first; at <= last && complete; at += huge) {
    bool small = at < last;
    if (small) {
      (void)*reinterpret_cast<volatile uint8_t *>(at);
      small = !isHuge(pagemap, at);
    }
    if (small)
      continue;
    if (run < at)
      complete =
          replaceByCopy(run, at, module->artifact->weights + (run - weights));
    run = at + huge;
  }
  if (pagemap >= 0)
    close(pagemap);
  releaseMapped(module);
  if (!complete) {
    munmap(memory, length + huge);
    return SQ_STATUS_OK;
  }
  module->copyMemory = memory;
  module->copySize = length + huge;
  module->weights = reinterpret_cast<const uint8_t *>(weights);
  return SQ_STATUS_OK;
}

} // namespace sq
