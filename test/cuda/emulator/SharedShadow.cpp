#include "test/cuda/emulator/SharedShadow.h"

#include <algorithm>

namespace sq::emulator {

void SharedShadow::startBlock() {
  // Tags of earlier blocks are older than `started`, so nothing need be
  // cleared, until the clock runs out.
  if (clock > kLastTime / 2)
    forget();
  ++clock;
  visible = started = clock << kWhoBits;
}

void SharedShadow::forget() {
  std::fill(writers.begin(), writers.end(), 0);
  std::fill(readers.begin(), readers.end(), 0);
  clock = 0;
}

void SharedShadow::barrier(int64_t bytes) {
  if (clock >= kLastTime - 1) {
    // Time starts again: what was written stays written, long ago.
    for (int64_t i = 0; i < bytes; ++i) {
      if (writers[i] != kPending)
        writers[i] = writers[i] < started ? 0 : 1 << kWhoBits;
      readers[i] = 0;
    }
    started = 1 << kWhoBits;
    clock = 1;
  }
  ++clock;
  visible = clock << kWhoBits;
}

bool SharedShadow::ordered(int32_t tag, const Observer &self) const {
  if (tag < visible)
    return true;
  if (tag == kPending)
    return false;
  if (clock >= kLastTime) // sync_warp did not tick: nobody knows
    return true;
  int32_t who = tag & kWhoMask, time = tag >> kWhoBits;
  if (who == self.who)
    return true;
  bool selfWide = self.who == self.wide;
  if (who == self.wide || warpWide(who / 32) == self.wide) {
    if (time < self.warpTime)
      return true;
    return who < 1024 && !selfWide && (self.partialMask >> (who & 31) & 1) &&
           time < self.partialTime;
  }
  return false;
}

Conflict SharedShadow::readSlowly(int64_t offset, int64_t bytes,
                                  const Observer &self, int32_t &other) {
  for (int64_t i = offset; i < offset + bytes; ++i) {
    int32_t w = writers[i];
    if (w < started)
      return Conflict::Uninitialised;
    if (!ordered(w, self)) {
      other = w & kWhoMask;
      return w == kPending ? Conflict::CopyUnderWay : Conflict::Write;
    }
    int32_t &r = readers[i], who = r & kWhoMask;
    if (r < visible || who == self.who)
      r = tagOf(self.who);
    else if (who == self.wide || warpWide(who / 32) == self.wide)
      r = tagOf(self.wide);
    else
      r = tagOf(kMany);
  }
  return Conflict::None;
}

Conflict SharedShadow::writeSlowly(int64_t offset, int64_t bytes,
                                   const Observer &self, int32_t &other) {
  for (int64_t i = offset; i < offset + bytes; ++i) {
    if (!ordered(writers[i], self)) {
      other = writers[i] & kWhoMask;
      return writers[i] == kPending ? Conflict::CopyUnderWay : Conflict::Write;
    }
    if (!ordered(readers[i], self)) {
      other = readers[i] & kWhoMask;
      return Conflict::Read;
    }
    writers[i] = tagOf(self.who);
  }
  return Conflict::None;
}

Conflict SharedShadow::atomic(int64_t offset, int64_t bytes,
                              const Observer &self, int32_t &other) {
  for (int64_t i = offset; i < offset + bytes; ++i) {
    if (writers[i] < started)
      return Conflict::Uninitialised;
    bool alsoAtomic =
        writers[i] != kPending && (writers[i] & kWhoMask) == kAtomic;
    if (!alsoAtomic && !ordered(writers[i], self)) {
      other = writers[i] & kWhoMask;
      return writers[i] == kPending ? Conflict::CopyUnderWay : Conflict::Write;
    }
    if (!ordered(readers[i], self)) {
      other = readers[i] & kWhoMask;
      return Conflict::Read;
    }
    writers[i] = tagOf(kAtomic);
  }
  return Conflict::None;
}

Conflict SharedShadow::startCopy(int64_t offset, int64_t bytes,
                                 const Observer &self, int32_t &other) {
  // The copy may land at any time from now on: it is a write at once, and
  // until it has been waited for nobody may look, the thread itself neither.
  Conflict conflict = write(offset, bytes, self, other);
  if (conflict == Conflict::None)
    std::fill_n(writers.begin() + offset, bytes, kPending);
  return conflict;
}

void SharedShadow::endCopy(int64_t offset, int64_t bytes,
                           const Observer &self) {
  std::fill_n(writers.begin() + offset, bytes, tagOf(self.who));
}

} // namespace sq::emulator
