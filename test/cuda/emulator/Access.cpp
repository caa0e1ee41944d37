/// Checks of what kernels read and write.
#include "test/cuda/emulator/Block.h"
#include "test/cuda/emulator/Memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

namespace sq::emulator {
namespace {

const char *name(int32_t kind) {
  return kind == SQ_EMU_READ    ? "read"
         : kind == SQ_EMU_WRITE ? "write"
                                : "atomic operation";
}

std::string party(int32_t who) {
  if (who < 1024)
    return "thread " + std::to_string(who) + " of the block";
  if (who < SharedShadow::kMany)
    return "lanes of warp " + std::to_string(who - 1024);
  return who == SharedShadow::kMany ? "threads of several warps"
                                    : "an atomic operation";
}

} // namespace

void Block::conflict(const Thread &t, Conflict kind, int32_t other,
                     int64_t offset, int64_t bytes, const char *what,
                     const char *where) {
  auto at = static_cast<long long>(offset),
       size = static_cast<long long>(bytes);
  switch (kind) {
  case Conflict::Uninitialised:
    fail(Fault::Failed, t, where,
         "%s of uninitialised shared memory: %lld bytes at offset %lld", what,
         size, at);
  case Conflict::CopyUnderWay:
    fail(Fault::Failed, t, where,
         "%s of shared memory that a cp.async is still writing: %lld bytes at "
         "offset %lld",
         what, size, at);
  default:
    fail(Fault::Failed, t, where,
         "race: %s of %lld bytes at offset %lld of shared memory, which %s "
         "%s since the last barrier",
         what, size, at, party(other).c_str(),
         kind == Conflict::Write ? "wrote" : "read");
  }
}

void Block::outside(const Thread &t, uintptr_t address, int64_t bytes,
                    const char *what, const char *where) {
  auto begin = reinterpret_cast<uintptr_t>(shared);
  uint64_t offset = address - begin;
  std::string place;
  if (offset < kMaxShared + 4096)
    place = "ends " + std::to_string(offset + bytes - sharedBytes) +
            " bytes beyond the block's " + std::to_string(sharedBytes) +
            " bytes of shared memory";
  else if (begin - address <= 4096)
    place = "begins " + std::to_string(begin - address) +
            " bytes before the block's shared memory";
  else
    place = deviceMemory().describe(address, bytes);
  fail(Fault::Address, t, where, "%s of %lld bytes at 0x%llx: %s", what,
       static_cast<long long>(bytes), static_cast<unsigned long long>(address),
       place.c_str());
}

void Block::checkAligned(const Thread &t, uintptr_t address, int64_t bytes,
                         const char *what, const char *where) {
  // Longer accesses and odd ones are several, of which nothing is known here.
  if (bytes <= 16 && (bytes & (bytes - 1)) == 0 && (address & (bytes - 1)))
    fail(Fault::Misaligned, t, where, "misaligned %s of %lld bytes at 0x%llx",
         what, static_cast<long long>(bytes),
         static_cast<unsigned long long>(address));
}

void Block::checkGlobal(const Thread &t, uintptr_t address, int64_t bytes,
                        int32_t kind, const char *where) {
  const Allocation *found = nullptr;
  for (const Allocation *a : recent)
    if (a && a->holds(address, bytes)) {
      found = a;
      break;
    }
  if (!found) {
    found = deviceMemory().find(address);
    if (!found || !found->holds(address, bytes)) {
      // Local memory. It is not announced as a rule, and is no allocation.
      auto stack = reinterpret_cast<uintptr_t>(t.fiber.stackEnd);
      if (address - stack < t.fiber.stackBytes)
        return;
      outside(t, address, bytes, name(kind), where);
    }
    std::copy_backward(recent, recent + 3, recent + 4);
    recent[0] = found;
  }
  if (kind != SQ_EMU_READ && !found->writable)
    fail(Fault::Address, t, where, "%s of %lld bytes of a constant", name(kind),
         static_cast<long long>(bytes));
  if (state->races)
    checkRaces(t, address, bytes, kind, where);
}

void Block::checkRaces(const Thread &t, uintptr_t address, int64_t bytes,
                       int32_t kind, const char *where) {
  int64_t other;
  bool wrote;
  if (!state->races->note(blockIndex, address, bytes, kind, other, wrote))
    return;
  std::string party = other >= 0    ? "block " + std::to_string(other)
                      : other == -1 ? "several blocks"
                                    : "an atomic operation";
  fail(Fault::Failed, t, where,
       "race: %s of %lld bytes at 0x%llx, which %s %s in this launch",
       name(kind), static_cast<long long>(bytes),
       static_cast<unsigned long long>(address), party.c_str(),
       wrote ? "wrote" : "read");
}

template <typename F> static Conflict withSize(int64_t bytes, const F &f) {
  switch (bytes) { // constants become vector instructions
  case 2:
    return f(2);
  case 4:
    return f(4);
  case 8:
    return f(8);
  case 16:
    return f(16);
  default:
    return f(bytes);
  }
}

void Block::access(uintptr_t address, int64_t bytes, int32_t kind,
                   const char *where) {
  Thread &t = self();
  checkAligned(t, address, bytes, name(kind), where);
  uint64_t offset = address - reinterpret_cast<uintptr_t>(shared);
  if (offset >= static_cast<uint64_t>(sharedBytes))
    return checkGlobal(t, address, bytes, kind, where);
  if (bytes > sharedBytes - static_cast<int64_t>(offset))
    outside(t, address, bytes, name(kind), where);
  int32_t other = 0;
  Conflict bad;
  t.isUnfenced |= kind != SQ_EMU_READ;
  if (kind == SQ_EMU_READ)
    bad = withSize(bytes, [&](int64_t n) __attribute__((always_inline)) {
      return shadow.read(offset, n, t.observer, other);
    });
  else if (kind == SQ_EMU_WRITE)
    bad = withSize(bytes, [&](int64_t n) __attribute__((always_inline)) {
      return shadow.write(offset, n, t.observer, other);
    });
  else
    bad = shadow.atomic(offset, bytes, t.observer, other);
  if (bad != Conflict::None)
    conflict(t, bad, other, offset, bytes, name(kind), where);
}

void Block::readRow(const Thread &t, const void *row, const char *where) {
  auto address = reinterpret_cast<uintptr_t>(row);
  checkAligned(t, address, 16, "ldmatrix", where);
  uint64_t offset = address - reinterpret_cast<uintptr_t>(shared);
  if (offset + 16 > static_cast<uint64_t>(sharedBytes))
    outside(t, address, 16, "ldmatrix", where);
  // The row goes to several lanes, so being written by this one is no excuse.
  Observer reader = t.observer;
  reader.who = reader.wide;
  int32_t other = 0;
  Conflict bad = shadow.read(offset, 16, reader, other);
  if (bad != Conflict::None)
    conflict(t, bad, other, offset, 16, "ldmatrix", where);
}

const uint8_t *Block::readAsync(int64_t offset, int64_t bytes,
                                const char *where) {
  Thread &t = self();
  if (offset + bytes > sharedBytes)
    outside(t, reinterpret_cast<uintptr_t>(shared) + offset, bytes, "wgmma",
            where);
  int32_t other = 0;
  Conflict bad = shadow.read(offset, bytes, t.observer, other);
  if (bad != Conflict::None)
    conflict(t, bad, other, offset, bytes, "wgmma", where);
  return shared + offset;
}

void Block::cpAsync(const Copy &copy) {
  Thread &t = self();
  const char *where = copy.where;
  auto to = reinterpret_cast<uintptr_t>(copy.shared);
  auto from = reinterpret_cast<uintptr_t>(copy.global);
  if (copy.bytes != 4 && copy.bytes != 8 && copy.bytes != 16)
    fail(Fault::Trap, t, where, "cp.async of %d bytes", copy.bytes);
  if (copy.sourceBytes < 0 || copy.sourceBytes > copy.bytes)
    fail(Fault::Trap, t, where, "cp.async reads %d of %d bytes",
         copy.sourceBytes, copy.bytes);
  checkAligned(t, to, copy.bytes, "write of cp.async", where);
  checkAligned(t, from, copy.bytes, "read of cp.async", where);
  uint64_t offset = to - reinterpret_cast<uintptr_t>(shared);
  if (offset + copy.bytes > static_cast<uint64_t>(sharedBytes))
    outside(t, to, copy.bytes, "write of cp.async", where);
  if (from - reinterpret_cast<uintptr_t>(shared) <
      static_cast<uint64_t>(sharedBytes))
    fail(Fault::Address, t, where, "cp.async reads shared memory");
  if (copy.sourceBytes)
    checkGlobal(t, from, copy.sourceBytes, SQ_EMU_READ, where);
  int32_t other = 0;
  Conflict bad = shadow.startCopy(offset, copy.bytes, t.observer, other);
  if (bad != Conflict::None)
    conflict(t, bad, other, offset, copy.bytes, "cp.async", where);
  t.copies.push_back(copy);
  t.copies.back().group = t.groups;
}

void Block::waitForCopies(Thread &t, int64_t groups) {
  size_t done = 0;
  for (; done < t.copies.size(); ++done) {
    const Copy &copy = t.copies[done];
    if (copy.group >= t.groups - groups)
      break;
    std::memcpy(copy.shared, copy.global, copy.sourceBytes);
    std::memset(copy.shared + copy.sourceBytes, 0,
                copy.bytes - copy.sourceBytes);
    shadow.endCopy(copy.shared - shared, copy.bytes, t.observer);
    t.isUnfenced = true;
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + done);
}

} // namespace sq::emulator
