/// The ground truth for expected losses: the model is run with few bits in some
/// layers, and its output compared with that of the model in float.
#ifndef SQ_LIB_PROBE_PROBE_H
#define SQ_LIB_PROBE_PROBE_H

#include <functional>
#include <memory>
#include <mutex>

#include "llvm/ADT/ArrayRef.h"
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
                         // many rows (kRows), and no more than two thirds of
                         // it: others are held back
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
  /// 'calibration', plans by 32 others".
  std::string metric() const;
  /// What each of the plans (texts of lib/quantization/Plan.h) does to the
  /// output, several at a time, which share the cores. `starts` is called in
  /// their order, one call at a time. Refused where a loss is not finite, with
  /// what is wrong with the first such plan.
  Status measure(const std::vector<std::string> &plans,
                 const std::function<void(size_t)> &starts,
                 std::vector<double> &losses) const;
  /// The same by samples that `measure` does not see, as many of those as there
  /// are up to `samples`; where the data has too few for both, by all of them.
  /// [plans, samples], scaled such that the mean of a plan's is its loss.
  Status measureHeldBack(const std::vector<std::string> &plans,
                         const std::function<void(size_t)> &starts,
                         std::vector<std::vector<double>> &losses) const;

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

  /// Losses by sample, as in measureHeldBack.
  Status measureOne(const std::string &plan, llvm::ArrayRef<Run> runs,
                    int threads, std::vector<double> &losses) const;
  Status measureAll(const std::vector<std::string> &plans,
                    llvm::ArrayRef<Run> runs,
                    const std::function<void(size_t)> &starts,
                    std::vector<std::vector<double>> &losses) const;
  /// Hands on the output of each run, until `take` has enough; `number` is
  /// which of `runs` it is of.
  Status runAll(const Module &module, llvm::ArrayRef<Run> runs, int threads,
                llvm::function_ref<bool(size_t number, const Output &output,
                                        const std::vector<Tensor> &inputs)>
                    take) const;
  Status read(const Run &run, std::vector<Tensor> &inputs) const;

  ProbeOptions options;
  std::unique_ptr<calibration::Samples> samples;
  calibration::TableRows tables;
  std::string output, source;
  bool isKl = false;
  int cores = 1, atOnce = 1;  // plans
  std::vector<Run> known;     // of losses
  std::vector<Run> heldBack;  // of plans; empty: those of losses
  mutable std::mutex reading; // of samples
};

} // namespace sq::probe

#endif
