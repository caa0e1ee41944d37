/// What the parts of the fake driver share.
#ifndef SQ_TEST_CUDA_EMULATOR_DRIVER_H
#define SQ_TEST_CUDA_EMULATOR_DRIVER_H

#include "test/cuda/emulator/FakeCuda.h"
#include "test/cuda/emulator/emulator.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

struct CUctx_st {
  CUdevice device;
  int retained;
  uint64_t used; ///< bytes of device memory
};

struct CUmod_st {
  void *library;
  int file;
  std::vector<const void *> constants; ///< in deviceMemory()
  std::map<std::string, std::unique_ptr<struct CUfunc_st>> functions;
};

struct CUfunc_st {
  const sq_emulated_kernel *kernel;
  int maxDynamicShared;
};

/// One thing on a stream or in a graph. Checks again what may have changed
/// since it was queued.
using Work = std::function<CUresult()>;

struct Capture {
  CUstream origin;
  int mode;
  std::thread::id thread;
  bool invalid = false;
  std::vector<Work> nodes;
};

struct CUstream_st {
  unsigned flags = 0;
  std::shared_ptr<Capture> capture;
  std::vector<Work> pending; ///< with SQ_FAKE_CUDA_LAZY only
};

struct CUevent_st {
  unsigned flags;
  bool recorded = false;
  CUstream stream = nullptr; ///< where it was recorded
  std::shared_ptr<Capture> capture;
  std::chrono::steady_clock::time_point time;
};

struct CUgraph_st {
  std::vector<Work> nodes;
};

struct CUgraphExec_st {
  std::vector<Work> nodes;
};

namespace sq::fake_cuda {

struct Allocation {
  CUcontext context;
  size_t bytes;
  void *mapping;
  size_t mapped;
};

struct HostRange {
  size_t bytes;
  bool registered; ///< not allocated by the driver
};

struct Driver {
  /// For everything: launches too run under it, so that nobody frees what a
  /// kernel works on. Not for the speed of many threads.
  std::mutex mutex;

  // Knobs, read by cuInit.
  bool initialized = false;
  int devices = 1, capability = 80, version = 13000;
  uint64_t memory = uint64_t{4} << 30;
  bool leaks = false, lazy = false;

  /// Set by the first failed launch; every later call returns it.
  CUresult sticky = CUDA_SUCCESS;
  std::vector<CUctx_st> contexts;
  CUstream_st nullStream;
  std::set<CUmodule> modules;
  std::set<CUfunction> functions;
  std::set<CUstream> streams;
  std::set<CUevent> events;
  std::set<CUgraph> graphs;
  std::set<CUgraphExec> graphExecs;
  std::map<CUdeviceptr, Allocation> allocations;
  std::map<uintptr_t, HostRange> hostRanges;

  int maxDynamicShared() const {
    return (capability >= 90 ? 227 : capability >= 80 ? 163 : 96) << 10;
  }
};

Driver &driver();

/// What all calls that need a context begin with: the lock, and the reasons
/// that a call has no chance.
class Entry {
public:
  Entry();
  CUresult result;
  CUcontext context = nullptr;
  explicit operator bool() const { return result == CUDA_SUCCESS; }

private:
  std::lock_guard<std::mutex> lock;
};

/// Prints why a call is refused, and returns `result`.
CUresult refuse(CUresult result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// The stream of a handle, or null for a bad one.
CUstream_st *find(CUstream stream);
/// Runs `work` now, or queues or records it.
CUresult submit(CUstream_st &stream, Work work);
/// Does what streams still have to do. Errors of it are sticky.
void flush(CUstream_st &stream);
void flushAll();
/// Of a call that may not happen while a stream captures: notes that and
/// returns the error.
CUresult refuseInCapture();

void closeModule(CUmodule module);
/// Unmaps device memory; the entry of `allocations` is the caller's to erase.
void release(CUdeviceptr pointer, const Allocation &allocation);

} // namespace sq::fake_cuda
#endif
