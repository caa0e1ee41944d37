/* The threads of one session. */
#ifndef SQ_RUNTIME_CORE_THREAD_POOL_H
#define SQ_RUNTIME_CORE_THREAD_POOL_H

#include "sq/kernel_abi.h"
#include "sq/runtime.h"

namespace sq {

class ThreadPool;

/* A pool of `threads` threads, the caller of poolRun counted. Workers look for
 * work a few tens of microseconds after a job, then sleep on a futex. */
sq_status poolCreate(int threads, ThreadPool **pool);
void poolDestroy(ThreadPool *pool); /* NULL is fine; no job may be running */
int poolThreads(const ThreadPool *pool);

/* Runs fn over [0, count) in at most min(threads, count / grain) contiguous
 * ranges of nearly equal size (at least one), the first on the calling thread;
 * returns when all are done. No allocation. One caller at a time. */
void poolRun(ThreadPool *pool, sq_kernel_fn fn, const void *captures, int64_t count, int64_t grain);

} // namespace sq

#endif
