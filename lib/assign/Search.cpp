#include "lib/assign/Search.h"

#include <algorithm>
#include <limits>

#include "lib/assign/Milp.h"
#include "lib/assign/Relaxation.h"

using namespace sq::assign;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

double Program::objectiveOf(const std::vector<int> &chosen) const {
  double sum = 0;
  for (size_t g = 0; g < groups.size(); ++g)
    sum += groups[g][chosen[g]].objective;
  return sum;
}

double Program::costOf(const std::vector<int> &chosen, size_t limit) const {
  double sum = 0;
  for (size_t g = 0; g < groups.size(); ++g)
    sum += groups[g][chosen[g]].costs[limit];
  return sum;
}

bool Program::isFeasible(const std::vector<int> &chosen) const {
  for (size_t k = 0; k < limits.size(); ++k)
    if (costOf(chosen, k) > allowed(limits[k]))
      return false;
  return true;
}

/// Equal sizes of layers make the packaged solver's tree large and the enumeration small, so the latter comes before a
/// long search of the former.
static constexpr int64_t kFirstNodes = 1000, kMostNodes = 20'000; // the latter takes a minute at most
static constexpr int64_t kHopelessStates = 200'000;

namespace {

class Search {
public:
  Search(const Program &program, int64_t maxStates) : p(program), maxStates(maxStates), open(program) {}
  Answer run();

private:
  const Program &p;
  const int64_t maxStates;
  const size_t numGroups = p.groups.size(), numLimits = p.limits.size();
  Relaxation open;
  std::vector<int> best;
  double bestValue = kInfinity;

  void offer(const std::vector<int> &chosen);
  void descend();
  MilpResult::Kind solvePackaged(int64_t nodes);
  void dropAboveBest() {
    if (bestValue < kInfinity)
      open.dropAbove(bestValue);
  }
};

} // namespace

void Search::offer(const std::vector<int> &chosen) {
  double value = p.objectiveOf(chosen);
  if (value < bestValue && p.isFeasible(chosen)) {
    best = chosen;
    bestValue = value;
  }
}

/// A first plan: from the least of every group, always the change that takes most off what is over the limits for what
/// it adds to the objective. It may end without one.
void Search::descend() {
  std::vector<int> chosen(numGroups);
  for (size_t g = 0; g < numGroups; ++g)
    chosen[g] = *std::min_element(open.columns[g].begin(), open.columns[g].end(),
                                  [&](int a, int b) { return open.at(g, a).objective < open.at(g, b).objective; });
  std::vector<double> used(numLimits), scale(numLimits);
  for (size_t k = 0; k < numLimits; ++k)
    scale[k] = p.limits[k] > 0 ? p.limits[k] : 1;
  auto over = [&](size_t k, double cost) { return std::max(0.0, (cost - allowed(p.limits[k])) / scale[k]); };
  for (;;) {
    double excess = 0;
    for (size_t k = 0; k < numLimits; ++k) {
      used[k] = p.costOf(chosen, k);
      excess += over(k, used[k]);
    }
    if (excess == 0)
      return offer(chosen);
    double bestRatio = 0;
    std::pair<size_t, int> change(numGroups, 0);
    for (size_t g = 0; g < numGroups; ++g)
      for (int c : open.columns[g]) {
        const Program::Column &from = open.at(g, chosen[g]), &to = open.at(g, c);
        double left = 0;
        for (size_t k = 0; k < numLimits; ++k)
          left += over(k, used[k] - from.costs[k] + to.costs[k]);
        double gain = excess - left, loss = to.objective - from.objective;
        if (!(gain > kTolerance * excess))
          continue;
        double ratio = loss > 0 ? gain / loss : kInfinity;
        if (ratio > bestRatio) {
          bestRatio = ratio;
          change = {g, c};
        }
      }
    if (change.first == numGroups)
      return;
    chosen[change.first] = change.second;
  }
}

