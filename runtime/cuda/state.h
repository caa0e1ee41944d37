/* What a session on a device holds; for the files of this folder. */
#ifndef SQ_RUNTIME_CUDA_STATE_H
#define SQ_RUNTIME_CUDA_STATE_H

#include "runtime/core/session.h"
#include "runtime/cuda/module.h"

namespace sq {
namespace cuda {

/* Device memory that only grows. */
struct Buffer {
  Address data;
  size_t capacity;
};

/* Pinned host memory that only grows: the device writes there at full speed. */
struct PinnedBuffer {
  uint8_t *data;
  size_t capacity;
};

/* What is known of one combination of shapes and addresses. */
struct GraphSlot {
  enum State { Empty, Seen, Captured, Refused } state;
  uint64_t lastUse;
  int64_t *key;
  GraphExec exec;
  /* Of the outputs, as the schedule left them. */
  int64_t *shapes;
  int64_t *bytes;
  uint8_t **data;
};

/* The bounded cache of graphs. A combination is launched plainly the first
 * time, which allocates memory and lets the driver load kernels, and recorded
 * the second time. */
struct Graphs {
  int32_t count; /* slots; 0: off */
  size_t keyLength, numShapes;
  int64_t *key;      /* of the current run */
  int64_t *memory;   /* behind all keys and shapes */
  uint64_t clock;    /* of lastUse */
  int64_t epoch;     /* Session::epoch of what is in the slots */
  Stream stream;     /* records; the caller's could be the legacy one, which cannot */
  GraphSlot *slots;
};

/* Launches of a profiled run, each between two events. */
struct Profile {
  bool on;
  Event base;
  int64_t baseTime; /* of CLOCK_MONOTONIC */
  Event *events;
  int32_t *kernels; /* of each launch; its events are 2 i and 2 i + 1 */
  int32_t count, capacity;
};

constexpr int32_t faultSlots = 256;

struct Session {
  Module *module;
  Stream own, stream; /* `stream`: of the runs */
  Stream launchStream; /* `stream`, or the recording one */
  Event done;          /* after the last run queued */
  Buffer *arenas;
  int32_t numArenas;
  Buffer fault;
  Buffer *inputs;      /* of inputs on the CPU, and of misaligned ones */
  Buffer *outputs;     /* of outputs that are not written in place */
  PinnedBuffer *results;
  /* Pinned: the fault word of each run that no call has waited for yet. */
  uint32_t *faults;
  int32_t numFaults;
  int64_t epoch;       /* counts changes of addresses */
  bool outputsOnDevice;
  bool synchronous;    /* SQ_CUDA_SYNC */
  bool capturing;
  bool readsBack;      /* the run called `read` */
  Graphs graphs;
  Profile profile;
};

/* Kernels may load 16 bytes at once. */
inline bool isAligned(const DLTensor &tensor) {
  return (reinterpret_cast<uintptr_t>(tensor.data) + tensor.byte_offset) % 16 == 0;
}

inline Address addressOf(const DLTensor &tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data) + tensor.byte_offset;
}

inline Address addressOf(const void *memory) { return reinterpret_cast<uintptr_t>(memory); }

inline uint8_t *pointer(Address address) {
  return reinterpret_cast<uint8_t *>(static_cast<uintptr_t>(address));
}

/* Whether the schedule's code writes where the caller wants the output. */
inline bool isInPlace(const Output &output) {
  return output.given && !isOnHost(*output.given) && isAligned(*output.given);
}

/* callbacks.cpp */
void setCallbacks(sq_kernel_context *context);
/* Makes `buffer` at least so large, not keeping what it holds; `what`: as in
 * allocateMemory. May wait for earlier runs. */
sq_status reserve(sq_session *session, Buffer &buffer, size_t bytes, const char *what);
/* An error after which the context is lost. */
bool isKernelFault(Result result);
/* A call of the driver failed while `what`. A kernel's fault shows in whatever
 * call comes next and is told as such. */
sq_status callFailed(const sq_session *session, Result result, const char *what);

/* graphs.cpp */
sq_status createGraphs(sq_session *session, int32_t count);
void releaseGraphs(sq_session *session);
/* Queues the schedule's launches: from a graph, or by calling the schedule. */
sq_status queueSchedule(sq_session *session);

/* profile.cpp */
sq_status beginProfile(sq_session *session);
/* Around a launch; failures have been noted. */
bool beginLaunch(sq_session *session, int32_t kernel);
bool endLaunch(sq_session *session);
/* After the run: adds to the times and calls the tracer. */
sq_status collectProfile(sq_session *session);
void releaseProfile(sq_session *session);

} // namespace cuda
} // namespace sq

#endif
