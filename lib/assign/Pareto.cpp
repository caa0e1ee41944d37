#include "lib/assign/Pareto.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

namespace {

/// Choices of the first groups. Values are sums in the order of the groups, so that equal plans have equal sums.
struct Partial {
  double loss = 0, cost = 0;
  std::vector<double> others; // what budgets are of
  std::vector<uint8_t> chosen;
};

} // namespace

static bool isAsGood(const Partial &a, const Partial &b) {
  if (a.loss > b.loss || a.cost > b.cost)
    return false;
  for (auto [x, y] : zip(a.others, b.others))
    if (x > y)
      return false;
  return true;
}

/// Leaves those that no other one is as good as. Sorted by cost, then loss, then in the order of preference.
static bool prune(std::vector<Partial> &all, size_t most) {
  llvm::sort(all, [](const Partial &a, const Partial &b) {
    if (a.cost != b.cost)
      return a.cost < b.cost;
    if (a.loss != b.loss)
      return a.loss < b.loss;
    return a.chosen < b.chosen;
  });
  std::vector<Partial> left;
  for (Partial &partial : all) {
    bool isBeaten = false;
    if (partial.others.empty())
      isBeaten = !left.empty() && left.back().loss <= partial.loss;
    else
      isBeaten = any_of(left, [&](const Partial &other) { return isAsGood(other, partial); });
    if (isBeaten)
      continue;
    left.push_back(std::move(partial));
    if (left.size() > most)
      return false;
  }
  all = std::move(left);
  return true;
}

/// Group by group: what one of the partial plans beats never becomes a point. (Nemhauser and Ullmann 1969.)
static bool enumeratePlans(ArrayRef<Group> groups, Cost cost, ArrayRef<std::pair<Cost, double>> limits, size_t most,
                           Front &front) {
  // The least that the groups from g on add to each limited cost.
  std::vector<std::vector<double>> rest(groups.size() + 1, std::vector<double>(limits.size(), 0));
  for (size_t g = groups.size(); g-- > 0;)
    for (auto [k, limit] : enumerate(limits)) {
      double least = groups[g].choices.front().cost(limit.first);
      for (const Choice &choice : groups[g].choices)
        least = std::min(least, choice.cost(limit.first));
      rest[g][k] = rest[g + 1][k] + least;
    }
  if (!limits.empty())
    most = std::min<size_t>(most, 4000); // each is compared with all
  std::vector<Partial> plans(1);
  plans.front().others.assign(limits.size(), 0);
  for (auto [g, group] : enumerate(groups)) {
    if (group.choices.size() > 255)
      return false;
    std::vector<Partial> next;
    for (const Partial &plan : plans)
      for (auto [c, choice] : enumerate(group.choices)) {
        Partial longer = plan;
        longer.loss += choice.loss;
        longer.cost += choice.cost(cost);
        bool fits = true;
        for (auto [k, limit] : enumerate(limits)) {
          longer.others[k] += choice.cost(limit.first);
          fits &= longer.others[k] + rest[g + 1][k] <= limit.second * (1 + 2 * kTolerance);
        }
        if (!fits)
          continue;
        longer.chosen.push_back(c);
        next.push_back(std::move(longer));
      }
    plans = std::move(next);
    if (!prune(plans, most))
      return false;
  }
  for (const Partial &plan : plans)
    front.points.push_back(assignmentOf(groups, std::vector<int>(plan.chosen.begin(), plan.chosen.end())));
  front.isComplete = true;
  return true;
}

/// The least loss for every limit, then the least cost for that loss: with the first alone a point may be beaten.
static void sweep(ArrayRef<Group> groups, Cost cost, ArrayRef<std::pair<Cost, double>> limits, int steps,
                  Front &front) {
  Answer cheapest = minimise(makeProgram(groups, limits, cost));
  if (!cheapest.hasPlan())
    return;
  Answer best = minimise(makeProgram(groups, limits));
  double least = cheapest.objective, most = assignmentOf(groups, best.chosen).cost(cost);
  std::vector<std::pair<Cost, double>> all(limits.begin(), limits.end());
  all.emplace_back(cost, 0);
  for (int i = 0; i <= steps; ++i) {
    all.back().second = least + (most - least) * i / steps;
    Answer answer = minimise(makeProgram(groups, all));
    if (!answer.hasPlan())
      continue;
    Answer cheaper = minimise(makeProgram(groups, limits, cost, answer.objective));
    Assignment point = assignmentOf(groups, cheaper.hasPlan() ? cheaper.chosen : answer.chosen);
    point.kind = answer.kind;
    front.points.push_back(std::move(point));
  }
}

