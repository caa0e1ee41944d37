/// The user's question to a candidate: a command that ends with 0 when the
/// candidate is still interesting.
#ifndef SQ_LIB_REDUCE_CHECK_H
#define SQ_LIB_REDUCE_CHECK_H

#include "lib/tensorio/Tensor.h"

namespace sq::reduce {

struct Outcome {
  int code = 0;          // of the command; 128 + n after signal n
  bool timedOut = false; // and was ended
  bool isInteresting() const { return !timedOut && code == 0; }
};

/// Runs `command` with sh, every {} replaced by `file` (appended where there is
/// none), its own input and, unless `verbose`, its output at /dev/null. After
/// `timeout` seconds its process group is ended. Lacking when no process can be made.
Status runCheck(const std::string &command, const std::string &file, double timeout, bool verbose, Outcome &outcome);

} // namespace sq::reduce

#endif
