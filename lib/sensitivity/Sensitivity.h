/// sq-sensitivity: how much a loss depends on each weight of a model.
#ifndef SQ_LIB_SENSITIVITY_SENSITIVITY_H
#define SQ_LIB_SENSITIVITY_SENSITIVITY_H

#include <functional>

#include "lib/calibration/Progress.h"
#include "lib/sensitivity/SensitivityFile.h"

namespace sq::sensitivity {

struct SensitivityOptions {
  std::string model, data, output;
  std::string loss = "cross-entropy"; // or "mse"; of the Hessian also "kl"
  std::string
      target; // the output that is judged; empty: the first in floating point
  std::vector<std::string>
      layers;                // empty: all linear layers with constant weights
  int64_t samples = 0;       // 0: all
  bool sampleLabels = false; // also where the data has labels
  uint64_t seed = 1;         // of sampled labels and of probes
  uint64_t maxMemory = uint64_t(4) << 30; // bytes of gradients and their sums;
                                          // more layers take several passes
  int64_t eigenvalueSteps =
      0; // most steps of power iteration for each layer; 0: no eigenvalues
  int64_t probes = 0;           // most probes of the Hessian; 0: none
  int64_t hessianSamples = 128; // over which the Hessian is the mean
  double tolerance =
      0.05; // relative standard error of a trace at which probing stops
  /// The Hessian's products by differentiating gradients; else by their central
  /// differences with the step of the specification, which takes twice the time
  /// and less memory.
  bool exactProducts = true;
  /// Of what depends on the weights only residual streams are kept for the
  /// backward pass; a third more time.
  bool checkpoints = false;
  int threads = 0;
  std::string shape; // as sq-compile --shape
  bool resume = false;
  double saveEvery = 10; // seconds, at least; a twentieth of the time at most
  ProgressFunction progress;
  std::function<void(const std::string &)> note;
};

/// Writes options.output, whole. For each layer the sum over samples of the
/// squared gradient of that sample's loss (spec dense-and-sparse.md section 2:
/// square, then sum), and with `probes` the trace of its block of the Hessian
/// of the mean loss. A run that was interrupted and resumed gives the same
/// bytes as one that was not.
///
/// Labels are those of the data (labels.npy, tokens.npy); without such they are
/// sampled from the model's own output (spec mixed-precision.md section 3), of
/// "mse" a target is the output plus N(0, 1).
///
/// Refused: what the compiler refuses, an op without a derivative, data that do
/// not fit, labels outside of the model's classes, NaN in an input, a loss or a
/// gradient.
Status computeSensitivity(const SensitivityOptions &options,
                          Sensitivity &result);

} // namespace sq::sensitivity

#endif
