#include "lib/assign/Relaxation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

using namespace sq::assign;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

double sq::assign::allowed(double limit) { return limit + kTolerance * std::abs(limit); }

static double toleranceOf(double value) { return value == kInfinity ? 0 : kTolerance * std::abs(value); }

Relaxation::Relaxation(const Program &program)
    : program(program), columns(program.groups.size()), prices(program.limits.size(), 0) {
  for (size_t g = 0; g < columns.size(); ++g) {
    columns[g].resize(program.groups[g].size());
    std::iota(columns[g].begin(), columns[g].end(), 0);
  }
}

/// Of two columns of a group the second is never needed: the first costs no more of anything, and is better by more
/// than counts as equal or, if no worse, preferred.
static bool makesNeedless(const Program::Column &a, const Program::Column &b, bool isPreferred, double tolerance) {
  if (!(a.objective < b.objective - tolerance || (isPreferred && a.objective <= b.objective)))
    return false;
  for (size_t k = 0; k < a.costs.size(); ++k)
    if (a.costs[k] > b.costs[k])
      return false;
  return true;
}

void Relaxation::dropNeedless(double value) {
  for (size_t g = 0; g < columns.size(); ++g) {
    std::vector<int> left;
    for (int c : columns[g]) {
      bool isNeeded = true;
      for (int other : columns[g])
        isNeeded &= other == c || !makesNeedless(at(g, other), at(g, c), other < c, toleranceOf(value));
      if (isNeeded)
        left.push_back(c);
    }
    columns[g] = std::move(left);
  }
}

double Relaxation::priced(size_t g, int c) const {
  double value = at(g, c).objective;
  for (size_t k = 0; k < prices.size(); ++k)
    value += prices[k] * at(g, c).costs[k];
  return value;
}

double Relaxation::leastObjective(size_t g) const {
  double least = kInfinity;
  for (int c : columns[g])
    least = std::min(least, at(g, c).objective);
  return least;
}

double Relaxation::leastPriced(size_t g) const {
  double least = kInfinity;
  for (int c : columns[g])
    least = std::min(least, priced(g, c));
  return least;
}

double Relaxation::leastCost(size_t g, size_t limit) const {
  double least = kInfinity;
  for (int c : columns[g])
    least = std::min(least, at(g, c).costs[limit]);
  return least;
}

double Relaxation::pricedLimits() const {
  double sum = 0;
  for (size_t k = 0; k < prices.size(); ++k)
    sum += prices[k] * program.limits[k];
  return sum;
}

double Relaxation::rounding() const {
  return 4 * std::numeric_limits<double>::epsilon() * double(columns.size()) * pricedLimits();
}

double Relaxation::bound() const {
  double sum = -pricedLimits();
  for (size_t g = 0; g < columns.size(); ++g)
    sum += leastPriced(g);
  return sum;
}

bool Relaxation::isOutOfReach() const {
  for (size_t k = 0; k < prices.size(); ++k) {
    double sum = 0;
    for (size_t g = 0; g < columns.size(); ++g)
      sum += leastCost(g, k);
    if (sum > allowed(program.limits[k]))
      return true;
  }
  return false;
}

void Relaxation::dropAbove(double value) {
  const double all = bound(), most = value + 2 * toleranceOf(value) + rounding();
  for (size_t g = 0; g < columns.size(); ++g) {
    const double others = all - leastPriced(g);
    std::vector<int> left;
    for (int c : columns[g])
      if (others + priced(g, c) <= most)
        left.push_back(c);
    if (!left.empty()) // else no plan is that good; the walk will say so
      columns[g] = std::move(left);
  }
}

namespace sq::assign {

/// Group by group all choices of the groups so far, without those that the bound or another one excludes (Nemhauser and
/// Ullmann 1969, with Lagrangian bounds). Layers of equal sizes, as transformers have them, give few different sums:
/// there it is far shorter than branch and bound over the same bounds.
class Enumeration {
public:
  Enumeration(const Relaxation &relaxation, double value, int64_t maxStates);
  Found run();

private:
  const Relaxation &r;
  const size_t numGroups, numLimits;
  const int64_t maxStates;
  const double tolerance, most, rounding;
  std::vector<double> leastObjective, leastPriced; // [g]: of group g and those behind it
  std::vector<std::vector<double>> leastCosts;     // [g][limit]

  /// Choices of the groups so far, in the order of preference.
  struct States {
    std::vector<double> objective, priced, costs;    // costs: [state][limit]
    std::vector<std::pair<int32_t, int32_t>> origin; // state of the groups before, and column
    size_t size() const { return objective.size(); }
  };
  std::vector<std::vector<std::pair<int32_t, int32_t>>> history;

  bool extend(size_t g, const States &from, States &to, int64_t &made) const;
  bool excludes(const States &states, size_t a, size_t b) const;
  void prune(States &states) const;
};

} // namespace sq::assign

Enumeration::Enumeration(const Relaxation &relaxation, double value, int64_t maxStates)
    : r(relaxation), numGroups(r.columns.size()), numLimits(r.prices.size()), maxStates(maxStates),
      tolerance(toleranceOf(value)), most(value + tolerance), rounding(r.rounding()), leastObjective(numGroups + 1, 0),
      leastPriced(numGroups + 1, 0), leastCosts(numGroups + 1, std::vector<double>(numLimits, 0)) {
  for (size_t g = numGroups; g-- > 0;) {
    leastObjective[g] = leastObjective[g + 1] + r.leastObjective(g);
    leastPriced[g] = leastPriced[g + 1] + r.leastPriced(g);
    for (size_t k = 0; k < numLimits; ++k)
      leastCosts[g][k] = leastCosts[g + 1][k] + r.leastCost(g, k);
  }
}

