#include "lib/machine/Machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "lib/tensorio/Tensor.h"

namespace sq {
namespace {

// One body, compiled for each vector length where it is inlined. The compilers
// contract x * a + b to one instruction where the target has it.
using Vector8 = float __attribute__((vector_size(32)));
using Vector16 = float __attribute__((vector_size(64)));
#define SQ_INLINE inline __attribute__((always_inline))
#define SQ_AVX2 __attribute__((target("avx2,fma")))
#define SQ_AVX512 __attribute__((target("avx512f,avx2,fma")))

/// Two ports with a latency of four need 8 sums; 16 registers hold 12.
constexpr int kSums = 12;
/// A tenth of a millisecond: a core that only multiplies draws less power than one that also loads, and within
/// milliseconds it takes a higher clock.
constexpr int64_t kRounds = 50000;

/// Where the sums begin and what they are multiplied with. Volatile: with constants, clang saw that a sum that begins with 1
/// stays 1 and ran 11 multiply-adds of the 12 that are counted, so that the rate came out 9 % too high.
volatile float start = 1.0f, factor = 0.999f, addend = 0.001f;

template <typename V> SQ_INLINE float multiplyAdd() {
  V sums[kSums], a = V{} + factor, b = V{} + addend;
  for (int i = 0; i < kSums; ++i)
    sums[i] = V{} + start + static_cast<float>(i);
  for (int64_t round = 0; round < kRounds; ++round)
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i)
      sums[i] = sums[i] * a + b;
  for (int i = 1; i < kSums; ++i)
    sums[0] += sums[i];
  return sums[0][0];
}

struct Arrays {
  float *a, *b, *c;
  int64_t size; // elements, a multiple of 128
};

template <typename V> SQ_INLINE float readAll(const Arrays &arrays) {
  constexpr int64_t lanes = sizeof(V) / 4;
  V sums[8] = {};
  for (int64_t i = 0; i < arrays.size; i += 8 * lanes)
#pragma GCC unroll 8
    for (int64_t k = 0; k < 8; ++k)
      sums[k] += *reinterpret_cast<const V *>(arrays.a + i + k * lanes);
  for (int k = 1; k < 8; ++k)
    sums[0] += sums[k];
  return sums[0][0];
}

template <typename V> SQ_INLINE float triadAll(const Arrays &arrays) {
  constexpr int64_t lanes = sizeof(V) / 4;
  for (int64_t i = 0; i < arrays.size; i += lanes)
    *reinterpret_cast<V *>(arrays.a + i) = *reinterpret_cast<const V *>(arrays.b + i) +
                                           *reinterpret_cast<const V *>(arrays.c + i) * 3.0f;
  return arrays.a[0];
}

SQ_AVX2 float multiplyAdd256() { return multiplyAdd<Vector8>(); }
SQ_AVX512 float multiplyAdd512() { return multiplyAdd<Vector16>(); }
SQ_AVX2 float read256(const Arrays &arrays) { return readAll<Vector8>(arrays); }
SQ_AVX512 float read512(const Arrays &arrays) { return readAll<Vector16>(arrays); }
SQ_AVX2 float triad256(const Arrays &arrays) { return triadAll<Vector8>(arrays); }
SQ_AVX512 float triad512(const Arrays &arrays) { return triadAll<Vector16>(arrays); }

volatile float sink; // keeps the results alive

/// Seconds from the start of all threads to the end of the last one, of each of some trials, in order. `work` gets the
/// thread.
template <typename Work> std::vector<double> timesOf(int threads, int trials, Work work) {
  std::vector<double> times;
  std::atomic<int> ready{0}, running{threads};
  std::atomic<int> trial{0};
  auto loop = [&](int thread) {
    for (int t = 1; t <= trials; ++t) {
      ++ready;
      while (trial.load() < t)
        std::this_thread::yield();
      sink = work(thread);
      --running;
    }
  };
  std::vector<std::thread> helpers;
  for (int thread = 1; thread < threads; ++thread)
    helpers.emplace_back(loop, thread);
  for (int t = 1; t <= trials; ++t) {
    while (ready.load() < (threads - 1) * t)
      std::this_thread::yield();
    running = threads;
    auto start = std::chrono::steady_clock::now();
    trial = t;
    sink = work(0);
    --running;
    while (running.load())
      std::this_thread::yield();
    std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    times.push_back(time.count());
  }
  for (std::thread &helper : helpers)
    helper.join();
  return times;
}

/// The least, as what disturbs only adds.
template <typename Work> double bestTime(int threads, int trials, Work work) {
  std::vector<double> times = timesOf(threads, trials, work);
  return *std::min_element(times.begin(), times.end());
}

/// The median of the second half: a core that was idle begins at a clock that it does not keep under load, so the least
/// would be a rate that no long work can have.
template <typename Work> double sustainedTime(int threads, int trials, Work work) {
  std::vector<double> times = timesOf(threads, trials, work);
  times.erase(times.begin(), times.begin() + times.size() / 2);
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

} // namespace

double measureFlops(const std::string &level, int threads, int trials) {
  bool wide = level != "x86-64-v3";
  double time = sustainedTime(threads, trials, [&](int) { return wide ? multiplyAdd512() : multiplyAdd256(); });
  return 2.0 * kSums * (wide ? 16 : 8) * kRounds * threads / time;
}

Machine measureMachine(const std::string &level, int threads, Effort effort) {
  bool wide = level != "x86-64-v3";
  bool quick = effort == Effort::Quick;
  auto start = std::chrono::steady_clock::now();
  Machine machine;
  machine.threads = threads;
  machine.flops = measureFlops(level, threads, quick ? 160 : 600); // about 60 ms, or 15

  int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 8 << 20);
  // Elements; most of the quick way is the first touch of its memory.
  int64_t share = quick ? std::min<int64_t>(2 * cache, 128 << 20) : std::min<int64_t>(4 * cache, 512 << 20) / 4;
  share = share / (quick ? 4 : 1) / threads / 128 * 128;
  int used = quick ? 1 : 3;
  std::vector<Buffer> memory(3 * threads);
  std::vector<Arrays> arrays;
  for (int thread = 0; thread < threads; ++thread) {
    for (int i = 0; i < used; ++i)
      if (!memory[3 * thread + i].allocate(share * 4))
        return machine;
    // Fewer page faults, and fewer misses in the tables of pages, where the kernel has huge ones.
    for (int i = 0; i < used; ++i) {
      uintptr_t begin = (reinterpret_cast<uintptr_t>(memory[3 * thread + i].data()) + 4095) & ~uintptr_t{4095};
      uintptr_t end = reinterpret_cast<uintptr_t>(memory[3 * thread + i].data()) + share * 4;
      madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
    }
    auto at = [&](int i) { return reinterpret_cast<float *>(memory[3 * thread + i].data()); };
    arrays.push_back({at(0), at(1), at(2), share});
  }
  // Each thread touches its own share first.
  bestTime(threads, 1, [&](int thread) {
    const Arrays &own = arrays[thread];
    for (float *array : {own.a, own.b, own.c})
      if (array)
        std::fill(array, array + own.size, 1.0f);
    return 0.0f;
  });
  double bytes = 4.0 * share * threads;
  // On a busy machine the first touch alone may have taken longer than the quick way may.
  std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  double time = bestTime(threads, !quick ? 5 : spent.count() < 0.06 ? 3 : 1, [&](int t) { return wide ? read512(arrays[t]) : read256(arrays[t]); });
  machine.read = bytes / time;
  if (quick)
    return machine;
  time = bestTime(threads, 5, [&](int t) { return wide ? triad512(arrays[t]) : triad256(arrays[t]); });
  machine.triad = 3 * bytes / time;
  return machine;
}

} // namespace sq
