#include "passes/LayerPrecision.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/quantization/WeightScheme.h"
#include "lib/support/TimeText.h"

using namespace mlir;
using namespace sq;

/// Null when what the line says can be made.
static const char *whyNotMade(const Plan::Line &line, PlanUse use) {
  bool isFloat = line.precision == LayerPrecision::F32, isInt = isInteger(line.precision);
  bool isOfCodes = isOfWeights(line.precision) && precisionBits(line.precision) <= 4;
  switch (use) {
  case PlanUse::Int8:
    return (isFloat || isInt) && line.isPlain() ? nullptr : "--quant=int8, which makes layers int8 (or int2 to int7) or leaves them in f32";
  case PlanUse::Weights:
    // What --weights makes is its own business, but for what its flags say.
    return (isFloat || isOfCodes) && line.isPlain()
               ? nullptr
               : "--weights, which makes weights of 2, 3 or 4 bits with the groups and outliers of its flags or leaves them in f32";
  case PlanUse::Mixed:
    if (line.outliers && isOfCodes && !WeightScheme{line.precision}.isTable())
      return "sq-compile, which keeps weights apart beside tables (lut) only";
    return isFloat || isInt || isOfCodes || line.precision == LayerPrecision::Bf16
               ? nullptr
               : "sq-compile, which has no kernel for it; f32, bf16, int8 to int2, and weights of 2, 3 or 4 bits";
  }
  llvm_unreachable("all uses are known");
}

Status PrecisionPolicy::readPlan(func::FuncOp main, const std::string &path, ArrayRef<std::pair<LinearOp, LayerDecision>> layers,
                                 PlanUse use) {
  std::optional<std::string> text = planOf(main);
  if (!text && path.empty())
    return {};
  if (Status status = text ? Plan::parse(*text, "plan", plan) : Plan::read(path, plan); !status.ok())
    return status;
  std::string message;
  for (const Plan::Line &line : plan.lines)
    if (const char *why = whyNotMade(line, use))
      message += llvm::formatv("{0}{1}:{2}: {3} is not for {4}", message.empty() ? "" : "\n", plan.path(), line.number, line.text(), why);
  if (!message.empty())
    return Status::refused(message);
  std::vector<LayerNames> names;
  for (const auto &[op, layer] : layers)
    names.push_back(layer.names());
  return plan.check(names);
}

void PrecisionPolicy::takeTimes(func::FuncOp main) { measured = takeMeasuredTimes(main); }

Status PrecisionPolicy::refuse(const LayerDecision &layer, LayerPrecision wanted, StringRef why) const {
  const Plan::Line *line = planned(layer);
  // A glob may mean "as far as that goes".
  if (!line || line->precision != wanted || !line->isExact())
    return {};
  return Status::refused(llvm::formatv("{0}:{1}: the layer '{2}' cannot be {3}: {4}", plan.path(), line->number, layer.name,
                                       precisionName(wanted), why));
}

void PrecisionPolicy::time(LayerDecision &layer) const {
  if (cost)
    layer.predicted = predictTimes(*cost, layer.shape);
  for (const auto &[shape, times] : measured)
    if (shape == layer.shape)
      layer.measured = times;
}

std::string PrecisionPolicy::whyFloat(const LayerDecision &layer, LayerPrecision made) const {
  if (layer.sqnr && *layer.sqnr < minSqnr)
    return llvm::formatv("{0} bits are expected to leave {1:f1} dB of it, the least is {2} dB (--min-sqnr)", precisionBits(made),
                         *layer.sqnr, llvm::format("%g", minSqnr));
  const std::optional<LayerTimes> &times = layer.measured ? layer.measured : layer.predicted;
  if (times && times->int8 >= times->f32)
    return llvm::formatv("8 bits are no faster: {0} {1} against {2} for {3} rows", timeText(times->int8),
                         layer.measured ? "measured" : "predicted", timeText(times->f32), layer.shape.rows);
  return "";
}
