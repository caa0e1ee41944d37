/// Ranges cover [0, count) once, whatever the number of threads.
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/core/cores.h"
#include "runtime/core/thread_pool.h"

namespace {

struct Coverage {
  std::vector<std::atomic<int>> seen;
  std::atomic<int> ranges{0};
  std::atomic<unsigned> threads{0}; // bit set
  explicit Coverage(int64_t count) : seen(static_cast<size_t>(count)) {}
};

void cover(const void *captures, int64_t begin, int64_t end, int32_t thread) {
  auto &coverage = *static_cast<Coverage *>(const_cast<void *>(captures));
  ++coverage.ranges;
  coverage.threads |= 1u << thread;
  for (int64_t i = begin; i < end; ++i)
    ++coverage.seen[static_cast<size_t>(i)];
}

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    sq::ThreadPool *pool;
    ASSERT_EQ(sq::poolCreate(threads, &pool), SQ_STATUS_OK);
    EXPECT_EQ(sq::poolThreads(pool), threads);
    for (int64_t grain : {0, 1, 3, 10})
      for (int64_t count = 0; count < 60; ++count) {
        Coverage coverage(count);
        sq::poolRun(pool, cover, &coverage, count, grain);
        for (auto &seen : coverage.seen)
          ASSERT_EQ(seen, 1) << threads << " threads, " << count << " by " << grain;
        int64_t most = count / std::max<int64_t>(grain, 1);
        int64_t expected = count ? std::max<int64_t>(1, std::min<int64_t>(threads, most)) : 0;
        ASSERT_GE(coverage.ranges, expected);
        ASSERT_EQ(coverage.threads >> expected, 0u); // no more threads than shares
      }
    sq::poolDestroy(pool);
  }
}

/// A thread that is done takes from the share of one that is held up.
TEST(ThreadPool, HelpsTheSlow) {
  sq::ThreadPool *pool;
  ASSERT_EQ(sq::poolCreate(2, &pool), SQ_STATUS_OK);
  Coverage coverage(16);
  auto holdUp = [](const void *captures, int64_t begin, int64_t end, int32_t thread) {
    auto &coverage = *static_cast<Coverage *>(const_cast<void *>(captures));
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    auto othersDone = [&] {
      for (int64_t i = end; i < 16; ++i)
        if (!coverage.seen[static_cast<size_t>(i)])
          return false;
      return true;
    };
    while (begin == 0 && !othersDone() && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
    if (begin == 0 && !othersDone())
      ADD_FAILURE() << "nobody helped";
    cover(captures, begin, end, thread);
  };
  sq::poolRun(pool, holdUp, &coverage, 16, 1);
  for (auto &seen : coverage.seen)
    EXPECT_EQ(seen, 1);
  sq::poolDestroy(pool);
}

/// Workers that fell asleep wake again.
TEST(ThreadPool, WakesAfterSleep) {
  sq::ThreadPool *pool;
  ASSERT_EQ(sq::poolCreate(3, &pool), SQ_STATUS_OK);
  for (int i = 0; i < 20; ++i) {
    Coverage coverage(3);
    sq::poolRun(pool, cover, &coverage, 3, 1);
    ASSERT_EQ(coverage.ranges, 3);
    std::this_thread::sleep_for(std::chrono::microseconds(i * 100));
  }
  sq::poolDestroy(pool);
}

/// Workers of a wide job that wake during the next, narrow one stay out of it.
TEST(ThreadPool, LateWorkersStayOut) {
  sq::ThreadPool *pool;
  ASSERT_EQ(sq::poolCreate(8, &pool), SQ_STATUS_OK);
  for (int i = 0; i < 2000; ++i) {
    Coverage wide(8), narrow(64);
    sq::poolRun(pool, cover, &wide, 8, 1);
    sq::poolRun(pool, cover, &narrow, 64, 32);
    ASSERT_EQ(narrow.threads >> 2, 0u) << "job " << i;
    for (auto &seen : narrow.seen)
      ASSERT_EQ(seen, 1);
  }
  sq::poolDestroy(pool);
}

TEST(ThreadPool, ManyShortJobs) {
  sq::ThreadPool *pool;
  ASSERT_EQ(sq::poolCreate(4, &pool), SQ_STATUS_OK);
  Coverage coverage(4);
  for (int i = 0; i < 5000; ++i)
    sq::poolRun(pool, cover, &coverage, 4, 1);
  EXPECT_EQ(coverage.ranges, 20000);
  sq::poolDestroy(pool);
}

TEST(Cores, AtLeastOne) {
  EXPECT_GE(sq::allowedCores(), 1);
  EXPECT_LE(sq::allowedCores(), static_cast<int>(std::thread::hardware_concurrency()));
}

} // namespace
