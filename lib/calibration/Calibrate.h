/// sq-calibrate: a float model over samples, in process, and what its activations are like.
#ifndef SQ_LIB_CALIBRATION_CALIBRATE_H
#define SQ_LIB_CALIBRATION_CALIBRATE_H

#include <functional>
#include <optional>

#include "lib/calibration/Progress.h"
#include "lib/calibration/StatsFile.h"

namespace sq::calibration {

struct CalibrateOptions {
  std::string model;
  std::vector<std::string> data; // see openSamples; empty: made-up samples
  std::string output;
  int64_t samples = 0;           // 0: all, of made-up ones 128
  int64_t batch = 1;             // samples a run, where they can be joined
  int threads = 0;               // 0: all that affinity and cgroup allow
  uint64_t seed = 1;             // of the order of the runs and of made-up samples; 0: as samples lie
  std::vector<int64_t> special;  // of made-up samples: see makeSamples
  /// Rows of a sample whose products weights of linear layers are rounded by; 0: none. Made-up samples have
  /// none by default: how their channels hang together is not how those of real ones do.
  std::optional<int64_t> momentRows;
  /// The rows of every so-manieth run go to second moments of their own, by which weights are not rounded but
  /// ways to round them compared; 0: of none. 1 would leave none for the others.
  int64_t holdBack = 0;
  uint64_t maxMemory = uint64_t(3) << 30; // bytes of second moments; more are added up in files beside the output
  bool resume = false;           // go on where options.output stops
  double saveEvery = 10;         // seconds, at least, after which what there is is written; a twentieth of the
                                 // time at most goes into that. 0: after every run
  std::string shape;             // as sq-compile --shape
  ProgressFunction progress;
  std::function<void(const std::string &)> note; // samples left out and the like
};

/// Writes options.output, whole. The same model, data, batch and seed give the same bytes, whatever
/// the number of threads, interrupted and resumed or not. A run of several samples that shows a value
/// that is not finite is repeated sample by sample; those that show one are left out.
///
/// Refused: what the compiler refuses, data that do not fit, and when every sample is left out.
Status calibrate(const CalibrateOptions &options, Stats &stats);

} // namespace sq::calibration

#endif
