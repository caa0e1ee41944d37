/// A solved assignment for people, for scripts, and as a plan to edit and give back.
#ifndef SQ_LIB_ASSIGN_DESCRIBE_H
#define SQ_LIB_ASSIGN_DESCRIBE_H

#include "llvm/Support/JSON.h"

#include "lib/assign/Pareto.h"
#include "lib/assign/ParetoSvg.h"

namespace sq::assign {

/// All that a result is about; the texts have its layers in their order.
struct Solved {
  llvm::ArrayRef<Layer> layers;
  llvm::ArrayRef<Group> groups; // of makeGroups
  llvm::ArrayRef<Budget> budgets;
  const Assignment &result;
  std::string metric; // what the losses are: "direct: KL to the float output, nats per token, 64 sequences, seed 1"
};

/// "optimal", or how far it may be from that.
std::string statusText(const Assignment &result);

/// Lines of a plan (lib/quantization/Plan.h) under a comment that says what for; the same input gives the same bytes.
/// Refused when a choice's name is none that plans have.
Status planText(const Solved &solved, std::string &text);

/// Totals with budgets and what is left of them, then a line for each layer: choice, losses of all choices, bytes, bit
/// operations, time (computed ones with ~).
std::string assignmentTable(const Solved &solved);

/// The same for scripts.
llvm::json::Value assignmentJson(const Solved &solved);

/// The front of `cost` with the result on it, the budget of that cost if there is one, and for comparison the plans
/// that have one choice everywhere (layers with a single choice keep theirs). Sums are those of the groups and `fixed`
/// of the budget. For paretoSvg.
FrontPicture frontPicture(const Solved &solved, const Front &front, Cost cost);

} // namespace sq::assign

#endif
