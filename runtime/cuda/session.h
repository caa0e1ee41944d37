/* Sessions on a CUDA device, as the C API's functions see them. */
#ifndef SQ_RUNTIME_CUDA_SESSION_H
#define SQ_RUNTIME_CUDA_SESSION_H

#include "runtime/core/session.h"

namespace sq {
namespace cuda {

constexpr int maxGraphs = 1024;

sq_status createSession(sq_session *session, const sq_session_options &options);
/* Waits for what is queued. Nothing to do for a session on the CPU. */
void releaseSession(sq_session *session);
/* A run whose tensors are checked; outputs that the caller did not give are set. */
sq_status run(sq_session *session, const DLTensor *inputs, DLTensor *outputs);
sq_status synchronize(sq_session *session);
sq_status setStream(sq_session *session, void *stream);
void getStats(const sq_session *session, sq_session_stats *stats);

} // namespace cuda
} // namespace sq

#endif
