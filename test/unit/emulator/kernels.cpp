/// Kernels as sq-compile --emulate-cuda would make them, written by hand.
/// Compiled plainly: no sanitizers, no libraries.
#include "test/cuda/emulator/emulator.h"

// The exported name is the type's too, so C++ needs another one.
extern sq_emulated_image image asm("sq_emulated_image");

namespace {

const sq_emulator &gpu() { return *image.functions; }

template <typename T> T param(void *const *params, int i) {
  return *static_cast<T *>(params[i]);
}

int tid() { return gpu().sreg(SQ_EMU_TID_X); }
int lane() { return gpu().sreg(SQ_EMU_LANEID); }

template <typename T> T load(const T *p, const char *where = "load") {
  gpu().access(p, sizeof(T), SQ_EMU_READ, where);
  return *p;
}
template <typename T> void store(T *p, T value, const char *where = "store") {
  gpu().access(p, sizeof(T), SQ_EMU_WRITE, where);
  *p = value;
}
template <typename T> T *shared() {
  return reinterpret_cast<T *>(gpu().shared());
}

/// out[block] = sum of in[block * threads ..]; dynamic shared memory.
void reduce(void *const *params) {
  auto *out = param<float *>(params, 0);
  auto *in = param<const float *>(params, 1);
  int n = gpu().sreg(SQ_EMU_NTID_X), block = gpu().sreg(SQ_EMU_CTAID_X);
  float *s = shared<float>();
  store(s + tid(), load(in + block * n + tid()));
  for (int step = n / 2; step; step /= 2) {
    gpu().barrier("reduce.step");
    if (tid() < step)
      store(s + tid(), load(s + tid()) + load(s + tid() + step));
  }
  if (tid() == 0)
    store(out + block, load(s));
}

void axpy(void *const *params) {
  auto *y = param<float *>(params, 0);
  auto *x = param<const float *>(params, 1);
  auto a = param<float>(params, 2);
  int i = gpu().sreg(SQ_EMU_CTAID_X) * gpu().sreg(SQ_EMU_NTID_X) + tid();
  if (i < param<int32_t>(params, 3))
    store(y + i, load(y + i) + a * load(x + i));
}

/// out[linear thread of the grid] = a digest of all indices.
void indices(void *const *params) {
  int32_t r[SQ_EMU_LANEID + 1];
  for (int i = 0; i <= SQ_EMU_LANEID; ++i)
    r[i] = gpu().sreg(i);
  int t = (r[SQ_EMU_TID_Z] * r[SQ_EMU_NTID_Y] + r[SQ_EMU_TID_Y]) *
              r[SQ_EMU_NTID_X] +
          r[SQ_EMU_TID_X];
  int b = (r[SQ_EMU_CTAID_Z] * r[SQ_EMU_NCTAID_Y] + r[SQ_EMU_CTAID_Y]) *
              r[SQ_EMU_NCTAID_X] +
          r[SQ_EMU_CTAID_X];
  int n = r[SQ_EMU_NTID_X] * r[SQ_EMU_NTID_Y] * r[SQ_EMU_NTID_Z];
  store(param<int32_t *>(params, 0) + b * n + t, r[SQ_EMU_LANEID] + 1);
}

/// One warp: out = values and predicates of a shfl, `b` by lanes.
void shuffle(void *const *params) {
  auto *out = param<int32_t *>(params, 0);
  auto *b = param<const int32_t *>(params, 1);
  int32_t valid;
  int32_t value = gpu().shfl(
      param<int32_t>(params, 2), param<int32_t>(params, 3), 1000 + lane(),
      load(b + lane()), param<int32_t>(params, 4), &valid, "shuffle");
  store(out + lane(), value);
  store(out + 32 + lane(), valid);
}

void multiply(void *const *params) {
  auto *a = param<const int32_t *>(params, 0) + 4 * lane();
  auto *b = param<const int32_t *>(params, 1) + 2 * lane();
  auto *c = param<const int32_t *>(params, 2) + 4 * lane();
  int32_t d[4];
  gpu().mma(param<int32_t>(params, 4), a, b, c, d, "multiply");
  for (int i = 0; i < 4; ++i)
    store(param<int32_t *>(params, 3) + 4 * lane() + i, d[i]);
}

/// Row r of the 32 rows of 16 bytes lies at 16 * (r ^ 5) in shared memory.
void matrices(void *const *params) {
  auto *out = param<int32_t *>(params, 0);
  auto *in = param<const int64_t *>(params, 1);
  int64_t *s = shared<int64_t>();
  for (int i = 0; i < 2; ++i)
    store(s + 2 * (lane() ^ 5) + i, load(in + 2 * lane() + i));
  gpu().barrier("matrices.filled");
  int32_t r[4] = {0, 0, 0, 0};
  gpu().ldmatrix(param<int32_t>(params, 2), param<int32_t>(params, 3),
                 s + 2 * (lane() ^ 5), r, "matrices.ldmatrix");
  for (int i = 0; i < 4; ++i)
    store(out + 4 * lane() + i, r[i]);
}

/// Two stages of cp.async, the second under way while the first is read.
/// out[stage * n + t] = in[stage * n + (t + 1) % n].
void copies(void *const *params) {
  auto *out = param<int32_t *>(params, 0);
  auto *in = param<const int32_t *>(params, 1);
  int n = gpu().sreg(SQ_EMU_NTID_X);
  int32_t *s = shared<int32_t>();
  for (int stage = 0; stage < 2; ++stage) {
    gpu().cp_async(s + stage * n + tid(), in + stage * n + tid(), 4,
                   param<int32_t>(params, 2), "copies.issue");
    gpu().cp_async_commit();
  }
  for (int stage = 0; stage < 2; ++stage) {
    gpu().cp_async_wait(1 - stage);
    gpu().barrier("copies.arrived");
    store(out + stage * n + tid(), load(s + stage * n + (tid() + 1) % n));
  }
}

/// Transposes a warp's values through shared memory, with `mask` meeting.
void warpTranspose(void *const *params) {
  auto *out = param<int32_t *>(params, 0);
  int partner = lane() ^ param<int32_t>(params, 2);
  int32_t mask = param<int32_t>(params, 1);
  if (mask != -1)
    mask <<= lane() & 16;
  int32_t *s = shared<int32_t>();
  for (int i = 0; i < 3; ++i) {
    store(s + tid(), i + lane());
    gpu().sync_warp(mask, "transpose.1");
    store(out + tid(), load(s + (tid() & ~31) + partner, "transpose.read"));
    gpu().sync_warp(mask, "transpose.2");
  }
}

const int32_t table[4] = {2, 3, 5, 7};
int32_t counters[2];

/// Variables of the module.
void constants(void *const *params) {
  store(counters + tid(), load(table + 2 + tid()));
  store(param<int32_t *>(params, 0) + tid(), load(counters + tid()) + 1);
}

/// All the ways to be wrong; ok is one more.
void wrong(void *const *params) {
  auto *p = param<int32_t *>(params, 0);
  int t = tid();
  int32_t *s = shared<int32_t>();
  int32_t unused;
  switch (param<int32_t>(params, 1)) {
  case 0: // ok
    store(s + t, t);
    gpu().barrier("b");
    store(p + t, load(s + (t ^ 1)));
    break;
  case 1:
    store(p + t, t, "too far"); // 64 threads, fewer elements
    break;
  case 2:
    load(reinterpret_cast<int64_t *>(p + 2 * t + 1), "askew");
    break;
  case 3:
    store(s + t, t);
    load(s + (t ^ 1), "hasty read");
    break;
  case 4:
    store(s, t, "all to one");
    break;
  case 5:
    load(s + t, "nobody wrote");
    break;
  case 6:
    if (t != 3)
      gpu().barrier("not all");
    break;
  case 7:
    gpu().barrier(t < 32 ? "here" : "there");
    break;
  case 8:
    if (t % 32 < 16)
      gpu().sync_warp(-1, "half");
    else
      gpu().barrier("other half");
    break;
  case 9:
    gpu().trap("trapped");
    break;
  case 10: { // an address of the host's
    load(reinterpret_cast<int32_t *>(uintptr_t{0x10000}), "wild");
    break;
  }
  case 11:
    store(s + 64 + t, t, "past the tile");
    break;
  case 12:
    gpu().shfl(SQ_EMU_SHFL_IDX, 0xFFFF << (lane() & 16), t, 20, 31, &unused,
               "absent source");
    break;
  case 13:
    if (lane() == 0)
      gpu().sync_warp(-1, "kind");
    else
      gpu().shfl(SQ_EMU_SHFL_IDX, -1, t, 0, 31, &unused, "kind");
    break;
  case 14:
    if (lane())
      gpu().sync_warp(-1, "deserted");
    break;
  case 15: // reading before the wait
    gpu().cp_async(s + t, p + t, 4, 4, "early.issue");
    gpu().cp_async_commit();
    load(s + t, "early");
    break;
  case 16: // no barrier after the wait
    gpu().cp_async(s + t, p + t, 4, 4, "own.issue");
    gpu().cp_async_commit();
    gpu().cp_async_wait(0);
    load(s + t, "own");
    load(s + (t ^ 1), "other's");
    break;
  case 17: // the next tile comes while others read this one
    store(s + t, t);
    gpu().barrier("b");
    load(s + (t ^ 1), "tile.read");
    if (t == 40) {
      gpu().cp_async(s, p, 4, 4, "tile.next");
      gpu().cp_async_commit();
    }
    gpu().barrier("c");
    gpu().cp_async_wait(0);
    break;
  case 18:
    store(const_cast<int32_t *>(table), t, "constant");
    break;
  case 19: // each lane wrote its row, but all lanes get a part of it
    if (t >= 32)
      break;
    for (int i = 0; i < 4 && t < 8; ++i)
      store(s + 4 * t + i, i);
    gpu().ldmatrix(1, 0, s + 4 * (t & 7), &unused, "rows");
    break;
  case 20:
    gpu().cp_async(s + 1 + t, p + t, 16, 16, "askew copy");
    break;
  case 21: // ends with a copy under way
    gpu().cp_async(s + t, p + t, 4, 4, "forgotten");
    break;
  case 22: { // counting together is no race, looking at it is
    gpu().barrier("b");
    if (t == 0)
      store(s, 0);
    gpu().barrier("c");
    gpu().access(s, 4, SQ_EMU_ATOMIC, "count");
    ++*s;
    if (t == 40)
      load(s, "look");
    break;
  }
  }
}

/// What the emulator's speed is measured with: `which`, repeated n times.
void speed(void *const *params) {
  auto *p = param<float *>(params, 0);
  int n = param<int32_t>(params, 2), t = tid();
  float *s = shared<float>();
  switch (param<int32_t>(params, 1)) {
  case 0:
    for (int i = 0; i < n; ++i)
      gpu().barrier("speed");
    break;
  case 1:
    for (int i = 0; i < n; ++i)
      load(p + (i & 1023));
    break;
  case 2: // a tile that all threads read
    store(s + t, 1.f);
    gpu().barrier("speed");
    for (int i = 0; i < n; ++i)
      load(s + (i & 127));
    break;
  case 3: { // vectors of 16 bytes
    struct alignas(16) Four {
      float f[4];
    };
    for (int i = 0; i < n; ++i)
      store(reinterpret_cast<Four *>(s) + t, Four{});
    break;
  }
  case 4: {
    int32_t a[4] = {}, b[2] = {}, c[4] = {};
    for (int i = 0; i < n; ++i)
      gpu().mma(SQ_EMU_MMA_F16_M16N8K16, a, b, c, c, "speed");
    break;
  }
  case 5: {
    int32_t valid, v = t;
    for (int i = 0; i < n; ++i)
      v = gpu().shfl(SQ_EMU_SHFL_BFLY, -1, v, 1, 31, &valid, "speed");
    break;
  }
  }
}

const int32_t sizes[] = {8, 8, 4, 4, 4};
const int32_t multiplySizes[] = {8, 8, 8, 8, 4};
const int32_t smallSizes[] = {8, 4, 4, 4};

const sq_emulated_kernel kernels[] = {
    {"reduce", reduce, 0, 2, 0, sizes},
    {"axpy", axpy, 0, 4, 0, sizes},
    {"indices", indices, 0, 1, 0, sizes},
    {"shuffle", shuffle, 0, 5, 0, sizes},
    {"multiply", multiply, 0, 5, 0, multiplySizes},
    {"matrices", matrices, 512, 4, 0, sizes},
    {"copies", copies, 0, 3, 0, sizes},
    {"warp_transpose", warpTranspose, 1024, 3, 0, smallSizes},
    {"constants", constants, 0, 1, 0, sizes},
    {"wrong", wrong, 0, 2, 0, smallSizes},
    {"speed", speed, 0, 3, 0, smallSizes},
};

} // namespace

__attribute__((visibility("default"))) sq_emulated_image image = {
    nullptr, sizeof kernels / sizeof *kernels, kernels};
