#include "test/cuda/emulator/Block.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <sys/mman.h>

namespace sq::emulator {

thread_local Block *currentBlock = nullptr;

Block::Block() : shadow(kMaxShared), threads(kMaxThreads) {
  void *memory = mmap(nullptr, kMaxShared + 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("emulator: no shared memory");
    abort();
  }
  shared = static_cast<uint8_t *>(memory);
}

Block::~Block() { munmap(shared, kMaxShared + 4096); }

void Block::startLaunch(LaunchState &launchState) {
  state = &launchState;
  const Launch &launch = state->launch;
  std::fill(std::begin(recent), std::end(recent), nullptr);
  sharedBytes = launch.kernel->static_shared_bytes + launch.dynamicShared;
  const uint32_t *size = launch.block;
  numThreads = size[0] * size[1] * size[2];
  for (int32_t i = 0; i < numThreads; ++i) {
    Thread &t = threads[i];
    t.index = i;
    t.warp = i / 32;
    t.lane = i % 32;
    t.sreg[SQ_EMU_TID_X] = i % size[0];
    t.sreg[SQ_EMU_TID_Y] = i / size[0] % size[1];
    t.sreg[SQ_EMU_TID_Z] = i / size[0] / size[1];
    for (int d = 0; d < 3; ++d) {
      t.sreg[SQ_EMU_NTID_X + d] = size[d];
      t.sreg[SQ_EMU_NCTAID_X + d] = launch.grid[d];
    }
    t.sreg[SQ_EMU_LANEID] = t.lane;
    t.fiber.stackEnd = stacks.get(i);
    t.fiber.stackBytes = FiberStacks::kBytes;
    order[i] = i;
  }
}

void Block::shuffle(uint64_t index) {
  uint64_t random = state->seed * 0x9E3779B97F4A7C15u + index;
  auto below = [&](uint32_t bound) { // xorshift64*
    random ^= random >> 12;
    random ^= random << 25;
    random ^= random >> 27;
    return static_cast<uint32_t>((random * 0x2545F4914F6CDD1Du) >> 33) % bound;
  };
  for (int32_t i = numThreads - 1; i > 0; --i)
    std::swap(order[i], order[below(i + 1)]);
  warpXor = below(32);
}

bool Block::run(uint64_t index) {
  blockIndex = index;
  const uint32_t *grid = state->launch.grid;
  int32_t ctaid[3] = {static_cast<int32_t>(index % grid[0]),
                      static_cast<int32_t>(index / grid[0] % grid[1]),
                      static_cast<int32_t>(index / grid[0] / grid[1])};
  shadow.startBlock();
  std::memset(shared, 0xFF, sharedBytes);
  warpXor = 0;
  if (state->seed)
    shuffle(index);
  numGone = atBarrier = 0;
  head = queued = 0;
  for (int32_t i = 0; i < numThreads; i += 32) {
    uint32_t present =
        numThreads - i >= 32 ? ~0u : (1u << (numThreads - i)) - 1;
    warps[i / 32] = {present, ~present, 0, 0};
  }
  for (int32_t i = 0; i < numThreads; ++i) {
    Thread &t = threads[i];
    std::memcpy(&t.sreg[SQ_EMU_CTAID_X], ctaid, sizeof ctaid);
    t.waiting = Waiting::No;
    t.observer = {i, SharedShadow::warpWide(t.warp), 0, 0, 0};
    t.copies.clear();
    t.groups = 0;
    t.isUnfenced = false;
    prepareFiber(t.fiber, i, startThread);
    push(order[i]);
  }
  current = &next();
  switchFiber(host, current->fiber);
  if (state->fault.load() == Fault::None)
    return true;
  shadow.forget();
  return false;
}

void Block::startThread() {
  Block &block = *currentBlock;
  const Launch &launch = block.state->launch;
  launch.kernel->run(launch.params);
  block.leave();
}

/// The current thread has returned from the kernel.
void Block::leave() {
  Thread &t = self();
  Warp &warp = warpOf(t);
  t.groups += 1; // PTX lets a thread end with copies under way
  waitForCopies(t, 0);
  t.waiting = Waiting::Gone;
  warp.gone |= 1u << t.lane;
  for (uint32_t left = warp.waiting; left; left &= left - 1) {
    Thread &other = threads[t.index - t.lane + __builtin_ctz(left)];
    if (other.call.mask >> t.lane & 1)
      fail(Fault::Failed, t, other.call.where,
           "leaves the kernel, but lane %d waits for it", other.lane);
  }
  if (atBarrier)
    for (int32_t i = 0; i < numThreads; ++i)
      if (threads[i].waiting == Waiting::Barrier)
        fail(Fault::Failed, t, threads[i].where,
             "leaves the kernel, but %d threads wait for it at a barrier",
             atBarrier);
  if (++numGone == numThreads)
    switchFiber(t.fiber, host, true);
  switchTo(next(), true);
}

void Block::switchTo(Thread &t, bool leaving) {
  Thread *from = current;
  if (from == &t)
    return;
  current = &t;
  switchFiber(from->fiber, t.fiber, leaving);
}

Thread &Block::next() {
  if (!queued)
    deadlock();
  --queued;
  return threads[queue[head++ & 1023]];
}

void Block::barrier(const char *where) {
  Thread &t = self();
  if (numGone)
    fail(Fault::Failed, t, where,
         "waits at a barrier for %d threads that have left the kernel",
         numGone);
  if (atBarrier) {
    // Any thread that waits there will do: they agree.
    for (int32_t i = 0; i < numThreads; ++i) {
      if (threads[i].waiting != Waiting::Barrier)
        continue;
      const char *other = threads[i].where;
      if (other != where && std::strcmp(other, where) != 0)
        fail(Fault::Failed, t, where,
             "divergent barrier: thread %d of the block waits at '%s'", i,
             other);
      break;
    }
  }
  if (++atBarrier < numThreads) {
    t.waiting = Waiting::Barrier;
    t.where = where;
    switchTo(next());
    return;
  }
  atBarrier = 0;
  shadow.barrier(sharedBytes);
  for (int32_t i = 0; i < numThreads; ++i) {
    Thread &other = threads[order[i]];
    if (&other == &t)
      continue;
    other.waiting = Waiting::No;
    push(other.index);
  }
}

static const char *name(Collective kind) {
  switch (kind) {
  case Collective::SyncWarp:
    return "sync_warp";
  case Collective::Shfl:
    return "shfl";
  case Collective::Ldmatrix:
    return "ldmatrix";
  case Collective::Mma:
    return "mma";
  }
  return "";
}

bool Block::meet(Call &call) {
  Thread &t = self();
  Warp &warp = warpOf(t);
  uint32_t mask = call.mask;
  if (!(mask >> t.lane & 1))
    fail(Fault::Failed, t, call.where, "%s by a lane that its mask 0x%x lacks",
         name(call.kind), mask);
  if (mask & warp.gone)
    fail(Fault::Failed, t, call.where,
         "%s with lanes that have left the kernel or do not exist (0x%x)",
         name(call.kind), mask & warp.gone);
  if (uint32_t there = warp.waiting & mask) {
    // One of those that wait will do: they agree.
    Thread &other = threads[t.index - t.lane + __builtin_ctz(there)];
    const Call &theirs = other.call;
    if (theirs.kind != call.kind || theirs.mode != call.mode ||
        theirs.mask != mask ||
        (theirs.where != call.where &&
         std::strcmp(theirs.where, call.where) != 0))
      fail(Fault::Failed, t, call.where,
           "divergent warp: %s (mode %d) of lanes 0x%x, but lane %d waits in "
           "%s (mode %d) of lanes 0x%x at '%s'",
           name(call.kind), call.mode, mask, other.lane, name(theirs.kind),
           theirs.mode, theirs.mask, theirs.where);
  }
  warp.waiting |= 1u << t.lane;
  t.waiting = Waiting::Warp;
  if ((warp.waiting & mask) == mask)
    return true;
  switchTo(next());
  return false;
}

void Block::release(uint32_t mask) {
  Thread &t = self();
  warpOf(t).waiting &= ~mask;
  for (int32_t i = 0; i < 32; ++i) {
    int32_t lane = i ^ warpXor;
    if (!(mask >> lane & 1))
      continue;
    Thread &other = threads[t.index - t.lane + lane];
    other.waiting = Waiting::No;
    if (&other != &t)
      push(other.index);
  }
}

void Block::deadlock() {
  // One line for each place, not for each thread.
  std::string text;
  const Thread *first = nullptr;
  for (int32_t i = 0, places = 0; i < numThreads && places < 4; ++i) {
    const Thread &t = threads[i];
    std::string place;
    if (t.waiting == Waiting::Barrier)
      place = "at barrier '" + std::string(t.where) + "'";
    else if (t.waiting == Waiting::Warp)
      place =
          "in " + std::string(name(t.call.kind)) + " '" + t.call.where + "'";
    if (place.empty() || text.find(place) != std::string::npos)
      continue;
    text += (first ? ", thread " : "thread ") + std::to_string(i) + " waits " +
            place;
    if (!first)
      first = &t;
    ++places;
  }
  const char *where =
      first->waiting == Waiting::Barrier ? first->where : first->call.where;
  fail(Fault::Failed, *first, where, "deadlock: %s", text.c_str());
}

void Block::fail(Fault fault, const Thread &t, const char *where,
                 const char *format, ...) {
  Fault none = Fault::None;
  if (state->fault.compare_exchange_strong(none, fault)) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const int32_t *r = t.sreg;
    fprintf(stderr,
            "emulator: kernel '%s' at '%s', block (%d, %d, %d), thread (%d, "
            "%d, %d): %s\n",
            state->launch.kernel->name, where ? where : "", r[SQ_EMU_CTAID_X],
            r[SQ_EMU_CTAID_Y], r[SQ_EMU_CTAID_Z], r[SQ_EMU_TID_X],
            r[SQ_EMU_TID_Y], r[SQ_EMU_TID_Z], text);
  }
  switchFiber(current->fiber, host, true);
  abort(); // nobody goes on here
}

} // namespace sq::emulator
