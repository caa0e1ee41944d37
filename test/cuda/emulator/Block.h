/// A block of GPU threads on one host thread: its fibers, their schedule, and
/// what they share. The functions of emulator.h are its members' users.
#ifndef SQ_TEST_CUDA_EMULATOR_BLOCK_H
#define SQ_TEST_CUDA_EMULATOR_BLOCK_H

#include "test/cuda/emulator/Fiber.h"
#include "test/cuda/emulator/GlobalRaces.h"
#include "test/cuda/emulator/Launch.h"
#include "test/cuda/emulator/SharedShadow.h"
#include "test/cuda/emulator/emulator.h"

#include <atomic>

namespace sq::emulator {

/// What a launch's blocks have in common.
struct LaunchState {
  const Launch &launch;
  uint64_t seed;
  GlobalRaces *races; ///< null: not looked for
  std::atomic<Fault> fault{Fault::None};
};

enum class Collective : uint8_t { SyncWarp, Shfl, Ldmatrix, Mma };

/// A collective call of one lane: what must agree among the lanes, then the
/// lane's own operands.
struct Call {
  Collective kind;
  int32_t mode;
  uint32_t mask;
  const char *where;

  int32_t value, lane, clamp, valid; // shfl; `value` is also its result
  const void *row;                   // ldmatrix
  int32_t *out;                      // ldmatrix, mma
  const int32_t *a, *b, *c;          // mma
};

struct Copy {
  uint8_t *shared;
  const uint8_t *global;
  int32_t bytes, sourceBytes;
  int64_t group;
  const char *where;
};

enum class Waiting : uint8_t { No, Barrier, Warp, Gone };

/// One GPU thread.
struct Thread {
  int32_t sreg[SQ_EMU_LANEID + 1];
  Waiting waiting;
  int32_t index, warp, lane;
  const char *where; ///< of the barrier
  Observer observer;
  Call call;
  Fiber fiber;
  std::vector<Copy> copies; ///< under way, in the order of issue
  int64_t groups;           ///< committed so far
  bool isUnfenced;          ///< wrote to shared memory since its last proxy fence
};

struct Warp {
  uint32_t present; ///< lanes that exist
  uint32_t gone;    ///< lanes that have left the kernel, or never existed
  uint32_t waiting; ///< lanes that wait in a collective
  int32_t time;     ///< last sync_warp of all lanes
};

class Block {
public:
  static constexpr int32_t kMaxThreads = 1024;
  static constexpr int64_t kMaxShared = 227 << 10;

  Block();
  ~Block();
  /// Prepares for blocks of one launch.
  void startLaunch(LaunchState &state);
  /// Runs block `index`; false when it failed.
  bool run(uint64_t index);

  Thread &self() { return *current; }
  Thread &at(int32_t thread) { return threads[thread]; }
  Warp &warpOf(const Thread &t) { return warps[t.warp]; }

  /// Says what is wrong and leaves the launch for good.
  [[noreturn]] void fail(Fault fault, const Thread &t, const char *where,
                         const char *format, ...)
      __attribute__((format(printf, 5, 6)));

  void barrier(const char *where);
  /// Waits for the lanes of `call.mask`. True for the last one: it does the
  /// work for all, then calls `release`.
  bool meet(Call &call);
  void release(uint32_t mask);

  void access(uintptr_t address, int64_t bytes, int32_t kind,
              const char *where);
  /// A checked read of `bytes` of shared memory by wgmma.
  const uint8_t *readAsync(int64_t offset, int64_t bytes, const char *where);
  /// A checked read of ldmatrix for all lanes of `t`'s warp.
  void readRow(const Thread &t, const void *row, const char *where);
  void cpAsync(const Copy &copy);
  void waitForCopies(Thread &t, int64_t groups);

  uint8_t *shared = nullptr;
  int64_t sharedBytes = 0;
  SharedShadow shadow;

private:
  static void startThread();
  void leave();
  void switchTo(Thread &t, bool leaving = false);
  Thread &next();
  [[noreturn]] void deadlock();
  void push(int32_t thread) { queue[(head + queued++) & 1023] = thread; }
  void shuffle(uint64_t index);

  void checkAligned(const Thread &t, uintptr_t address, int64_t bytes,
                    const char *what, const char *where);
  void checkGlobal(const Thread &t, uintptr_t address, int64_t bytes,
                   int32_t kind, const char *where);
  void checkRaces(const Thread &t, uintptr_t address, int64_t bytes,
                  int32_t kind, const char *where);
  [[noreturn]] void outside(const Thread &t, uintptr_t address, int64_t bytes,
                            const char *what, const char *where);
  [[noreturn]] void conflict(const Thread &t, Conflict kind, int32_t other,
                             int64_t offset, int64_t bytes, const char *what,
                             const char *where);

  Thread *current = nullptr;
  // The allocations that were touched last: a kernel works on a few.
  const struct Allocation *recent[4] = {};
  LaunchState *state = nullptr;
  uint64_t blockIndex = 0;
  int32_t numThreads = 0, numGone = 0, atBarrier = 0;
  uint32_t head = 0, queued = 0;
  int32_t warpXor = 0; ///< order in which lanes are released
  Fiber host;
  Warp warps[kMaxThreads / 32];
  int16_t queue[kMaxThreads]; ///< threads that can go on
  int16_t order[kMaxThreads]; ///< in which threads start
  std::vector<Thread> threads;
  FiberStacks stacks;
};

/// The block that this host thread runs. Fibers stay on their host thread.
extern thread_local Block *currentBlock
    __attribute__((tls_model("initial-exec")));

/// d of one warp's mma; operands are each lane's registers.
void multiply(int32_t kind, Call *const calls[32]);
/// wgmma for this thread; `a` and `b` are descriptors.
void multiplyShared(int32_t kind, int32_t columns, int64_t a, int64_t b,
                    float *d, const char *where);
/// Exact.
float fromF16(uint32_t x);

} // namespace sq::emulator
#endif
