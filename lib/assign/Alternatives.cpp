#include "lib/assign/Alternatives.h"

#include <cmath>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace llvm;
using namespace sq::assign;

/// The groups' places of the choice called `name`; none where a group lacks it that has others.
static std::optional<std::vector<int>> everywhere(ArrayRef<Group> groups, StringRef name) {
  std::vector<int> chosen;
  for (const Group &group : groups) {
    auto choice = find_if(group.choices, [&](const Choice &c) { return c.name == name; });
    if (group.choices.size() > 1 && choice == group.choices.end())
      return std::nullopt;
    chosen.push_back(group.choices.size() > 1 ? choice - group.choices.begin() : 0);
  }
  return chosen;
}

std::vector<std::pair<std::string, Assignment>> sq::assign::uniformPlans(ArrayRef<Group> groups) {
  SmallVector<StringRef> names;
  for (const Group &group : groups)
    for (const Choice &choice : group.choices)
      if (group.choices.size() > 1 && !is_contained(names, choice.name))
        names.push_back(choice.name);
  std::vector<std::pair<std::string, Assignment>> plans;
  for (StringRef name : names)
    if (auto chosen = everywhere(groups, name))
      plans.emplace_back(name, assignmentOf(groups, std::move(*chosen)));
  return plans;
}

std::optional<Assignment> sq::assign::bestUniform(ArrayRef<Group> groups, ArrayRef<Budget> budgets) {
  std::optional<Assignment> best;
  for (auto &[name, plan] : uniformPlans(groups))
    if (isWithin(groups, budgets, plan) && (!best || plan.loss < best->loss))
      best = std::move(plan);
  return best;
}

std::vector<Group> sq::assign::withHarm(ArrayRef<Group> groups, const Assignment &base, double factor) {
  std::vector<Group> result(groups.begin(), groups.end());
  for (auto [group, place] : zip_equal(result, base.chosen)) {
    const double known = group.choices[place].loss;
    for (Choice &choice : group.choices)
      if (choice.loss > known)
        choice.loss *= factor;
  }
  return result;
}

Difference sq::assign::differenceOf(ArrayRef<double> losses, ArrayRef<double> others) {
  Difference result;
  const double count = losses.size();
  for (auto [loss, other] : zip_equal(losses, others))
    result.mean += (loss - other) / count;
  double squares = 0;
  for (auto [loss, other] : zip_equal(losses, others))
    squares += (loss - other - result.mean) * (loss - other - result.mean);
  if (count > 1)
    result.error = std::sqrt(squares / (count - 1) / count);
  return result;
}

size_t sq::assign::surestPlan(ArrayRef<std::vector<double>> losses, size_t base) {
  size_t best = base;
  double least = HUGE_VAL;
  for (auto [i, plan] : enumerate(losses)) {
    const Difference difference = differenceOf(plan, losses[base]);
    const double bound = difference.mean + difference.error;
    if (difference.mean < 0 && bound < least) {
      least = bound;
      best = i;
    }
  }
  return best;
}
