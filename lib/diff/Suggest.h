/// Which layers of a quantised build to leave in float, by what was measured of them.
#ifndef SQ_LIB_DIFF_SUGGEST_H
#define SQ_LIB_DIFF_SUGGEST_H

#include "lib/diff/Diff.h"
#include "passes/LayerDecisions.h"

namespace sq::diff {

/// A linear layer of build B.
struct MeasuredLayer {
  std::string name;
  bool inBytes = false;
  std::optional<double> sqnr; // of its result, with all errors in front of it; none: no node shows it
  std::optional<double> own;  // what its own rounding is expected to leave (passes/ExpectedError.h)
};

/// The layers that B's compile decided about, with what the nodes of `result` show.
std::vector<MeasuredLayer> measureLayers(llvm::ArrayRef<LayerDecision> layers, const Result &result);

/// The layers, in the model's order, that are to be float next. A result has the errors of all layers in front of
/// it: of those in bytes up to the last result below `minSqnr` the ones that lose most themselves, a
/// quarter as many as results are below. Empty: none is below, or nothing is left to change.
std::vector<size_t> nextToFloat(llvm::ArrayRef<MeasuredLayer> layers, double minSqnr);

/// How many layers are below.
size_t countBelow(llvm::ArrayRef<MeasuredLayer> layers, double minSqnr);

} // namespace sq::diff

#endif
