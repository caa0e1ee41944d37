/// What happened when in a run, as a file for chrome://tracing and Perfetto.
#ifndef SQ_LIB_RUN_TRACE_H
#define SQ_LIB_RUN_TRACE_H

#include "lib/run/Kernels.h"

namespace sq {

/// Records the launches of a session's runs and each thread's share of them.
class Trace {
public:
  /// From now on; the trace must outlive the session's runs.
  Status start(Session &session, int threads);
  Status stop(Session &session);

  /// Writes the Trace Event Format (JSON, complete events "X"): row "launches"
  /// has a slice per launch with the kernel's nodes, flops, bytes and rate in
  /// `args`; with several threads a row per thread has its shares. Times begin
  /// with the first launch. `title` names the process.
  Status write(const std::string &path, const std::string &title,
               const std::vector<Kernel> &kernels) const;

private:
  struct Event {
    int32_t kernel;
    int64_t begin, end;
  };
  static void record(void *self, int32_t kernel, int32_t thread, int64_t begin, int64_t end);

  std::vector<std::vector<Event>> rows; // the launches, then the threads
};

} // namespace sq

#endif