Front sq::assign::paretoFront(ArrayRef<Group> groups, Cost cost, ArrayRef<Budget> budgets, int steps,
                              size_t maxPartial) {
  std::vector<std::pair<Cost, double>> limits;
  for (const Budget &budget : budgets)
    limits.emplace_back(budget.cost(), budget.costLimit(groups));
  Front front;
  if (groups.empty())
    return front;
  if (!enumeratePlans(groups, cost, limits, maxPartial, front))
    sweep(groups, cost, limits, steps, front);
  // Sums that only rounding tells apart are one point.
  llvm::sort(front.points, [&](const Assignment &a, const Assignment &b) {
    return std::make_tuple(a.cost(cost), a.loss, a.chosen) < std::make_tuple(b.cost(cost), b.loss, b.chosen);
  });
  std::vector<Assignment> left;
  for (Assignment &point : front.points) {
    if (!left.empty() && point.loss >= left.back().loss * (1 - kTolerance))
      continue;
    if (!left.empty() && point.cost(cost) <= left.back().cost(cost) * (1 + kTolerance))
      left.pop_back();
    left.push_back(std::move(point));
  }
  front.points = std::move(left);
  return front;
}

std::vector<size_t> sq::assign::hullOf(ArrayRef<Assignment> points, Cost cost) {
  std::vector<size_t> hull;
  for (size_t i = 0; i < points.size(); ++i) {
    auto isAbove = [&](size_t a,
                       size_t b) { // b is above the line from a to i, or on it
      double run = points[i].cost(cost) - points[a].cost(cost), rise = points[i].loss - points[a].loss;
      return (points[b].loss - points[a].loss) * run >= rise * (points[b].cost(cost) - points[a].cost(cost));
    };
    while (hull.size() >= 2 && isAbove(hull[hull.size() - 2], hull.back()))
      hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

std::vector<size_t> sq::assign::samplesOf(ArrayRef<Assignment> points, Cost cost, size_t count) {
  std::vector<size_t> samples;
  count = std::max<size_t>(count, 2);
  if (points.size() <= count) {
    for (size_t i = 0; i < points.size(); ++i)
      samples.push_back(i);
    return samples;
  }
  const double low = points.front().cost(cost), high = points.back().cost(cost);
  size_t i = 0;
  for (size_t step = 0; step < count; ++step) {
    double wanted = low + (high - low) * double(step) / double(count - 1);
    auto distance = [&](size_t at) { return std::abs(points[at].cost(cost) - wanted); };
    while (i + 1 < points.size() && distance(i + 1) <= distance(i))
      ++i;
    if (samples.empty() || samples.back() != i)
      samples.push_back(i);
  }
  return samples;
}

std::string sq::assign::frontTable(ArrayRef<Group> groups, ArrayRef<Assignment> points, Cost cost) {
  const bool isCounted = cost == Cost::Counted;
  Budget::Kind kind = cost == Cost::Bytes  ? Budget::Size
                      : cost == Cost::Bops ? Budget::Bops
                      : isCounted          ? Budget::BitsPerWeight
                                           : Budget::Latency;
  std::string text;
  for (const Assignment &point : points) {
    double all = 0;
    // Most bits first; choices of equal bits by name.
    std::map<std::pair<double, std::string>, double> weights;
    for (auto [group, place] : zip_equal(groups, point.chosen)) {
      const Choice &choice = group.choices[place];
      weights[{-choice.weightBits, choice.name}] += group.elements;
      all += group.elements;
    }
    text += budgetText(kind, isCounted ? bitsPerWeight(groups, point.cost(cost)) : point.cost(cost));
    if (all > 0 && !isCounted)
      text += formatv("  {0:f4} bits per weight", bitsPerWeight(groups, point.cost(Cost::Counted)));
    text += formatv("  loss {0}", format("%.6g", point.loss));
    for (const auto &[key, count] : weights)
      if (count > 0)
        text += formatv("  {0} {1:f1} %", key.second, 100 * count / all);
    text += "\n";
  }
  return text;
}
