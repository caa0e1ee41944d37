#include "test/cuda/emulator/Launch.h"
#include "test/cuda/emulator/Block.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace sq::emulator {
namespace {

uint64_t number(const char *variable, uint64_t otherwise) {
  const char *text = getenv(variable);
  return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

/// The blocks of one launch, for all host threads that work on it.
struct Work {
  LaunchState state;
  uint64_t blocks, stride;
  std::atomic<uint64_t> next{0};

  void run() {
    // Made once for each host thread; 2 MB, and stacks as needed.
    static thread_local std::unique_ptr<Block> block;
    if (!block)
      block = std::make_unique<Block>();
    currentBlock = block.get();
    block->startLaunch(state);
    while (state.fault.load(std::memory_order_relaxed) == Fault::None) {
      uint64_t i = next++;
      if (i >= blocks)
        break;
      block->run(i * stride % blocks);
    }
    currentBlock = nullptr;
  }
};

/// Host threads that wait for launches.
class Helpers {
public:
  void run(Work &work, int count) {
    std::unique_lock<std::mutex> lock(mutex);
    for (; started < count; ++started)
      std::thread([this] { wait(); }).detach();
    current = &work;
    wanted = running = count;
    wake.notify_all();
    lock.unlock();
    work.run();
    lock.lock();
    done.wait(lock, [&] { return running == 0; });
    current = nullptr;
  }

private:
  void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return wanted > 0; });
      --wanted;
      Work *work = current;
      lock.unlock();
      work->run();
      lock.lock();
      if (--running == 0)
        done.notify_all();
    }
  }

  std::mutex mutex;
  std::condition_variable wake, done;
  Work *current = nullptr;
  int started = 0, wanted = 0, running = 0;
};

/// Something without a factor in common with `blocks`.
uint64_t strideOf(uint64_t blocks, uint64_t seed) {
  if (!seed)
    return 1;
  auto gcd = [](uint64_t a, uint64_t b) {
    while (b)
      std::swap(a %= b, b);
    return a;
  };
  uint64_t stride = seed * 2654435761u % blocks + 1;
  while (gcd(stride, blocks) != 1)
    ++stride;
  return stride;
}

} // namespace

Fault run(const Launch &launch) {
  uint64_t blocks = uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  uint64_t seed = number("SQ_EMULATOR_SEED", 0);
  auto threads = static_cast<uint64_t>(
      number("SQ_EMULATOR_THREADS", std::thread::hardware_concurrency()));
  // These races are noted without locks, so the blocks run one by one.
  std::unique_ptr<GlobalRaces> races;
  const char *wanted = getenv("SQ_EMULATOR_RACES");
  if (wanted && std::string(wanted) == "global") {
    races = std::make_unique<GlobalRaces>();
    threads = 1;
  }
  Work work{{launch, seed, races.get()}, blocks, strideOf(blocks, seed)};
  // Never destroyed: its threads wait in it when the process ends.
  static auto *helpers = new Helpers;
  int count = static_cast<int>(std::min(threads, blocks)) - 1;
  if (count > 0)
    helpers->run(work, count);
  else
    work.run();
  return work.state.fault;
}

} // namespace sq::emulator
