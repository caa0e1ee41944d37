/// Plans to measure beside the best one. Losses of layers add up only roughly, and a plan chosen by them holds the layers
/// of which they say too little.
#ifndef SQ_LIB_ASSIGN_ALTERNATIVES_H
#define SQ_LIB_ASSIGN_ALTERNATIVES_H

#include <utility>

#include "lib/assign/Assign.h"

namespace sq::assign {

/// The plans that have one choice everywhere, by its name, in the order in which groups name them. Groups with a single
/// choice keep that; a name that another group lacks is left out.
std::vector<std::pair<std::string, Assignment>> uniformPlans(llvm::ArrayRef<Group> groups);

/// Of the uniform plans within the budgets the one with least expected loss.
std::optional<Assignment> bestUniform(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Budget> budgets);

/// The groups with losses of which those above the loss that the group has in `base` count `factor` times. The larger
/// that is, the fewer layers does a plan make worse than `base` to make others better.
std::vector<Group> withHarm(llvm::ArrayRef<Group> groups, const Assignment &base, double factor);

/// What a plan loses more than another one on the same samples.
struct Difference {
  double mean = 0;
  double error = 0; // standard error of the mean, by the spread over samples; 0 of a single sample
};
Difference differenceOf(llvm::ArrayRef<double> losses, llvm::ArrayRef<double> others);

/// The place of the plan to take instead of plan `base`: of those that lose less in the mean over samples the one with least
/// mean difference plus its standard error, as the mean alone favours plans that some samples speak for and some against.
/// `base` itself where none loses less; of equal ones the first. `losses` are [plans, samples].
size_t surestPlan(llvm::ArrayRef<std::vector<double>> losses, size_t base);

} // namespace sq::assign

#endif