/// Offers the packaged solver's plan, and takes its prices where they bound better. The solver's tolerances are
/// absolute: the largest difference within a group becomes 1 in the objective, and of the limits what is left above the
/// least costs.
MilpResult::Kind Search::solvePackaged(int64_t nodes) {
  double range = 0;
  for (size_t g = 0; g < numGroups; ++g)
    for (int c : open.columns[g])
      range = std::max(range, open.at(g, c).objective - open.leastObjective(g));
  if (!(range > 0))
    range = 1;
  Milp milp;
  milp.numGroups = numGroups;
  std::vector<double> unit(numLimits);
  for (size_t k = 0; k < numLimits; ++k) {
    double room = allowed(p.limits[k]);
    for (size_t g = 0; g < numGroups; ++g)
      room -= open.leastCost(g, k);
    room = std::max(room, 0.0);
    unit[k] = room > 1e-9 * p.limits[k] ? room : p.limits[k] > 0 ? p.limits[k] : 1;
    milp.limits.push_back(room / unit[k]);
  }
  std::vector<int> origin;
  for (size_t g = 0; g < numGroups; ++g)
    for (int c : open.columns[g]) {
      Milp::Column column{static_cast<int>(g), (open.at(g, c).objective - open.leastObjective(g)) / range, {}};
      for (size_t k = 0; k < numLimits; ++k)
        column.costs.push_back((open.at(g, c).costs[k] - open.leastCost(g, k)) / unit[k]);
      milp.columns.push_back(std::move(column));
      origin.push_back(c);
    }
  MilpResult result;
  const std::vector<double> limits = milp.limits;
  // The solver takes what is over a limit by its tolerance; then the limits are drawn in by as much.
  for (double drawnIn : {0.0, 1e-9, 1e-7, 1e-6}) {
    for (size_t k = 0; k < numLimits; ++k)
      milp.limits[k] = limits[k] * (1 - drawnIn);
    MilpResult attempt = solveMilp(milp, nodes);
    if (drawnIn == 0)
      result = attempt;
    if (attempt.chosen.empty())
      break;
    std::vector<int> chosen(numGroups);
    for (size_t g = 0; g < numGroups; ++g)
      chosen[g] = origin[attempt.chosen[g]];
    offer(chosen);
    if (p.isFeasible(chosen))
      break;
    result.kind = MilpResult::Stopped;
  }
  std::vector<double> before = open.prices;
  double beforeBound = open.bound();
  for (size_t k = 0; k < numLimits; ++k)
    open.prices[k] = result.prices[k] * range / unit[k];
  if (!(open.bound() > beforeBound))
    open.prices = before;
  return result.kind;
}

Answer Search::run() {
  Answer answer;
  if (open.isOutOfReach())
    return answer;
  descend();
  open.dropNeedless(bestValue);
  dropAboveBest();
  MilpResult::Kind kind = MilpResult::Stopped;
  // What the first rounds show of the best plan may leave a far smaller range, and so finer tolerances.
  for (int round = 0; round < 2; ++round) {
    kind = solvePackaged(std::min(maxStates, kFirstNodes));
    dropAboveBest();
  }
  // Without a plan there is no bound; where the solver is sure that there is none, only small programs are gone
  // through.
  const bool hasPlan = bestValue < kInfinity, isHopeless = kind == MilpResult::Infeasible && !hasPlan;
  Found proof = findBest(open, bestValue, isHopeless ? std::min(maxStates, kHopelessStates) : maxStates);
  answer.states = proof.states;
  if (!proof.isFinished && isHopeless)
    return answer;
  if (!proof.isFinished && kind != MilpResult::Optimal)
    kind = solvePackaged(std::min(maxStates, kMostNodes));
  double bound = std::min(open.bound(), bestValue);
  if (!proof.chosen.empty()) {
    best = proof.chosen;
    bound = p.objectiveOf(best);
  }
  if (best.empty()) {
    answer.kind = proof.isFinished || kind == MilpResult::Infeasible ? Answer::Infeasible : Answer::Unknown;
    return answer;
  }
  answer.kind = proof.isFinished ? Answer::Proven : kind == MilpResult::Optimal ? Answer::Trusted : Answer::Stopped;
  answer.chosen = best;
  answer.objective = p.objectiveOf(best);
  answer.bound = std::min(bound, answer.objective);
  return answer;
}

Answer sq::assign::minimise(const Program &program, int64_t maxStates) {
  if (!program.groups.empty())
    return Search(program, maxStates).run();
  Answer answer;
  if (program.isFeasible({}))
    answer.kind = Answer::Proven;
  return answer;
}
