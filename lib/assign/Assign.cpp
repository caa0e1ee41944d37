#include "lib/assign/Assign.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/support/TimeText.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

static constexpr double kMostComputedTime = 0.25;
static constexpr size_t kShownGroups = 3;

Cost Budget::cost() const {
  switch (kind) {
  case Size:
    return Cost::Bytes;
  case BitsPerWeight:
    return Cost::Counted;
  case Bops:
    return Cost::Bops;
  case Latency:
    return Cost::Seconds;
  }
  llvm_unreachable("all budgets have a cost");
}

double sq::assign::bitsPerWeight(ArrayRef<Group> groups, double bytes) {
  double elements = 0;
  for (const Group &group : groups)
    elements += group.elements;
  return elements > 0 ? 8 * bytes / elements : 0;
}

double Budget::costLimit(ArrayRef<Group> groups) const {
  if (kind != BitsPerWeight)
    return limit - fixed;
  double perByte = bitsPerWeight(groups, 1);
  return perByte > 0 ? limit / perByte : 0;
}

static bool fits(double cost, double limit) { return cost <= limit + kTolerance * std::abs(limit); }

double Budget::taken(ArrayRef<Group> groups, double cost) const {
  return kind == BitsPerWeight ? bitsPerWeight(groups, cost) : cost + fixed;
}

std::string sq::assign::budgetText(Budget::Kind kind, double value) {
  switch (kind) {
  case Budget::Size:
    return formatv("{0} bytes", format("%.0f", std::ceil(value * (1 - kTolerance))));
  case Budget::BitsPerWeight:
    return formatv("{0} bits per weight", format("%.4f", std::ceil(value * (1 - kTolerance) * 1e4) / 1e4));
  case Budget::Bops:
    return formatv("{0} GBOPs", format("%.6g", std::ceil(value * (1 - kTolerance) / 1e3) / 1e6));
  case Budget::Latency:
    return formatv("{0} ms", format("%.4f", std::ceil(value * (1 - kTolerance) * 1e7) / 1e4));
  }
  llvm_unreachable("all budgets have a unit");
}

static StringRef nameOf(Budget::Kind kind) {
  switch (kind) {
  case Budget::Size:
    return "size";
  case Budget::BitsPerWeight:
    return "bits per weight";
  case Budget::Bops:
    return "bit operations";
  case Budget::Latency:
    return "time";
  }
  llvm_unreachable("all budgets have a name");
}

Program sq::assign::makeProgram(ArrayRef<Group> groups, ArrayRef<std::pair<Cost, double>> limits,
                                std::optional<Cost> objective, std::optional<double> maxLoss) {
  Program program;
  for (auto [cost, limit] : limits)
    program.limits.push_back(limit);
  if (maxLoss)
    program.limits.push_back(*maxLoss);
  for (const Group &group : groups) {
    auto &columns = program.groups.emplace_back();
    for (const Choice &choice : group.choices) {
      Program::Column column{objective ? choice.cost(*objective) : choice.loss, {}};
      for (auto [cost, limit] : limits)
        column.costs.push_back(choice.cost(cost));
      if (maxLoss)
        column.costs.push_back(choice.loss);
      columns.push_back(std::move(column));
    }
  }
  return program;
}

Assignment sq::assign::assignmentOf(ArrayRef<Group> groups, std::vector<int> chosen) {
  Assignment result;
  double computed = 0;
  for (auto [group, place] : zip_equal(groups, chosen)) {
    const Choice &choice = group.choices[place];
    result.loss += choice.loss;
    for (int k = 0; k < kNumCosts; ++k)
      result.costs[k] += choice.costs[k];
    if (!choice.isTimed)
      computed += choice.cost(Cost::Seconds);
  }
  result.bound = result.loss;
  result.computedTime = computed > 0 ? computed / result.cost(Cost::Seconds) : 0;
  result.chosen = std::move(chosen);
  return result;
}

