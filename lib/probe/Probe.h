/// The ground truth for expected losses: the model is run with few bits in some
/// layers, and its output compared with that of the model in float.
#ifndef SQ_LIB_PROBE_PROBE_H
#define SQ_LIB_PROBE_PROBE_H

#include <functional>
#include <memory>
#include <mutex>

#include "llvm/ADT/STLFunctionalExtras.h"

#include "lib/calibration/Samples.h"
#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/Module.h"

namespace sq::probe {

enum class Loss {
  Auto,   // Kl for an output whose name has "logits" in it, else Squares
  Kl,     // KL(float || other) of the softmax along the last dim, in nats
  Squares // sum of squared differences by that of squares, of each row along
          // the last dim
};

struct ProbeOptions {
  std::string model;
  std::string data;       // see calibration::openSamples
  CompileOptions compile; // of the model with a plan: levels, shape, stats,
                          // activations, tables ...; without output and targets
  Loss loss = Loss::Auto;
  int64_t samples = 256; // evenly spread over the data, fewer where they have
                         // many rows (kRows)
  int threads = 0;       // of runs
};

/// Means over the rows of the model's first output in floating point ("logits"
/// if there is one) and the samples. Rows that an input `attention_mask` of the
/// shape of the output without its last dim has a 0 for do not count.
class Probe {
public:
  /// Compiles the float model and runs it.
  Status open(const ProbeOptions &options);
  bool isOpen() const { return samples != nullptr; }
  /// "direct: KL to the float output 'logits', nats a row, 64 samples of
  /// 'calibration'".
  std::string metric() const;
  /// What each of the plans (texts of lib/quantization/Plan.h) does to the
  /// output, several at a time, which share the cores. `starts` is called in
  /// their order, one call at a time. Refused where a loss is not finite, with
  /// what is wrong with the first such plan.
  Status measure(const std::vector<std::string> &plans,
                 const std::function<void(size_t)> &starts,
                 std::vector<double> &losses) const;

private:
  struct Run {
    int64_t first, number; // samples
    std::vector<float> output;
    std::vector<bool> counts; // by row; empty: all do
  };

  struct Output {
    const float *values = nullptr;
    int64_t count = 1, width = 1; // of a row
  };

  Status measureOne(const std::string &plan, int threads, double &loss) const;
  /// Hands on the output of each run, until `take` has enough; `number` is
  /// which of `runs` it is of.
  Status runAll(const Module &module, int threads,
                llvm::function_ref<bool(size_t number, const Output &output,
                                        const std::vector<Tensor> &inputs)>
                    take) const;
  Status read(const Run &run, std::vector<Tensor> &inputs) const;

  ProbeOptions options;
  std::unique_ptr<calibration::Samples> samples;
  calibration::TableRows tables;
  std::string output, source;
  bool isKl = false;
  int64_t used = 0;          // samples
  int cores = 1, atOnce = 1; // plans
  std::vector<Run> runs;
  mutable std::mutex reading; // of samples
};

} // namespace sq::probe

#endif
