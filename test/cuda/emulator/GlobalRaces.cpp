#include "test/cuda/emulator/GlobalRaces.h"
#include "test/cuda/emulator/emulator.h"

namespace sq::emulator {

bool GlobalRaces::note(uint64_t block, uintptr_t address, int64_t bytes,
                       int32_t kind, int64_t &other, bool &otherWrote) {
  const uint32_t mine = static_cast<uint32_t>(block) + 1;
  for (uintptr_t i = address; i < address + bytes; ++i) {
    if (!last || i / 4096 != lastNumber) {
      std::unique_ptr<Page> &page = pages[i / 4096];
      if (!page)
        page = std::make_unique<Page>(Page{});
      lastNumber = i / 4096;
      last = page.get();
    }
    uint32_t &writer = last->writer[i % 4096], &reader = last->reader[i % 4096];
    bool together = kind == SQ_EMU_ATOMIC && writer == kAtomic;
    if (writer && writer != mine && !together) {
      other = writer == kAtomic ? -2 : writer - 1;
      otherWrote = true;
      return true;
    }
    if (kind == SQ_EMU_READ) {
      reader = !reader || reader == mine ? mine : kMany;
      continue;
    }
    if (reader && reader != mine) {
      other = reader == kMany ? -1 : reader - 1;
      otherWrote = false;
      return true;
    }
    writer = kind == SQ_EMU_ATOMIC ? kAtomic : mine;
  }
  return false;
}

} // namespace sq::emulator
