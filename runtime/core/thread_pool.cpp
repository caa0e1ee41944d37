#include "runtime/core/thread_pool.h"

#include <atomic>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/core/cores.h"
#include "runtime/core/error.h"

namespace sq {
namespace {

/* Longer than the gap between two kernels of a run, shorter than what a core
 * should be kept busy for nothing. */
constexpr int64_t spinNanoseconds = 50000;
/* So long without `pause`, by which some virtual machines notice a waiting core
 * and give it to others. */
constexpr int64_t eagerNanoseconds = 20000;

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

void futexWait(std::atomic<uint32_t> *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futexWake(std::atomic<uint32_t> *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/* A 32-bit word that one thread waits on and others change. */
struct alignas(64) Signal {
  std::atomic<uint32_t> word{0};
  std::atomic<uint32_t> sleeping{0};

  /* Returns when done(word) holds. */
  template <typename Done> void wait(bool spin, Done done) {
    if (done(word.load(std::memory_order_acquire)))
      return;
    if (spin) {
      int64_t begin = now(), waited = 0;
      do {
        for (int i = 0; i < 32; ++i) {
          if (waited > eagerNanoseconds)
            __builtin_ia32_pause();
          if (done(word.load(std::memory_order_acquire)))
            return;
        }
        waited = now() - begin;
      } while (waited < spinNanoseconds);
    }
    /* `sleeping` and `word` are both sequentially consistent: either the
     * changer sees the sleeper and wakes it, or the sleeper sees the change. */
    sleeping.store(1);
    for (uint32_t value; !done(value = word.load());)
      futexWait(&word, value);
    sleeping.store(0);
  }
  void wakeIfSleeping() {
    if (sleeping.load())
      futexWake(&word);
  }
};

struct alignas(64) Worker {
  Signal start; /* counts the jobs it was called for */
  ThreadPool *pool;
  pthread_t thread;
  int32_t index; /* thread number in kernels: 1 and up */
  bool quit;
};

/* What a thread is to do of a job: [next, end) of its range is not begun. */
struct alignas(64) Share {
  std::atomic<int64_t> next;
  int64_t end;
};

/* Of ThreadPool::job: workers may still begin. The caller ends that when nothing
 * is left to begin: one that comes late, from sleep or because something else
 * ran on its core, is not waited for. */
constexpr uint32_t jobIsOpen = 1u << 31;

} // namespace

class ThreadPool {
public:
  int threads;   /* workers + 1 */
  int started;   /* workers whose thread exists */
  bool spin;     /* off when there are more threads than cores: spinning would keep others from work */
  Signal job;    /* jobIsOpen, and how many workers are at it */
  Worker *workers;
  Share *shares; /* one per thread */

  /* The current job. */
  sq_kernel_fn fn;
  const void *captures;
  int64_t parts, grain;
};

namespace {

/* Thread `index` works through its own share, most of what is left at a time (a
 * kernel begins anew with each), then helps those that are slower: cores of one
 * machine differ, by their kind or by what else runs on them. Who does what
 * changes no result. */
void work(ThreadPool &pool, int32_t index) {
  for (int64_t i = 0; i < pool.parts; ++i) {
    Share &share = pool.shares[(index + i) % pool.parts];
    int64_t begin = share.next.load(std::memory_order_relaxed);
    while (begin < share.end) {
      int64_t left = share.end - begin, most = left - left / 4;
      int64_t size = most > pool.grain ? most : pool.grain < left ? pool.grain : left;
      if (share.next.compare_exchange_weak(begin, begin + size, std::memory_order_relaxed)) {
        pool.fn(pool.captures, begin, begin + size, index);
        begin = share.next.load(std::memory_order_relaxed);
      }
    }
  }
}

void *workerMain(void *argument) {
  Worker &worker = *static_cast<Worker *>(argument);
  ThreadPool &pool = *worker.pool;
  for (uint32_t seen = 0;;) {
    worker.start.wait(pool.spin, [&](uint32_t word) { return word != seen; });
    seen = worker.start.word.load();
    if (worker.quit)
      return nullptr;
    /* What there is to know of a job stays as it is while this counts. */
    uint32_t job = pool.job.word.load();
    while (job & jobIsOpen)
      if (pool.job.word.compare_exchange_weak(job, job + 1)) {
        if (worker.index < pool.parts) /* late for an earlier job, it may come to one that is not its own */
          work(pool, worker.index);
        if (pool.job.word.fetch_sub(1) == 1)
          pool.job.wakeIfSleeping();
        break;
      }
  }
}

void post(Worker &worker) {
  worker.start.word.fetch_add(1);
  worker.start.wakeIfSleeping();
}

} // namespace

sq_status poolCreate(int threads, ThreadPool **result) {
  void *memory = nullptr;
  size_t workersSize = sizeof(Worker) * static_cast<size_t>(threads - 1);
  size_t size = sizeof(ThreadPool) + workersSize + sizeof(Share) * static_cast<size_t>(threads);
  if (posix_memalign(&memory, 64, size))
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for %d threads", threads);
  memset(memory, 0, size); /* all of it is valid as zero */
  auto *pool = static_cast<ThreadPool *>(memory);
  static_assert(sizeof(ThreadPool) % alignof(Worker) == 0, "workers follow the pool");
  pool->workers = reinterpret_cast<Worker *>(pool + 1);
  pool->shares = reinterpret_cast<Share *>(pool->workers + (threads - 1));
  pool->threads = threads;
  pool->spin = threads <= allowedCores();

  /* Signals belong to the program's own threads; workers inherit this mask. */
  sigset_t all, previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  int error = 0;
  for (int i = 1; i < threads && !error; ++i) {
    Worker &worker = pool->workers[i - 1];
    worker.pool = pool;
    worker.index = i;
    error = pthread_create(&worker.thread, nullptr, workerMain, &worker);
    pool->started += !error;
  }
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  if (error) {
    int started = pool->started;
    poolDestroy(pool);
    return fail(SQ_STATUS_OUT_OF_MEMORY, "cannot start thread %d of %d: %s; ask for fewer",
                started + 2, threads, strerror(error));
  }
  *result = pool;
  return SQ_STATUS_OK;
}

void poolDestroy(ThreadPool *pool) {
  if (!pool)
    return;
  for (int i = 0; i < pool->started; ++i) {
    pool->workers[i].quit = true;
    post(pool->workers[i]);
  }
  for (int i = 0; i < pool->started; ++i)
    pthread_join(pool->workers[i].thread, nullptr);
  free(pool);
}

int poolThreads(const ThreadPool *pool) { return pool->threads; }

void poolRun(ThreadPool *pool, sq_kernel_fn fn, const void *captures, int64_t count, int64_t grain) {
  if (count <= 0)
    return;
  int64_t parts = grain > 1 ? count / grain : count;
  parts = parts < pool->threads ? parts : pool->threads;
  if (parts <= 1) {
    fn(captures, 0, count, 0);
    return;
  }
  int64_t size = count / parts, longer = count % parts; /* the first `longer` ranges have one more */
  auto begin = [&](int64_t part) { return part * size + (part < longer ? part : longer); };
  for (int64_t i = 0; i < parts; ++i) {
    pool->shares[i].next.store(begin(i), std::memory_order_relaxed);
    pool->shares[i].end = begin(i + 1);
  }
  pool->fn = fn;
  pool->captures = captures;
  pool->parts = parts;
  pool->grain = grain > 1 ? grain : 1;
  pool->job.word.store(jobIsOpen);
  for (int64_t i = 1; i < parts; ++i)
    post(pool->workers[i - 1]);
  work(*pool, 0);
  if (pool->job.word.fetch_and(~jobIsOpen) != jobIsOpen)
    pool->job.wait(pool->spin, [](uint32_t word) { return word == 0; });
}

} // namespace sq
