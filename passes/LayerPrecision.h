/// Which linear layers 8 bits are for: a plan, the expected error, the time.
#ifndef SQ_PASSES_LAYERPRECISION_H
#define SQ_PASSES_LAYERPRECISION_H

#include "passes/LayerDecisions.h"

namespace sq {

/// What a plan is read for: --quant=int8 takes int8 and f32, --weights what isOfWeights and f32, a mixture of both all of
/// these, with groups and outliers.
enum class PlanUse { Int8, Weights, Mixed };

class PrecisionPolicy {
public:
  double minSqnr = 0;            // in dB
  std::optional<LevelCost> cost; // none: times are not compared unless they were measured

  /// Reads the plan that `main` has (setPlan), or else the file, unless `path` is empty; `layers` are those of the model.
  Status readPlan(mlir::func::FuncOp main, const std::string &path, llvm::ArrayRef<std::pair<LinearOp, LayerDecision>> layers,
                  PlanUse use);
  /// Takes the times that were measured from the function.
  void takeTimes(mlir::func::FuncOp main);

  /// What the plan says of a layer; null when nothing.
  const Plan::Line *planned(const LayerDecision &layer) const { return plan.find(layer.names()); }
  /// A layer cannot be what `wanted` says: an error when a line of the plan that names exactly this layer wants it.
  Status refuse(const LayerDecision &layer, LayerPrecision wanted, llvm::StringRef why) const;

  /// Fills in the times of a layer.
  void time(LayerDecision &layer) const;
  /// Why a layer that could be what `made` says is not to be; empty: nothing is against it. `layer` has its times and
  /// its expected error.
  std::string whyFloat(const LayerDecision &layer, LayerPrecision made) const;

private:
  Plan plan;
  std::vector<std::pair<LayerShape, LayerTimes>> measured;
};

} // namespace sq

#endif
