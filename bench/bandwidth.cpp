//===-- bandwidth.cpp - what reading memory takes, in order
//
//   sq-bench-bandwidth THREADS [MIB]
//
// For each line of stdin prints GB/s of reading MIB (default 1536, several
// times any cache's share) once, in huge pages, each thread its own part: the
// better of two ways, as cores differ in which is: by the hardware's
// prefetchers alone, and fetched 768 bytes ahead besides.
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {

constexpr size_t kHuge = size_t(2) << 20;

__attribute__((target("avx2"), noinline)) int64_t
readAll(const char *from, size_t size, size_t ahead) {
  typedef long long Vector __attribute__((vector_size(32)));
  Vector sums[4] = {};
  for (size_t i = 0; i < size; i += 128) {
    if (ahead) {
      __builtin_prefetch(from + i + ahead);
      __builtin_prefetch(from + i + ahead + 64);
    }
    for (int v = 0; v < 4; ++v)
      sums[v] += *reinterpret_cast<const Vector *>(from + i + 32 * v);
  }
  Vector all = sums[0] + sums[1] + sums[2] + sums[3];
  return all[0] + all[1] + all[2] + all[3];
}

volatile int64_t sink;

/// GB/s; threads begin together.
double measure(const char *memory, size_t size, int threads, size_t ahead) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> helpers;
  size_t part = size / threads;
  for (int t = 0; t < threads; ++t)
    helpers.emplace_back([&, t] {
      ++ready;
      while (!go)
        std::this_thread::yield();
      sink = readAll(memory + t * part, part, ahead);
    });
  while (ready < threads)
    std::this_thread::yield();
  auto begin = std::chrono::steady_clock::now();
  go = true;
  for (std::thread &helper : helpers)
    helper.join();
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(part) * threads / time.count() / 1e9;
}

} // namespace

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 0;
  size_t size = (argc > 2 ? strtoull(argv[2], nullptr, 10) : 1536) << 20;
  if (threads < 1 || size < kHuge) {
    fprintf(stderr, "usage: sq-bench-bandwidth THREADS [MIB]\n");
    return 1;
  }
  size = size / threads / kHuge * kHuge * threads;
  auto *mapped = static_cast<char *>(mmap(nullptr, size + 2 * kHuge,
                                          PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (mapped == MAP_FAILED) {
    fprintf(stderr, "sq-bench-bandwidth: out of memory for %zu MiB\n",
            size >> 20);
    return 1;
  }
  char *memory =
      mapped + (kHuge - reinterpret_cast<uintptr_t>(mapped) % kHuge) % kHuge;
  madvise(memory, size + kHuge, MADV_HUGEPAGE);
  memset(memory, 1, size + 1024); // what lies behind is fetched, not read
  char line[64];
  while (fgets(line, sizeof(line), stdin)) {
    printf("%.3f\n", std::max(measure(memory, size, threads, 0),
                              measure(memory, size, threads, 768)));
    fflush(stdout);
  }
  return 0;
}