bool sq::assign::isWithin(ArrayRef<Group> groups, ArrayRef<Budget> budgets, const Assignment &plan) {
  return all_of(budgets, [&](const Budget &budget) {
    return fits(plan.cost(budget.cost()), budget.costLimit(groups));
  });
}

Assignment sq::assign::leastOf(ArrayRef<Group> groups, Cost cost) {
  std::vector<int> chosen;
  for (const Group &group : groups) {
    auto rank = [&](const Choice &c) { return std::make_pair(c.cost(cost), c.loss); };
    chosen.push_back(std::min_element(group.choices.begin(), group.choices.end(),
                                      [&](const Choice &a, const Choice &b) { return rank(a) < rank(b); }) -
                     group.choices.begin());
  }
  return assignmentOf(groups, std::move(chosen));
}

/// "; most of it in 'a' (590000 bytes, 33 %), ...": the groups with the largest shares.
static std::string largest(ArrayRef<Group> groups, const Budget &budget, const Assignment &least) {
  const Cost cost = budget.cost();
  const Budget::Kind kind = budget.kind == Budget::BitsPerWeight ? Budget::Size : budget.kind;
  const double fixed = budget.kind == Budget::BitsPerWeight ? 0 : budget.fixed;
  std::vector<size_t> order(groups.size());
  for (size_t g = 0; g < order.size(); ++g)
    order[g] = g;
  auto costOf = [&](size_t g) { return groups[g].choices[least.chosen[g]].cost(cost); };
  llvm::sort(order, [&](size_t a, size_t b) { return std::make_pair(-costOf(a), a) < std::make_pair(-costOf(b), b); });
  std::string text;
  for (size_t g : ArrayRef(order).take_front(kShownGroups))
    text += formatv("{0}'{1}' as {2} ({3}, {4:f1} %)", text.empty() ? "; most of it in " : ", ", groups[g].name,
                    groups[g].choices[least.chosen[g]].name, budgetText(kind, costOf(g)),
                    100 * costOf(g) / std::max(least.cost(cost) + fixed, 1e-300));
  if (fixed > 0)
    text += formatv("; what is no choice takes {0}", budgetText(kind, fixed));
  return text;
}

static Status checkEach(ArrayRef<Group> groups, ArrayRef<Budget> budgets) {
  std::string message;
  for (const Budget &budget : budgets) {
    if (!std::isfinite(budget.limit) || budget.limit <= 0)
      return Status::refused(formatv("a budget of {0} for {1} is none; it is to be a number above 0",
                                     format("%g", budget.limit), nameOf(budget.kind)));
    Assignment least = leastOf(groups, budget.cost());
    if (fits(least.cost(budget.cost()), budget.costLimit(groups)))
      continue;
    message += formatv("{0}a budget of {1} cannot be met: the least that the model "
                       "takes is {2}{3}",
                       message.empty() ? "" : "\n", budgetText(budget.kind, budget.limit),
                       budgetText(budget.kind, budget.taken(groups, least.cost(budget.cost()))),
                       largest(groups, budget, least));
  }
  return message.empty() ? Status() : Status::refused(message);
}

static std::vector<std::pair<Cost, double>> limitsOf(ArrayRef<Group> groups, ArrayRef<Budget> budgets,
                                                     ArrayRef<size_t> which) {
  std::vector<std::pair<Cost, double>> limits;
  for (size_t i : which)
    limits.emplace_back(budgets[i].cost(), budgets[i].costLimit(groups));
  return limits;
}

/// The least that budget `i` can be while the others of `which` are kept; none: not at all.
static std::optional<double> leastBeside(ArrayRef<Group> groups, ArrayRef<Budget> budgets, size_t i,
                                         ArrayRef<size_t> which) {
  std::vector<size_t> others;
  copy_if(which, std::back_inserter(others), [&](size_t other) { return other != i; });
  Answer answer = minimise(makeProgram(groups, limitsOf(groups, budgets, others), budgets[i].cost()));
  return answer.hasPlan() ? std::optional(answer.objective) : std::nullopt;
}

