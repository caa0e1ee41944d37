/// What --sq-quantize decided about each linear layer, and why: an attribute of the function, from which the report
/// and the plan are written.
#ifndef SQ_PASSES_LAYERDECISIONS_H
#define SQ_PASSES_LAYERDECISIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/quantization/CostModel.h"
#include "lib/quantization/Plan.h"

namespace sq {

/// How the input of a layer in 8 bits is rounded.
struct InputRange {
  double low = 0, high = 0; // of x, after its channels are scaled
  double scale = 0;
  int64_t zero = 0;
  std::optional<double> alpha; // share of a channel's size that the weight takes over; none: channels stay as they are
};

/// What --sq-compress-weights made of a layer's weight.
struct CompressedSize {
  std::string format;      // in words: "tables of 16 bytes", "groups of 128"
  double bitsPerWeight = 0; // all counted
  int64_t bytes = 0;
  int64_t sparse = 0; // weights beside the codes
  double error = 0;   // of the layer's result, as a share of its power, where there are moments
};

struct LayerDecision {
  std::string name;               // of its first ONNX node; "#2" for the second layer of equal name
  std::vector<std::string> nodes; // that it was made of
  std::string weight;             // its initialiser's name; empty: unknown
  LayerShape shape;
  LayerPrecision precision = LayerPrecision::F32;
  std::optional<int64_t> group;   // as a plan of several precisions has them (lib/quantization/Plan.h)
  std::optional<double> outliers;
  std::string why; // it stays in float, or is not in float although it might be; empty: nothing to say
  std::optional<InputRange> input; // none as well where each row has its own
  std::optional<CompressedSize> compressed;
  bool isGiven = false;            // the model had it so already
  std::optional<double> sqnr; // expected, in dB
  std::optional<LayerTimes> predicted, measured;

  LayerNames names() const;
};

/// The layers of `main` in the order of its ops, as far as their ops say.
std::vector<std::pair<LinearOp, LayerDecision>> linearLayers(mlir::func::FuncOp main);

/// The same with `sq.grouped_matmul`, as a model has its weights, among them; empty when there is none.
std::vector<LayerDecision> givenCodes(mlir::func::FuncOp main);

void setLayerDecisions(mlir::func::FuncOp main, llvm::ArrayRef<LayerDecision> layers);
std::vector<LayerDecision> layerDecisions(mlir::func::FuncOp main);

/// Times that were measured, for --sq-quantize to find.
void setMeasuredTimes(mlir::func::FuncOp main, llvm::ArrayRef<LayerShape> shapes, llvm::ArrayRef<LayerTimes> times);
/// Finds them, and takes them from the function.
std::vector<std::pair<LayerShape, LayerTimes>> takeMeasuredTimes(mlir::func::FuncOp main);

/// A plan as a text, in the attribute kPlan, which goes before files of plans.
inline constexpr char kPlan[] = "sq.plan";
void setPlan(mlir::func::FuncOp main, llvm::StringRef text);
std::optional<std::string> planOf(mlir::func::FuncOp main);

/// Under what name statistics know the input of a linear layer that is still in float: an attribute of the op, for a pass that
/// comes after one that has changed the ops around it.
inline constexpr char kInputStats[] = "sq.input_stats";

/// Of a linear layer whose weight is to be kept in bf16, for --sq-pack-linear; a unit attribute of the op.
inline constexpr char kInBf16[] = "sq.bf16";

/// The plan that makes these decisions again, whatever made them.
std::string planText(llvm::ArrayRef<LayerDecision> layers);

} // namespace sq

#endif
