#include "test/cuda/emulator/Driver.h"

#include <algorithm>

namespace sq::fake_cuda {

CUstream_st *find(CUstream stream) {
  Driver &d = driver();
  // 1 and 2: CU_STREAM_LEGACY, CU_STREAM_PER_THREAD
  if (reinterpret_cast<uintptr_t>(stream) <= 2)
    return &d.nullStream;
  return d.streams.count(stream) ? stream : nullptr;
}

/// Errors of work come late, as from a device: the call that queued it has
/// succeeded.
static void execute(const Work &work) {
  Driver &d = driver();
  if (d.sticky == CUDA_SUCCESS)
    d.sticky = work();
}

CUresult submit(CUstream_st &stream, Work work) {
  if (stream.capture) {
    if (stream.capture->invalid)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream.capture->nodes.push_back(std::move(work));
  } else if (driver().lazy) {
    // The default stream and those that are not NON_BLOCKING wait for each
    // other.
    if (&stream != &driver().nullStream) {
      if (!(stream.flags & CU_STREAM_NON_BLOCKING))
        flush(driver().nullStream);
    } else {
      for (CUstream other : driver().streams)
        if (!(other->flags & CU_STREAM_NON_BLOCKING))
          flush(*other);
    }
    stream.pending.push_back(std::move(work));
  } else {
    execute(work);
  }
  return CUDA_SUCCESS;
}

void flush(CUstream_st &stream) {
  std::vector<Work> works;
  works.swap(stream.pending); // an event among it may flush again
  for (const Work &work : works)
    execute(work);
}

void flushAll() {
  flush(driver().nullStream);
  for (CUstream stream : driver().streams)
    flush(*stream);
}

CUresult refuseInCapture() {
  for (CUstream stream : driver().streams) {
    Capture *capture = stream->capture.get();
    if (!capture || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
      continue;
    if (capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
        capture->thread != std::this_thread::get_id())
      continue;
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return CUDA_SUCCESS;
}

} // namespace sq::fake_cuda

using namespace sq::fake_cuda;

namespace {

/// Waits for a stream; `stream` may be bad.
CUresult wait(CUstream_st *stream) {
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  flush(*stream);
  return driver().sticky;
}

/// Waits for an event.
CUresult wait(CUevent event) {
  if (!driver().events.count(event))
    return CUDA_ERROR_INVALID_HANDLE;
  if (event->capture)
    return CUDA_ERROR_CAPTURED_EVENT;
  if (event->recorded)
    if (CUstream_st *stream = find(event->stream))
      flush(*stream);
  return driver().sticky;
}

} // namespace

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (flags > CU_STREAM_NON_BLOCKING)
    return CUDA_ERROR_INVALID_VALUE;
  *stream = new CUstream_st;
  (*stream)->flags = flags;
  driver().streams.insert(*stream);
  return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().streams.count(stream))
    return CUDA_ERROR_INVALID_HANDLE;
  flush(*stream);
  driver().streams.erase(stream);
  delete stream;
  return driver().sticky;
}

CUresult cuStreamSynchronize(CUstream stream) {
  Entry entry;
  return entry ? wait(find(stream)) : entry.result;
}

CUresult cuStreamQuery(CUstream stream) { return cuStreamSynchronize(stream); }

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream || !driver().events.count(event))
    return CUDA_ERROR_INVALID_HANDLE;
  if (!event->capture)
    return stream->capture ? CUDA_SUCCESS : wait(event);
  // The stream joins the capture in which the event was recorded.
  if (stream->capture && stream->capture != event->capture)
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  stream->capture = event->capture;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream handle, int *status) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  *status = !stream->capture           ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().streams.count(stream))
    return stream ? CUDA_ERROR_INVALID_HANDLE
                  : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture || mode < 0 || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  Entry entry;
  if (!entry)
    return entry.result;
  Driver &d = driver();
  *graph = nullptr;
  if (!d.streams.count(stream))
    return CUDA_ERROR_INVALID_HANDLE;
  std::shared_ptr<Capture> capture = stream->capture;
  if (!capture)
    return CUDA_ERROR_INVALID_VALUE;
  if (capture->origin != stream)
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  for (CUstream other : d.streams)
    if (other->capture == capture)
      other->capture = nullptr;
  for (CUevent event : d.events)
    if (event->capture == capture) {
      event->capture = nullptr;
      event->recorded = false;
    }
  if (capture->invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  *graph = new CUgraph_st{std::move(capture->nodes)};
  d.graphs.insert(*graph);
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  *event = new CUevent_st;
  (*event)->flags = flags;
  driver().events.insert(*event);
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().events.erase(event))
    return CUDA_ERROR_INVALID_HANDLE;
  delete event;
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream || !driver().events.count(event))
    return CUDA_ERROR_INVALID_HANDLE;
  event->capture = stream->capture;
  if (event->capture)
    return CUDA_SUCCESS; // an edge of the graph, which runs in order anyway
  event->recorded = true;
  event->stream = handle;
  return submit(*stream, [event] {
    if (driver().events.count(event)) // may be destroyed before it happens
      event->time = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
  });
}

CUresult cuEventSynchronize(CUevent event) {
  Entry entry;
  return entry ? wait(event) : entry.result;
}

CUresult cuEventQuery(CUevent event) { return cuEventSynchronize(event); }

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (CUresult result = wait(start))
    return result;
  if (CUresult result = wait(end))
    return result;
  if (!start->recorded || !end->recorded ||
      ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING))
    return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds =
      std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start,
                               CUevent end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                     unsigned long long flags) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().graphs.count(graph))
    return CUDA_ERROR_INVALID_HANDLE;
  *exec = new CUgraphExec_st{graph->nodes};
  driver().graphExecs.insert(*exec);
  return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream handle) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *stream = find(handle);
  if (!stream || !driver().graphExecs.count(exec))
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; // child graphs: not emulated
  for (const Work &node : exec->nodes)
    submit(*stream, node);
  return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().graphExecs.erase(exec))
    return CUDA_ERROR_INVALID_HANDLE;
  delete exec;
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().graphs.erase(graph))
    return CUDA_ERROR_INVALID_HANDLE;
  delete graph;
  return CUDA_SUCCESS;
}
