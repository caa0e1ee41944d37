/* Times of the kernels of a run, measured by the device. */
#include "runtime/core/error.h"
#include "runtime/cuda/state.h"

namespace sq {
namespace cuda {
namespace {

bool noteFailure(sq_session *session, Result result) {
  callFailed(session, result, "measuring times");
  note(session, SQ_STATUS_INTERNAL, "%s", sq_last_error());
  return false;
}

/* Room for one more launch; keeps what there is when it fails. */
Result reserveLaunch(Profile &p) {
  if (p.count < p.capacity)
    return success;
  int32_t capacity = p.capacity ? 2 * p.capacity : 256;
  size_t size = static_cast<size_t>(capacity);
  auto *events = static_cast<Event *>(realloc(p.events, 2 * size * sizeof(Event)));
  if (!events)
    return errorOutOfMemory;
  p.events = events;
  auto *kernels = static_cast<int32_t *>(realloc(p.kernels, size * sizeof(int32_t)));
  if (!kernels)
    return errorOutOfMemory;
  p.kernels = kernels;
  for (; p.capacity < capacity; ++p.capacity) {
    if (Result result = driver.eventCreate(&events[2 * p.capacity], eventDefault))
      return result;
    if (Result result = driver.eventCreate(&events[2 * p.capacity + 1], eventDefault)) {
      driver.eventDestroy(events[2 * p.capacity]);
      return result;
    }
  }
  return success;
}

} // namespace

sq_status beginProfile(sq_session *session) {
  Session &s = *session->cuda;
  Profile &p = s.profile;
  p.count = 0;
  Result result = success;
  if (!p.base)
    result = driver.eventCreate(&p.base, eventDefault);
  /* On an idle stream the event happens between the two readings of the clock. */
  if (!result)
    result = driver.streamSynchronize(s.stream);
  int64_t before = now();
  if (!result)
    result = driver.eventRecord(p.base, s.stream);
  if (!result)
    result = driver.eventSynchronize(p.base);
  p.baseTime = before + (now() - before) / 2;
  return result ? callFailed(session, result, "measuring times") : SQ_STATUS_OK;
}

bool beginLaunch(sq_session *session, int32_t kernel) {
  Session &s = *session->cuda;
  Profile &p = s.profile;
  Result result = reserveLaunch(p);
  if (!result)
    result = driver.eventRecord(p.events[2 * p.count], s.stream);
  if (result)
    return noteFailure(session, result);
  p.kernels[p.count] = kernel;
  return true;
}

bool endLaunch(sq_session *session) {
  Session &s = *session->cuda;
  Profile &p = s.profile;
  if (Result result = driver.eventRecord(p.events[2 * p.count + 1], s.stream))
    return noteFailure(session, result);
  ++p.count;
  return true;
}

sq_status collectProfile(sq_session *session) {
  Profile &p = session->cuda->profile;
  for (int32_t i = 0; i < p.count; ++i) {
    Event begin = p.events[2 * i], end = p.events[2 * i + 1];
    float start = 0, took = 0; /* milliseconds */
    Result result = driver.eventElapsed(&start, p.base, begin);
    if (!result)
      result = driver.eventElapsed(&took, begin, end);
    if (result)
      return callFailed(session, result, "measuring times");
    int32_t kernel = p.kernels[i];
    session->times[kernel].seconds += 1e-3 * static_cast<double>(took);
    ++session->times[kernel].calls;
    if (!session->trace)
      continue;
    int64_t from = p.baseTime + static_cast<int64_t>(1e6 * static_cast<double>(start));
    int64_t to = from + static_cast<int64_t>(1e6 * static_cast<double>(took));
    session->trace(session->traceUser, kernel, 0, from, to);
    session->trace(session->traceUser, kernel, -1, from, to);
  }
  return SQ_STATUS_OK;
}

void releaseProfile(sq_session *session) {
  Profile &p = session->cuda->profile;
  for (int32_t i = 0; i < 2 * p.capacity; ++i)
    driver.eventDestroy(p.events[i]);
  if (p.base)
    driver.eventDestroy(p.base);
  free(p.events);
  free(p.kernels);
}

} // namespace cuda
} // namespace sq
