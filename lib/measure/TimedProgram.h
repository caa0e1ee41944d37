/// A program that is compiled, loaded and timed in process, with one thread.
#ifndef SQ_LIB_MEASURE_TIMEDPROGRAM_H
#define SQ_LIB_MEASURE_TIMEDPROGRAM_H

#include "lib/driver/TemporaryArtifact.h"
#include "lib/measure/MeasureLayers.h"
#include "lib/run/Module.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace sq {

/// Runs of one measurement, at least.
constexpr int kLeastTimedRuns = 5;

/// Of a steady clock, in seconds.
double steadySeconds();

/// How programs to time are compiled; the level of this machine where none is given.
CompileOptions compileOptionsOf(const MeasureOptions &options);

class TimedProgram {
public:
  Status compile(const std::string &model, CompileOptions options);
  /// The same of graph IR that `write` makes.
  Status compile(llvm::function_ref<void(llvm::raw_ostream &)> write, CompileOptions options);

  const std::vector<Port> &inputs() const { return module.inputs(); }
  /// And one run, for the first touches of memory. `tensors` must live as long as runs do.
  Status bind(const std::vector<Tensor> &tensors);
  /// `least` becomes the time of this run, in seconds, when it is less.
  Status run(double &least);

private:
  TemporaryArtifact artifact;
  Module module;
  Session session;
};

/// x [rows, k] of `shape`, f32, of made-up elements.
Status makeLayerInput(const LayerShape &shape, std::vector<Tensor> &inputs);

/// A program of one layer with a splat weight, of any number of rows: times do not depend on what is multiplied.
void writeLinearLayer(const LayerShape &shape, bool inBytes, llvm::raw_ostream &os);

} // namespace sq

#endif
