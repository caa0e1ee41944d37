/// What kernels call, on the fiber of their thread.
#include "test/cuda/emulator/Block.h"

#include <cstring>

namespace sq::emulator {
namespace {

int32_t sreg(int32_t which) { return currentBlock->self().sreg[which]; }

void barrier(const char *where) { currentBlock->barrier(where); }

void syncWarp(int32_t mask, const char *where) {
  Block &block = *currentBlock;
  Call &call = block.self().call;
  call.kind = Collective::SyncWarp;
  call.mode = 0;
  call.mask = mask;
  call.where = where;
  if (!block.meet(call))
    return;
  Thread &t = block.self();
  int32_t now = block.shadow.tick();
  bool all = call.mask == block.warpOf(t).present;
  for (uint32_t left = call.mask; left; left &= left - 1) {
    Observer &o = block.at(t.index - t.lane + __builtin_ctz(left)).observer;
    if (all) {
      o.warpTime = now;
    } else {
      o.partialMask = call.mask;
      o.partialTime = now;
    }
  }
  block.release(call.mask);
}

/// PTX ISA, shfl.sync: its pseudo code, for one lane.
void shflOne(Block &block, Thread &t) {
  Call &call = t.call;
  int32_t lane = t.lane, b = call.lane & 31, c = call.clamp & 31,
          segment = call.clamp >> 8 & 31;
  int32_t maxLane = (lane & segment) | (c & ~segment);
  int32_t minLane = lane & segment;
  int32_t j = lane;
  bool valid = false;
  switch (call.mode) {
  case SQ_EMU_SHFL_UP:
    j = lane - b;
    valid = j >= maxLane;
    break;
  case SQ_EMU_SHFL_DOWN:
    j = lane + b;
    valid = j <= maxLane;
    break;
  case SQ_EMU_SHFL_BFLY:
    j = lane ^ b;
    valid = j <= maxLane;
    break;
  case SQ_EMU_SHFL_IDX:
    j = minLane | (b & ~segment);
    valid = j <= maxLane;
    break;
  default:
    block.fail(Fault::Trap, t, call.where, "shfl of mode %d", call.mode);
  }
  if (!valid)
    j = lane;
  if (!(call.mask >> j & 1))
    block.fail(Fault::Failed, t, call.where,
               "shfl from lane %d, which its mask 0x%x lacks", j, call.mask);
  call.valid = valid;
  call.lane = j;
}

int32_t shfl(int32_t mode, int32_t mask, int32_t value, int32_t lane,
             int32_t clamp, int32_t *valid, const char *where) {
  Block &block = *currentBlock;
  Call &call = block.self().call;
  call.kind = Collective::Shfl;
  call.mode = mode;
  call.mask = mask;
  call.where = where;
  call.value = value;
  call.lane = lane;
  call.clamp = clamp;
  if (block.meet(call)) {
    Thread *warp = &block.self() - block.self().lane;
    int32_t values[32];
    for (uint32_t left = mask; left; left &= left - 1) {
      int32_t i = __builtin_ctz(left);
      shflOne(block, warp[i]);
      values[i] = warp[i].call.value;
    }
    for (uint32_t left = mask; left; left &= left - 1) {
      Call &theirs = warp[__builtin_ctz(left)].call;
      theirs.value = values[theirs.lane];
    }
    block.release(mask);
  }
  *valid = call.valid;
  return call.value;
}

/// PTX ISA, ldmatrix: lanes 8i..8i+7 give the rows of matrix i; of each matrix
/// lane l gets elements 2(l%4) and the next of row l/4, or of column l/4.
void loadMatrices(Block &block, Thread *warp, int32_t count, bool transposed) {
  for (int32_t m = 0; m < count; ++m) {
    uint16_t matrix[8][8];
    for (int32_t row = 0; row < 8; ++row) {
      Thread &t = warp[8 * m + row];
      block.readRow(t, t.call.row, t.call.where);
      std::memcpy(matrix[row], t.call.row, 16);
    }
    for (int32_t lane = 0; lane < 32; ++lane) {
      int32_t i = lane / 4, j = lane % 4 * 2;
      uint32_t low = transposed ? matrix[j][i] : matrix[i][j];
      uint32_t high = transposed ? matrix[j + 1][i] : matrix[i][j + 1];
      warp[lane].call.out[m] = static_cast<int32_t>(low | high << 16);
    }
  }
}

void ldmatrix(int32_t count, int32_t transposed, const void *row, int32_t *out,
              const char *where) {
  Block &block = *currentBlock;
  Thread &t = block.self();
  Call &call = t.call;
  call.kind = Collective::Ldmatrix;
  call.mode = count << 1 | (transposed != 0);
  call.mask = ~0u;
  call.where = where;
  call.row = row;
  call.out = out;
  if (count != 1 && count != 2 && count != 4)
    block.fail(Fault::Trap, t, where, "ldmatrix of %d matrices", count);
  if (!block.meet(call))
    return;
  loadMatrices(block, &t - t.lane, count, transposed != 0);
  block.release(~0u);
}

void mma(int32_t kind, const int32_t *a, const int32_t *b, const int32_t *c,
         int32_t *d, const char *where) {
  Block &block = *currentBlock;
  Thread &t = block.self();
  Call &call = t.call;
  call.kind = Collective::Mma;
  call.mode = kind;
  call.mask = ~0u;
  call.where = where;
  call.a = a;
  call.b = b;
  call.c = c;
  call.out = d;
  if (kind < SQ_EMU_MMA_F16_M16N8K16 || kind > SQ_EMU_MMA_S8_M16N8K32)
    block.fail(Fault::Trap, t, where, "mma of kind %d", kind);
  if (!block.meet(call))
    return;
  Thread *warp = &t - t.lane;
  Call *calls[32];
  for (int32_t lane = 0; lane < 32; ++lane)
    calls[lane] = &warp[lane].call;
  multiply(kind, calls);
  block.release(~0u);
}

void cpAsync(void *shared, const void *global, int32_t bytes,
             int32_t sourceBytes, const char *where) {
  currentBlock->cpAsync({static_cast<uint8_t *>(shared),
                         static_cast<const uint8_t *>(global), bytes,
                         sourceBytes, 0, where});
}

void cpAsyncCommit() { ++currentBlock->self().groups; }

void cpAsyncWait(int32_t groups) {
  currentBlock->waitForCopies(currentBlock->self(), groups);
}

void access(const void *address, int64_t bytes, int32_t kind,
            const char *where) {
  currentBlock->access(reinterpret_cast<uintptr_t>(address), bytes, kind,
                       where);
}

uint8_t *shared() { return currentBlock->shared; }

void trap(const char *where) {
  Block &block = *currentBlock;
  block.fail(Fault::Trap, block.self(), where, "trap");
}

} // namespace

static void proxyFence() { currentBlock->self().isUnfenced = false; }

static void wgmma(int32_t kind, int32_t columns, int64_t a, int64_t b, float *d,
           const char *where) {
  multiplyShared(kind, columns, a, b, d, where);
}

const sq_emulator functions = {
    sreg,          barrier,     syncWarp, shfl,   ldmatrix, mma,        cpAsync,
    cpAsyncCommit, cpAsyncWait, access,   shared, trap,     proxyFence, wgmma};

} // namespace sq::emulator
