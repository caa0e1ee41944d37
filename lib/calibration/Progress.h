/// How far a tool is that runs a model over many samples.
#ifndef SQ_LIB_CALIBRATION_PROGRESS_H
#define SQ_LIB_CALIBRATION_PROGRESS_H

#include <functional>
#include <string>

#include "lib/run/Flags.h"

namespace sq {

struct Progress {
  std::string phase;            // "compile", "calibrate"
  int64_t done = 0, total = 0;  // samples, gradients
  double seconds = 0, left = 0; // since the start; until the end, as it looks
};
using ProgressFunction = std::function<void(const Progress &)>;

/// What --progress=auto|plain|json|none asks for: lines on stderr, a few a
/// second at most; null where nothing is to be shown.
Status progressFrom(const Flags &flags, ProgressFunction &progress);

} // namespace sq

#endif
