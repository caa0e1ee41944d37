/* CUDA graphs of a session: launches of a run, recorded and replayed. Copies
 * from and to the caller's memory and the fault word are not in them, so that
 * addresses on the CPU do not matter. */
#include <string.h>

#include "runtime/core/error.h"
#include "runtime/cuda/state.h"

namespace sq {
namespace cuda {
namespace {

void empty(GraphSlot &slot) {
  if (slot.exec)
    driver.graphExecDestroy(slot.exec); /* one in flight is kept until it is done */
  slot.exec = nullptr;
  slot.state = GraphSlot::Empty;
  slot.lastUse = 0;
}

/* Graphs hold addresses: all are void when a buffer has moved. */
void dropStale(Session &s) {
  if (s.graphs.epoch == s.epoch)
    return;
  for (int32_t i = 0; i < s.graphs.count; ++i)
    empty(s.graphs.slots[i]);
  s.graphs.epoch = s.epoch;
}

/* Everything that the launches depend on: shapes, and addresses that are not
 * the session's. */
void makeKey(sq_session *session) {
  const sq_module *module = session->module;
  int64_t *key = session->cuda->graphs.key;
  for (int32_t i = 0; i < module->numInputs; ++i) {
    *key++ = static_cast<int64_t>(reinterpret_cast<intptr_t>(session->inputs[i].data));
    for (int32_t d = 0; d < module->inputs[i].rank; ++d)
      *key++ = session->inputs[i].shape[d];
  }
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    const DLTensor *given = session->outputs[i].given;
    *key++ = !given ? 0
             : isOnHost(*given)
                 ? 1
                 : static_cast<int64_t>(reinterpret_cast<intptr_t>(given->data) + given->byte_offset);
    for (int32_t d = 0; d < module->outputs[i].rank; ++d)
      *key++ = given ? given->shape[d] : 0;
  }
}

GraphSlot *find(sq_session *session) {
  Graphs &g = session->cuda->graphs;
  dropStale(*session->cuda);
  makeKey(session);
  for (int32_t i = 0; i < g.count; ++i) {
    GraphSlot &slot = g.slots[i];
    if (slot.state == GraphSlot::Empty || memcmp(slot.key, g.key, g.keyLength * sizeof(int64_t)))
      continue;
    slot.lastUse = ++g.clock;
    return &slot;
  }
  return nullptr;
}

/* After a plain run of what was not found. */
void remember(sq_session *session) {
  Graphs &g = session->cuda->graphs;
  dropStale(*session->cuda);
  GraphSlot *oldest = &g.slots[0];
  for (int32_t i = 1; i < g.count; ++i)
    if (g.slots[i].lastUse < oldest->lastUse)
      oldest = &g.slots[i];
  empty(*oldest);
  memcpy(oldest->key, g.key, g.keyLength * sizeof(int64_t));
  oldest->lastUse = ++g.clock;
  oldest->state = session->cuda->readsBack ? GraphSlot::Refused : GraphSlot::Seen;
}

sq_status replay(sq_session *session, const GraphSlot &slot) {
  Session &s = *session->cuda;
  memcpy(session->shapes, slot.shapes, s.graphs.numShapes * sizeof(int64_t));
  for (int32_t i = 0; i < session->module->numOutputs; ++i) {
    session->outputs[i].bytes = slot.bytes[i];
    session->outputs[i].data = slot.data[i];
  }
  if (Result result = driver.graphLaunch(slot.exec, s.stream))
    return callFailed(session, result, "launching a CUDA graph");
  return SQ_STATUS_OK;
}

/* Calls the schedule while its launches are recorded. A false return is no
 * failure: the run is then launched plainly, which reports what is wrong. */
bool capture(sq_session *session, GraphSlot &slot) {
  Session &s = *session->cuda;
  slot.state = GraphSlot::Refused;
  /* Relaxed: other threads may allocate meanwhile. */
  if (driver.captureBegin(s.graphs.stream, captureRelaxed))
    return false;
  s.capturing = true;
  s.readsBack = false;
  s.launchStream = s.graphs.stream;
  int64_t epoch = s.epoch;
  sq_status status = callEntry(session);
  s.launchStream = s.stream;
  s.capturing = false;
  Graph graph = nullptr;
  Result result = driver.captureEnd(s.graphs.stream, &graph);
  bool good = !result && !status && !s.readsBack && epoch == s.epoch && graph;
  if (good)
    good = !driver.graphInstantiate(&slot.exec, graph, 0);
  if (graph)
    driver.graphDestroy(graph);
  if (!good) {
    slot.exec = nullptr;
    clearError();
    for (int32_t i = 0; i < session->module->numOutputs; ++i)
      session->outputs[i].data = nullptr;
    return false;
  }
  slot.state = GraphSlot::Captured;
  memcpy(slot.shapes, session->shapes, s.graphs.numShapes * sizeof(int64_t));
  for (int32_t i = 0; i < session->module->numOutputs; ++i) {
    slot.bytes[i] = session->outputs[i].bytes;
    slot.data[i] = session->outputs[i].data;
  }
  return true;
}

} // namespace

sq_status queueSchedule(sq_session *session) {
  Session &s = *session->cuda;
  bool useGraphs = s.graphs.count && !s.profile.on && !s.synchronous;
  GraphSlot *slot = useGraphs ? find(session) : nullptr;
  if (slot && (slot->state == GraphSlot::Captured ||
               (slot->state == GraphSlot::Seen && capture(session, *slot))))
    return replay(session, *slot);
  s.readsBack = false;
  sq_status status = callEntry(session);
  if (!status && useGraphs && !slot)
    remember(session);
  return status;
}

sq_status createGraphs(sq_session *session, int32_t count) {
  Graphs &g = session->cuda->graphs;
  const sq_module *module = session->module;
  if (!count)
    return SQ_STATUS_OK;
  size_t numOutputs = static_cast<size_t>(module->numOutputs);
  for (size_t i = 0; i < numOutputs; ++i)
    g.numShapes += static_cast<size_t>(module->outputs[i].rank);
  g.keyLength = static_cast<size_t>(module->numInputs) + numOutputs + g.numShapes;
  for (int32_t i = 0; i < module->numInputs; ++i)
    g.keyLength += static_cast<size_t>(module->inputs[i].rank);
  size_t perSlot = g.keyLength + g.numShapes + 2 * numOutputs;
  g.slots = allocate<GraphSlot>(static_cast<size_t>(count));
  g.memory = allocate<int64_t>(g.keyLength + perSlot * static_cast<size_t>(count));
  if (!g.slots || !g.memory)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for %d CUDA graphs", count);
  g.key = g.memory;
  int64_t *next = g.memory + g.keyLength;
  for (int32_t i = 0; i < count; ++i, next += perSlot) {
    GraphSlot &slot = g.slots[i];
    slot.key = next;
    slot.shapes = next + g.keyLength;
    slot.bytes = slot.shapes + g.numShapes;
    slot.data = reinterpret_cast<uint8_t **>(slot.bytes + numOutputs);
  }
  g.count = count;
  if (Result result = driver.streamCreate(&g.stream, streamNonBlocking))
    return callFailed(session, result, "making a stream");
  return SQ_STATUS_OK;
}

void releaseGraphs(sq_session *session) {
  Graphs &g = session->cuda->graphs;
  for (int32_t i = 0; i < g.count; ++i)
    empty(g.slots[i]);
  if (g.stream)
    driver.streamDestroy(g.stream);
  free(g.slots);
  free(g.memory);
}

} // namespace cuda
} // namespace sq
