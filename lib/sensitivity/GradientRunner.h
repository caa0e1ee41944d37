/// A model's gradients, compiled and run in process.
#ifndef SQ_LIB_SENSITIVITY_GRADIENTRUNNER_H
#define SQ_LIB_SENSITIVITY_GRADIENTRUNNER_H

#include <memory>

#include "lib/calibration/Samples.h"
#include "lib/calibration/StatsFile.h"
#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/Module.h"

namespace sq::sensitivity {

/// A weight by which there is a gradient.
struct Weight {
  std::string name;                // of its first layer
  std::vector<std::string> layers; // all that have it
  std::string initializer;         // empty: unknown
  int64_t rows = 0, columns = 0;   // as the model has it
  std::vector<float> values;       // only with GradientOptions::weightArguments

  int64_t elements() const { return rows * columns; }
};

/// What is known of the model before anything is compiled for good.
struct ModelInfo {
  calibration::ModelHash hash;
  calibration::TableRows tables; // that integer inputs index
  std::vector<Weight> weights;   // without values
  int64_t classes = 0;           // that labels are of; 0: only the run knows
};

struct RunnerOptions {
  std::string model;
  std::string shape; // as sq-compile --shape
  int threads = 0;
};

/// Refuses what the compiler refuses, such as an op without a derivative, which
/// it names.
Status describeModel(const RunnerOptions &options,
                     const GradientOptions &gradients, ModelInfo &info);

/// A compiled program: of gradients, or without `gradients` the model itself.
class Runner {
public:
  Status compile(const RunnerOptions &options,
                 const std::optional<GradientOptions> &gradients);

  const std::vector<Port> &inputs() const { return module.inputs(); }
  const std::vector<Port> &outputs() const { return module.outputs(); }
  std::vector<Weight> &weights() { return found; }

  /// Sets the input called `name` for the following runs; its element type is
  /// the port's. Null when there is none.
  Tensor *input(const std::string &name);
  Status run();
  /// Of what the last run held between its kernels, in bytes.
  int64_t arenaBytes() const;
  /// Output `index` of the last run, f32, until the next one.
  const float *output(int index, int64_t &count) const;
  /// Of the last run; refused when it is not f32.
  Status output(int index, Tensor &tensor) const {
    return session.output(index, tensor);
  }

private:
  std::vector<Weight> found;
  TemporaryArtifact artifact;
  Module module;
  Session session;             // after the module: released before it
  std::vector<Tensor> tensors; // inputs, in the module's order
};

} // namespace sq::sensitivity

#endif