/// Each of the budgets can be kept, all of them cannot: the pairs that cannot, or else all.
static Status jointlyTooLittle(ArrayRef<Group> groups, ArrayRef<Budget> budgets) {
  std::vector<size_t> all(budgets.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::vector<size_t>> sets;
  for (size_t i = 0; i < budgets.size(); ++i)
    for (size_t j = i + 1; j < budgets.size(); ++j)
      if (auto least = leastBeside(groups, budgets, i, {i, j});
          !least || !fits(*least, budgets[i].costLimit(groups)))
        sets.push_back({i, j});
  if (sets.empty())
    sets.push_back(all);
  std::string message;
  for (const std::vector<size_t> &set : sets) {
    auto texts = map_range(set, [&](size_t i) { return budgetText(budgets[i].kind, budgets[i].limit); });
    message +=
        formatv("{0}budgets that cannot be met together: {1}", message.empty() ? "" : "\n", join(texts, " and "));
    for (auto [place, i] : enumerate(set)) {
      message += place == 0 ? "; " : ", or ";
      // That all others are kept, too, if that can be.
      auto least = leastBeside(groups, budgets, i, all);
      if (!least)
        least = leastBeside(groups, budgets, i, set);
      if (least) {
        double limit = budgets[i].taken(groups, *least);
        message += formatv("{0} would do with {1} ({2:f3} times as much)", nameOf(budgets[i].kind),
                           budgetText(budgets[i].kind, limit), std::ceil(1000 * limit / budgets[i].limit) / 1000);
      } else {
        message += formatv("no {0} is enough", nameOf(budgets[i].kind));
      }
    }
  }
  return Status::refused(message);
}

Status sq::assign::assignBits(ArrayRef<Group> groups, ArrayRef<Budget> budgets, Assignment &result) {
  if (groups.empty())
    return Status::refused("there is no layer to assign bits to");
  if (Status status = checkEach(groups, budgets); !status.ok())
    return status;
  std::vector<size_t> all(budgets.size());
  std::iota(all.begin(), all.end(), 0);
  Answer answer = minimise(makeProgram(groups, limitsOf(groups, budgets, all)));
  if (answer.kind == Answer::Infeasible)
    return jointlyTooLittle(groups, budgets);
  if (!answer.hasPlan())
    return Status::refused("no plan within the budgets was found, nor that "
                           "there is none; leave them more room");
  result = assignmentOf(groups, answer.chosen);
  result.kind = answer.kind;
  result.bound = std::min(answer.bound, result.loss);
  if (answer.kind == Answer::Trusted)
    result.warnings.push_back("the plan is the best one to the tolerance of the integer program's "
                              "solver; a proof beyond that took too long");
  if (answer.kind == Answer::Stopped)
    result.warnings.push_back(formatv("the search for the best plan was ended early: it has a loss "
                                      "of {0}, the best has at least {1}",
                                      format("%.6g", result.loss), format("%.6g", result.bound)));
  std::vector<size_t> untimed;
  copy_if(all, std::back_inserter(untimed), [&](size_t i) { return budgets[i].kind != Budget::Latency; });
  if (untimed.size() == all.size() || result.computedTime == 0)
    return {};
  std::string share = formatv("{0:f1} % of the plan's time is computed, not measured", 100 * result.computedTime);
  if (result.computedTime > kMostComputedTime) {
    Answer free = minimise(makeProgram(groups, limitsOf(groups, budgets, untimed)));
    Assignment without = assignmentOf(groups, free.chosen);
    for (const Budget &budget : budgets)
      if (budget.kind == Budget::Latency && !fits(without.cost(Cost::Seconds), budget.costLimit(groups)))
        return Status::refused(share + ", and the budget of " + budgetText(budget.kind, budget.limit) +
                               " decides the plan; measure the layers on this "
                               "machine (--measure) or leave the budget out");
  }
  result.warnings.push_back(share);
  return {};
}
