/// One fiber and the stacks of many. Boost.Context's functions in assembler do
/// the switch (5 ns); what is added is what ASan must be told about it.
#ifndef SQ_TEST_CUDA_EMULATOR_FIBER_H
#define SQ_TEST_CUDA_EMULATOR_FIBER_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sq::emulator {

/// Something that runs on a stack of its own, or the host thread's own stack.
struct Fiber {
  void *context = nullptr;
  // For ASan, and to know local memory from other memory.
  const char *stackEnd = nullptr; ///< the lowest address
  size_t stackBytes = 0;
  void *fakeStack = nullptr;
};

/// Gives `fiber` an empty stack, on which `entry` will start at the first
/// switch. What ran there before is forgotten: it may be in the middle of work.
void prepareFiber(Fiber &fiber, int64_t index, void (*entry)());

/// Leaves `from` and goes on in `to`. Returns when another fiber switches to
/// `from`, which for one that is `leaving` must not happen.
void switchFiber(Fiber &from, Fiber &to, bool leaving = false);

/// Memory for the stacks of fibers 0, 1, ..., made when first asked for and
/// kept. Below each stack lies a page that may not be touched.
class FiberStacks {
public:
  static constexpr size_t kBytes = 64 << 10;
  FiberStacks() = default;
  FiberStacks(const FiberStacks &) = delete;
  FiberStacks &operator=(const FiberStacks &) = delete;
  ~FiberStacks();
  /// The lowest address of stack `index`.
  char *get(size_t index);

private:
  std::vector<char *> batches;
};

} // namespace sq::emulator
#endif
