/// The flags of sq-compile that are budgets: --target-size=, --target-bpw=,
/// --target-bops=, --target-latency=.
#ifndef SQ_TOOLS_SQ_COMPILE_TARGETS_H
#define SQ_TOOLS_SQ_COMPILE_TARGETS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CommandLine.h"

#include "lib/measure/MeasureLayers.h"
#include "lib/probe/Probe.h"
#include "sq/compiler.h"

struct TargetFlags {
  explicit TargetFlags(llvm::cl::OptionCategory &category);

  llvm::cl::opt<std::string> size, bpw, bops, latency;
  llvm::cl::list<std::string> dims;
  llvm::cl::opt<std::string> data, losses, emitLosses, loss, control;
  llvm::cl::opt<int> samples;

  /// Whether there is a budget.
  bool isAny() const;
  /// Reads the flags into `targets`; empty, or what is wrong with them.
  std::string parse(sq::BitTargets &targets) const;
};

/// How `options.targets` measures: losses by `data` (a folder, or empty:
/// `options.targets.losses` has them), times on this machine. `options` is what
/// the model is compiled with; `probe` is opened when it is first asked.
void bringMeasurements(const std::string &model, const std::string &data,
                       const TargetFlags &flags,
                       const sq::MeasureOptions &measure,
                       sq::probe::Probe &probe, sq::CompileOptions &options);

#endif
