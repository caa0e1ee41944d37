#include "test/cuda/emulator/Fiber.h"

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SQ_EMULATOR_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SQ_EMULATOR_ASAN 1
#endif
#ifdef SQ_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

namespace sq::emulator {
namespace {

/// Keeps where the fiber that was left goes on. `self` has just got control.
inline void arrived(void *fakeStack, transfer_t from) {
  auto *previous = static_cast<Fiber *>(from.data);
  previous->context = from.fctx;
#ifdef SQ_EMULATOR_ASAN
  // This is also how the host thread's own stack becomes known.
  const void *bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(fakeStack, &bottom, &bytes);
  previous->stackEnd = static_cast<const char *>(bottom);
  previous->stackBytes = bytes;
#else
  (void)fakeStack;
#endif
}

thread_local void (*starting)() = nullptr;

void startFiber(transfer_t from) {
  arrived(nullptr, from);
  starting();
  abort(); // a fiber leaves by a switch
}

} // namespace

void prepareFiber(Fiber &fiber, int64_t index, void (*entry)()) {
#ifdef SQ_EMULATOR_ASAN
  // Frames that were abandoned have left their red zones.
  __asan_unpoison_memory_region(fiber.stackEnd, fiber.stackBytes);
  fiber.fakeStack = nullptr;
#endif
  // All stacks begin at the same place of a page; without these offsets the
  // hot frames of a block's threads compete for a few sets of the L1 cache
  // (shfl is a tenth slower).
  size_t offset = (index & 31) * 128;
  fiber.context = make_fcontext(const_cast<char *>(fiber.stackEnd) +
                                    fiber.stackBytes - offset,
                                fiber.stackBytes - offset, startFiber);
  starting = entry;
}

void switchFiber(Fiber &from, Fiber &to, bool leaving) {
#ifdef SQ_EMULATOR_ASAN
  __sanitizer_start_switch_fiber(leaving ? nullptr : &from.fakeStack,
                                 to.stackEnd, to.stackBytes);
#endif
  transfer_t back = jump_fcontext(to.context, &from);
  arrived(from.fakeStack, back);
}

FiberStacks::~FiberStacks() {
  for (char *batch : batches)
    munmap(batch, 32 * (kBytes + 4096));
}

char *FiberStacks::get(size_t index) {
  constexpr size_t stride = kBytes + 4096;
  while (index / 32 >= batches.size()) {
    void *batch = mmap(nullptr, 32 * stride, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (batch == MAP_FAILED) {
      perror("emulator: no memory for stacks");
      abort();
    }
    for (int i = 0; i < 32; ++i)
      mprotect(static_cast<char *>(batch) + i * stride, 4096, PROT_NONE);
    batches.push_back(static_cast<char *>(batch));
  }
  return batches[index / 32] + index % 32 * stride + 4096;
}

} // namespace sq::emulator
