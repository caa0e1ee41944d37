/// Who touched a block's shared memory last, by bytes: finds races and reads of
/// what nobody has written.
///
/// Each byte has two tags, `time << 11 | who`: of its last write, and of its
/// last reads. The clock ticks at every barrier and sync_warp, never between.
/// What was done before the block's last barrier is ordered before everything
/// now; what a thread did itself is; what lanes of its warp did is, if they met
/// in a sync_warp since. All else is a race.
#ifndef SQ_TEST_CUDA_EMULATOR_SHAREDSHADOW_H
#define SQ_TEST_CUDA_EMULATOR_SHAREDSHADOW_H

#include <cstdint>
#include <vector>

namespace sq::emulator {

/// What orders a thread after others of its block.
struct Observer {
  int32_t who;          ///< a thread, or `wide`
  int32_t wide;         ///< SharedShadow::warpWide of its warp
  int32_t warpTime;     ///< last sync_warp of all its warp's lanes
  uint32_t partialMask; ///< last sync_warp of some of them
  int32_t partialTime;
};

enum class Conflict { None, Uninitialised, CopyUnderWay, Write, Read };

class SharedShadow {
public:
  static constexpr int kWhoBits = 11;
  static constexpr int32_t kWhoMask = (1 << kWhoBits) - 1;
  // Values of `who` after the 1024 threads: several lanes of one warp,
  // several warps, atomic operations.
  static constexpr int32_t warpWide(int32_t warp) { return 1024 + warp; }
  static constexpr int32_t kMany = 1056, kAtomic = 1057;
  /// Tag of bytes that a cp.async is writing: later than everything.
  static constexpr int32_t kPending = INT32_MAX;
  static constexpr int32_t kLastTime = (1 << (31 - kWhoBits)) - 2;

  explicit SharedShadow(int64_t bytes) : writers(bytes), readers(bytes) {}

  void startBlock();
  /// Orders everything before after everything to come.
  void barrier(int64_t bytes);
  /// A moment for `Observer`'s times.
  int32_t tick() { return clock < kLastTime ? ++clock : clock; }

  /// Each notes an access of `bytes` bytes at `offset` and returns what is
  /// wrong with it; `other` (a `who`) is then the other party.
  inline Conflict read(int64_t offset, int64_t bytes, const Observer &self,
                       int32_t &other);
  inline Conflict write(int64_t offset, int64_t bytes, const Observer &self,
                        int32_t &other);
  Conflict atomic(int64_t offset, int64_t bytes, const Observer &self,
                  int32_t &other);
  /// cp.async: when issued, and when the thread has waited for it.
  Conflict startCopy(int64_t offset, int64_t bytes, const Observer &self,
                     int32_t &other);
  void endCopy(int64_t offset, int64_t bytes, const Observer &self);
  /// After an abandoned launch.
  void forget();

private:
  bool ordered(int32_t tag, const Observer &self) const;
  Conflict readSlowly(int64_t offset, int64_t bytes, const Observer &self,
                      int32_t &other);
  Conflict writeSlowly(int64_t offset, int64_t bytes, const Observer &self,
                       int32_t &other);
  int32_t tagOf(int32_t who) const { return clock << kWhoBits | who; }

  std::vector<int32_t> writers, readers;
  int32_t clock = 0;
  int32_t visible = 0; ///< earlier tags are before the last barrier
  int32_t started = 0; ///< earlier tags are of other blocks
};

// Both are written so that a constant `bytes` becomes a few vector operations.

inline __attribute__((always_inline)) Conflict SharedShadow::read(
    int64_t offset, int64_t bytes, const Observer &self, int32_t &other) {
  const int32_t *w = writers.data() + offset;
  int32_t *r = readers.data() + offset;
  int32_t bad = 0, noted = 0;
  const int32_t mine = tagOf(self.who), wide = tagOf(self.wide),
                all = tagOf(kMany);
  for (int64_t i = 0; i < bytes; ++i) {
    bad |= (w[i] < started) |
           ((w[i] >= visible) & (((w[i] ^ self.who) & kWhoMask) != 0));
    noted |= (r[i] != mine) & (r[i] != wide) & (r[i] != all);
  }
  if (bad)
    return readSlowly(offset, bytes, self, other);
  if (!noted) // the most frequent: other threads have read it too
    return Conflict::None;
  int32_t shared = 0;
  for (int64_t i = 0; i < bytes; ++i)
    shared |= (r[i] >= visible) & (((r[i] ^ self.who) & kWhoMask) != 0);
  if (shared)
    return readSlowly(offset, bytes, self, other);
  for (int64_t i = 0; i < bytes; ++i)
    r[i] = mine;
  return Conflict::None;
}

inline __attribute__((always_inline)) Conflict SharedShadow::write(
    int64_t offset, int64_t bytes, const Observer &self, int32_t &other) {
  int32_t *w = writers.data() + offset;
  const int32_t *r = readers.data() + offset;
  int32_t bad = 0;
  for (int64_t i = 0; i < bytes; ++i)
    bad |= ((w[i] >= visible) & (((w[i] ^ self.who) & kWhoMask) != 0)) |
           ((r[i] >= visible) & (((r[i] ^ self.who) & kWhoMask) != 0));
  if (bad)
    return writeSlowly(offset, bytes, self, other);
  const int32_t mine = tagOf(self.who);
  for (int64_t i = 0; i < bytes; ++i)
    w[i] = mine;
  return Conflict::None;
}

} // namespace sq::emulator
#endif
