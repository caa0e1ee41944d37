/// The compile report: what became of a model.
#ifndef SQ_LIB_DRIVER_REPORT_H
#define SQ_LIB_DRIVER_REPORT_H

#include "llvm/Support/raw_ostream.h"

#include "codegen/host/Neighbours.h"
#include "lib/driver/Artifact.h"
#include "lib/driver/AssignBits.h"
#include "passes/LayerDecisions.h"

namespace sq {

/// Sizes of all symbolic dims, and what formulas are for them.
struct DimChoice {
  std::vector<std::pair<std::string, double>> dims; // without the threads, of which there is one
  /// -1 when the formula is unknown.
  double evaluate(const std::string &formula) const;
  double evaluate(const SymbolicSize &size) const { return evaluate(size.text()); }
  std::string text() const; // "batch=1, sequence=128"
};

/// What dim `axis` is called in formulas: its symbol, or NAME:AXIS.
std::string dimName(const ManifestTensor &tensor, size_t axis);

/// A first dim of an input is 1, any other 128, or what comes nearest in the
/// inputs' ranges.
DimChoice typicalDims(llvm::ArrayRef<ManifestTensor> inputs);

/// The memory plan for some dims.
struct MemoryUse {
  double arena = 0;       // bytes
  double live = 0;        // of buffers in use at the fullest moment
  int fullest = -1;       // the kernel running then
  std::vector<int> alive; // buffers, the largest first
};

struct Report {
  Report(std::string model, std::vector<std::string> levels, Schedule schedule,
         const Manifest &manifest, int64_t weightBytes);

  std::string model;
  std::vector<std::string> levels;
  Schedule schedule;
  std::vector<Neighbours> neighbours;
  std::vector<int> weights;     // buffers, the largest first
  int64_t weightBytes;
  std::vector<LayerDecision> layers; // of --quant, --weights and plans, in the model's order
  std::optional<AssignedBits> assigned; // with budgets
  std::vector<int> layerKernels;     // the kernel that computes each; -1: none is known
  DimChoice typical;
  std::optional<DimChoice> largest; // when every dim has an upper bound

  void setLayers(std::vector<LayerDecision> layers);
  MemoryUse use(const DimChoice &dims) const;
  /// The sum of a formula over all kernels for the typical dims, unknown ones
  /// left out.
  double total(std::string ScheduledKernel::*formula) const;
};

void writeReportText(const Report &report, llvm::raw_ostream &os);
void writeReportJson(const Report &report, llvm::raw_ostream &os);
/// One file without scripts or references to others.
void writeReportHtml(const Report &report, llvm::raw_ostream &os);

/// "int8", with the columns of the precision table as a person reads them: the same in text and in HTML. `range` is that of
/// the input, or what a compressed weight is made of.
struct LayerText {
  std::string precision, range, sqnr, predicted, measured, why;
};
LayerText describe(const LayerDecision &layer);
/// "3 of 4 in int8", or the bits a weight and the bytes of those that were compressed.
std::string precisionSummary(llvm::ArrayRef<LayerDecision> layers);

/// "-": text to stdout; .json, .html, .txt by suffix.
bool isReportName(llvm::StringRef path);
llvm::Error writeReport(const Report &report, const std::string &path);

/// "1.23 MB", "37.8 M": three digits; "?" for a negative number.
std::string withUnit(double value, llvm::StringRef unit);

} // namespace sq

#endif
