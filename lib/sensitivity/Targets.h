/// Samples with what the model is to say about them.
#ifndef SQ_LIB_SENSITIVITY_TARGETS_H
#define SQ_LIB_SENSITIVITY_TARGETS_H

#include "lib/sensitivity/GradientRunner.h"

namespace sq::sensitivity {

struct TargetOptions {
  std::string loss; // of passes/Passes.td, sq-differentiate
  std::string output;
  bool sample =
      false; // targets from the model's own output, whatever the data has
  bool exact = false; // "mse" and "kl": that output as it is
  uint64_t seed = 1;
};

/// The sample's label: the class whose share of the softmax of `logits`
/// [classes] holds `u` in (0, 1); sums in double. -1 when a logit is NaN.
int64_t sampleClass(const float *logits, int64_t classes, double u);

class Targets {
public:
  /// `inputs`: of the gradient program. Compiles the model itself if its output
  /// is needed.
  Status open(const std::string &data, const RunnerOptions &model,
              const TargetOptions &options, const std::vector<Port> &inputs,
              const ModelInfo &info);
  int64_t count() const { return samples->count(); }
  std::string description() const { return samples->description(); }
  std::string title(int64_t index) const { return samples->title(index, 1); }
  bool areSampled() const { return !given; }
  /// Sets the inputs of `runner` to sample `index`, with its target.
  Status set(int64_t index, Runner &runner);
  /// Of the inputs and given labels of sample `index`, chained.
  Status hash(int64_t index, uint64_t &hash);

private:
  Status read(int64_t index);
  Status checkLabels(int64_t index, const Tensor &labels,
                     int64_t classes) const;
  Status makeTarget(int64_t index, Runner &runner);

  TargetOptions options;
  std::vector<Port> ports; // of the data
  calibration::TableRows tables;
  bool given = false;  // labels come with the data
  int64_t classes = 0; // 0: unknown until run
  std::unique_ptr<calibration::Samples> samples;
  std::unique_ptr<Runner> forward; // the model itself
  int output = -1;                 // of it
  std::vector<Tensor> inputs;      // of the last sample read
};

} // namespace sq::sensitivity

#endif
