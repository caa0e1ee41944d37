/// What of a program is still open, with prices for its limits, and the search that they bound.
#ifndef SQ_LIB_ASSIGN_RELAXATION_H
#define SQ_LIB_ASSIGN_RELAXATION_H

#include "lib/assign/Search.h"

namespace sq::assign {

/// The limit with what rounding may add to a sum that is equal to it.
double allowed(double limit);

class Relaxation {
public:
  explicit Relaxation(const Program &program);

  const Program &program;
  std::vector<std::vector<int>> columns; // still open, of each group, in the program's order
  std::vector<double> prices;            // of a unit of each limit, >= 0

  const Program::Column &at(size_t g, int c) const { return program.groups[g][c]; }
  /// objective + prices * costs
  double priced(size_t g, int c) const;
  /// The least of the group's open columns.
  double leastObjective(size_t g) const;
  double leastPriced(size_t g) const;
  double leastCost(size_t g, size_t limit) const;

  /// The Lagrangian relaxation: every plan within the limits has at least
  ///   sum over groups of their least (objective + prices * costs), less prices * limits.
  /// Any prices will do; those of the linear relaxation give the best bound.
  double bound() const;
  /// How far rounding may put that off.
  double rounding() const;

  /// Some limit is below the sum of the groups' least costs.
  bool isOutOfReach() const;

  /// Closes columns that another one of their group can always stand in for. `value` is what some plan has, or
  /// infinity.
  void dropNeedless(double value);
  /// Closes columns that no plan has whose objective is at most `value`.
  void dropAbove(double value);

private:
  double pricedLimits() const;
  friend class Enumeration;
};

/// How an enumeration ended.
struct Found {
  bool isFinished = false; // else too many states
  int64_t states = 0;
  std::vector<int> chosen; // empty: there is no plan within the limits (if finished)
};

/// Of all plans of open columns those with the least objective, and of them the one that comes first in the order of
/// columns of the first group, then of the second, and so on. `value` is what some plan is known to have, or infinity:
/// what is above it is left out early.
Found findBest(const Relaxation &relaxation, double value, int64_t maxStates);

} // namespace sq::assign

#endif
