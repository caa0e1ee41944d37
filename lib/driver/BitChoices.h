/// Linear layers with what each can be kept as, for lib/assign: losses and
/// costs.
#ifndef SQ_LIB_DRIVER_BITCHOICES_H
#define SQ_LIB_DRIVER_BITCHOICES_H

#include "lib/assign/LossFile.h"
#include "lib/assign/Problem.h"
#include "lib/driver/AssignBits.h"
#include "passes/LayerDecisions.h"

namespace sq {

/// The sizes that bit operations and times are for: `dims` by symbol, 1 for
/// other first dims and 128 for the rest, as in the compile report.
class RunSizes {
public:
  RunSizes(mlir::func::FuncOp main, const std::map<std::string, int64_t> &dims);
  /// Names in `dims` that the program has not; symbols of the program that
  /// `dims` does not say.
  std::vector<std::string> unknown, unsaid;
  /// Rows of `x` of the layer.
  int64_t rows(LinearOp op);
  /// Multiplications of all attention.
  double attention();

private:
  std::optional<double> evaluate(const std::string &formula) const;
  mlir::func::FuncOp main;
  std::map<std::string, double> sizes;
};

/// What may be chosen: "f32", "int8", then tables of 4, 3 and 2 bits, without
/// and with so many outliers.
std::vector<std::string> knownChoices(const CompileOptions &options);

/// Measures the expected loss of every layer as every choice that it has a
/// kernel for: relative errors of the layer's result by its second moments
/// (--sq-quantize and --sq-compress-weights on copies of the module), made
/// comparable between layers by options.targets.probe, which runs the model
/// with only this layer in tables of 3 bits.
CompileResult measureLosses(mlir::ModuleOp module,
                            const CompileOptions &options,
                            assign::LossFile &losses);

struct LayerChoices {
  std::vector<assign::Layer> layers;
  double floatBytes = 0;   // of all of them in f32
  double otherSeconds = 0; // of what is no choice, with a budget of time
};

/// The layers with their choices: those with a loss in `losses`, f32, or the
/// only one that the plan of `options` says. Bytes, counted bytes, bit
/// operations; and with a budget of time the seconds of options.targets.time.
CompileResult makeLayers(mlir::func::FuncOp main, const CompileOptions &options,
                         const assign::LossFile &losses, RunSizes &sizes,
                         LayerChoices &result);

} // namespace sq

#endif
