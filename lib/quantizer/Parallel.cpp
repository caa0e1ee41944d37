#include "lib/quantizer/Parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

void sq::quantizer::parallelFor(
    int64_t count, int64_t grain, int threads,
    const std::function<void(int64_t, int64_t)> &body) {
  std::atomic<int64_t> next{0};
  auto work = [&] {
    for (int64_t from; (from = next.fetch_add(grain)) < count;)
      body(from, std::min(count, from + grain));
  };
  int64_t parts = (count + grain - 1) / grain;
  int64_t wanted = threads > 0 ? threads : std::thread::hardware_concurrency();
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min(wanted, parts); ++i)
    others.emplace_back(work);
  work();
  for (std::thread &t : others)
    t.join();
}
