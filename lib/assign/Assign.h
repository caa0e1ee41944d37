/// Bits for every group of layers: the least expected loss that keeps all budgets.
///
/// HAWQ-V3 (Yao et al., ICML 2021) states it as an integer linear program; groups are its residual ties. Losses add up:
/// a quadratic expansion of the loss without the blocks between layers. Below 4 bits that is a guess.
#ifndef SQ_LIB_ASSIGN_ASSIGN_H
#define SQ_LIB_ASSIGN_ASSIGN_H

#include <optional>

#include "lib/assign/Problem.h"
#include "lib/assign/Search.h"

namespace sq::assign {

struct Budget {
  enum Kind { Size, BitsPerWeight, Bops, Latency } kind;
  double limit;     // bytes; bits (counted bytes of the groups by their weights); bit operations; seconds
  double fixed = 0; // in the same unit: what the rest of the model takes of it; not of bits per weight

  Cost cost() const;
  /// What the groups may take, in the unit of the cost; may be below 0.
  double costLimit(llvm::ArrayRef<Group> groups) const;
  /// What is taken, in the unit of the limit, when the groups take `cost`.
  double taken(llvm::ArrayRef<Group> groups, double cost) const;
};

struct Assignment {
  std::vector<int> chosen; // of each group, a place in its choices
  double loss = 0;
  double costs[kNumCosts] = {};
  Answer::Kind kind = Answer::Proven; // Proven, Trusted or Stopped
  double bound = 0;                   // no plan within the budgets has less loss
  std::optional<double> measured;     // what it does to the loss when it is run
  bool isByMeasure = false;           // it was taken for that, and not for what it is expected to do
  std::string comparison;             // with the other plans that were run, in words
  double computedTime = 0;            // share of the seconds that was not measured
  std::vector<std::string> warnings;

  double cost(Cost cost) const { return costs[static_cast<int>(cost)]; }
};

/// The plan, or why there is none: a budget below what the least choices take, with that and the groups that take most
/// of it; budgets that cannot be kept together, with what each of them must grow to while the others stay; a limit that
/// is no positive number; times of which more than a quarter are computed while the budget of time decides something.
/// Among plans of equal loss the one with more bits in the first group, then in the second, and so on. No budget: the
/// least loss.
Status assignBits(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Budget> budgets, Assignment &result);

/// The sums of a plan, `chosen` given.
Assignment assignmentOf(llvm::ArrayRef<Group> groups, std::vector<int> chosen);

/// Whether `plan` is within all of them.
bool isWithin(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Budget> budgets, const Assignment &plan);

/// The plan with least of a cost; of several such the one with least loss.
Assignment leastOf(llvm::ArrayRef<Group> groups, Cost cost);

/// So many counted bytes of the groups by all weights.
double bitsPerWeight(llvm::ArrayRef<Group> groups, double bytes);
/// `value` of the unit of a budget, for people: "12.5 MB", "3.50 bits per weight", "116 GBOPs", "4.25 ms".
std::string budgetText(Budget::Kind kind, double value);

/// The program for minimise(): limits of costs in their order, a limit on the loss at the end if one is given.
Program makeProgram(llvm::ArrayRef<Group> groups, llvm::ArrayRef<std::pair<Cost, double>> limits,
                    std::optional<Cost> objective = std::nullopt, std::optional<double> maxLoss = std::nullopt);

} // namespace sq::assign

#endif
