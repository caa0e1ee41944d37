/// One choice of each group with the least sum: the multiple-choice knapsack problem with several limits, exactly.
///
/// The packaged solver (Milp.h) finds a plan and the prices of the limits; an enumeration bounded by those prices then
/// proves it to 1e-12 of its value, beyond the solver's tolerances, and chooses among equal plans by a rule of its own.
/// So the result does not depend on how the solver went about it.
#ifndef SQ_LIB_ASSIGN_SEARCH_H
#define SQ_LIB_ASSIGN_SEARCH_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sq::assign {

/// Sums and limits that differ by less than this share of them are equal.
inline constexpr double kTolerance = 1e-12;

struct Program {
  struct Column {
    double objective;          // >= 0
    std::vector<double> costs; // [limits.size()], >= 0
  };
  std::vector<std::vector<Column>> groups; // columns in the order of preference among equal sums
  std::vector<double> limits;

  /// In the order of the groups.
  double objectiveOf(const std::vector<int> &chosen) const;
  double costOf(const std::vector<int> &chosen, size_t limit) const;
  bool isFeasible(const std::vector<int> &chosen) const;
};

struct Answer {
  enum Kind {
    Proven,     // no plan is better by more than 1e-12 of it, and of equal ones this is the first
    Trusted,    // as the packaged solver says, to its tolerance; the proof took too many states
    Stopped,    // the best that was found; see `bound`
    Infeasible, // no plan keeps all limits
    Unknown,    // none was found, and that there is none was not shown
  } kind = Infeasible;
  std::vector<int> chosen; // of each group, by the order in the program; empty: none
  double objective = 0;
  double bound = 0;   // no plan has less
  int64_t states = 0; // of the proof

  bool hasPlan() const { return !chosen.empty() || kind == Proven; }
};

/// Among plans with equal sums the one whose first group has the earliest column, then the second, and so on. Numbers
/// are finite. The proof makes at most `maxStates` states, the packaged solver as many nodes, or 20,000.
Answer minimise(const Program &program, int64_t maxStates = 5'000'000);

} // namespace sq::assign

#endif