/// False: too many.
bool Enumeration::extend(size_t g, const States &from, States &to, int64_t &made) const {
  std::vector<double> used(numLimits), limits(numLimits), priced;
  for (size_t k = 0; k < numLimits; ++k)
    limits[k] = allowed(allowed(r.program.limits[k])) - leastCosts[g + 1][k]; // twice: other order of the sum
  for (int c : r.columns[g])
    priced.push_back(r.priced(g, c));
  for (size_t s = 0; s < from.size(); ++s)
    for (size_t i = 0; i < priced.size(); ++i) {
      const Program::Column &column = r.at(g, r.columns[g][i]);
      double objective = from.objective[s] + column.objective, pricedSum = from.priced[s] + priced[i];
      if (objective + leastObjective[g + 1] > most + tolerance || pricedSum + leastPriced[g + 1] > most + rounding)
        continue;
      bool fits = true;
      for (size_t k = 0; k < numLimits; ++k) {
        used[k] = from.costs[s * numLimits + k] + column.costs[k];
        fits &= used[k] <= limits[k];
      }
      if (!fits)
        continue;
      if (++made > maxStates)
        return false;
      to.objective.push_back(objective);
      to.priced.push_back(pricedSum);
      to.costs.insert(to.costs.end(), used.begin(), used.end());
      to.origin.emplace_back(s, r.columns[g][i]);
    }
  return true;
}

/// Whatever is behind b, behind a it is as good and as preferred, or better by more than counts as equal.
bool Enumeration::excludes(const States &states, size_t a, size_t b) const {
  const double ours = states.objective[a], others = states.objective[b];
  if (!(ours < others - tolerance || (ours <= others && a < b)))
    return false;
  for (size_t k = 0; k < numLimits; ++k)
    if (states.costs[a * numLimits + k] > states.costs[b * numLimits + k])
      return false;
  return true;
}

void Enumeration::prune(States &states) const {
  // By the first cost, so that what may exclude a state is in front of it. With several costs only the nearest
  // are looked at: those with equal costs, of which structured models have many, are among them.
  constexpr size_t kLookedAt = 64;
  std::vector<uint32_t> order(states.size()), kept;
  for (size_t s = 0; s < order.size(); ++s)
    order[s] = s;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    for (size_t k = 0; k < numLimits; ++k)
      if (double x = states.costs[a * numLimits + k], y = states.costs[b * numLimits + k]; x != y)
        return x < y;
    return std::tie(states.objective[a], a) < std::tie(states.objective[b], b);
  });
  double least = kInfinity;
  for (uint32_t s : order) {
    bool isExcluded = numLimits <= 1 && least < states.objective[s] - tolerance;
    for (size_t i = kept.size(), end = i - std::min(i, kLookedAt); i-- > end && !isExcluded;)
      isExcluded = excludes(states, kept[i], s);
    if (isExcluded)
      continue;
    kept.push_back(s);
    least = std::min(least, states.objective[s]);
  }
  std::sort(kept.begin(), kept.end());
  for (size_t to = 0; to < kept.size(); ++to) {
    const size_t from = kept[to];
    states.objective[to] = states.objective[from];
    states.priced[to] = states.priced[from];
    states.origin[to] = states.origin[from];
    for (size_t k = 0; k < numLimits; ++k)
      states.costs[to * numLimits + k] = states.costs[from * numLimits + k];
  }
  states.objective.resize(kept.size());
  states.priced.resize(kept.size());
  states.origin.resize(kept.size());
  states.costs.resize(kept.size() * numLimits);
}

Found Enumeration::run() {
  Found found;
  States states;
  states.objective = {0};
  states.priced = {-r.pricedLimits()};
  states.costs.assign(numLimits, 0);
  for (size_t g = 0; g < numGroups; ++g) {
    States next;
    if (!extend(g, states, next, found.states))
      return found;
    prune(next);
    history.push_back(next.origin);
    states = std::move(next);
  }
  found.isFinished = true;
  // Both sums are in the order of the groups, as the program has them.
  double least = kInfinity;
  auto isWithin = [&](size_t s) {
    for (size_t k = 0; k < numLimits; ++k)
      if (states.costs[s * numLimits + k] > allowed(r.program.limits[k]))
        return false;
    return true;
  };
  for (size_t s = 0; s < states.size(); ++s)
    if (isWithin(s))
      least = std::min(least, states.objective[s]);
  for (size_t s = 0; s < states.size() && found.chosen.empty(); ++s) {
    if (!isWithin(s) || states.objective[s] > least + toleranceOf(least))
      continue;
    found.chosen.resize(numGroups);
    int32_t state = s;
    for (size_t g = numGroups; g-- > 0;)
      std::tie(state, found.chosen[g]) = history[g][state];
  }
  return found;
}

Found sq::assign::findBest(const Relaxation &relaxation, double value, int64_t maxStates) {
  return Enumeration(relaxation, value, maxStates).run();
}
