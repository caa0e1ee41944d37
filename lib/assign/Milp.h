/// The packaged solver of integer programs behind one function. It is GLPK; nothing else of sq knows.
///
/// GLPK 5.0 and CBC 2.10.8 (Debian 12) were compared on up to 500 groups of 8 choices with one to three budgets. GLPK
/// took 2 ms to 0.5 s and gives the duals of the relaxation; CBC took as long, and in two of eight cases, where losses
/// differ by many orders of magnitude, ended above the optimum although its gaps were set to 0.
#ifndef SQ_LIB_ASSIGN_MILP_H
#define SQ_LIB_ASSIGN_MILP_H

#include <cstdint>
#include <vector>

namespace sq::assign {

/// Minimises the sum of `objective` of the columns that are 1, of which each group has exactly one, with every row's
/// sum of costs at most `limits`. All numbers are finite; objectives and cost / limit are best near 1, as the solver's
/// tolerances (1e-7, 1e-5 for "integer") are absolute ones.
struct Milp {
  struct Column {
    int group;
    double objective;
    std::vector<double> costs; // [limits.size()]
  };
  int numGroups = 0;
  std::vector<Column> columns;
  std::vector<double> limits;
};

struct MilpResult {
  enum Kind {
    Optimal,    // to the solver's tolerances
    Infeasible, // beyond them
    Stopped,    // at the limit of nodes, or in trouble; `chosen` is the best so far, if any
  } kind = Stopped;
  std::vector<int> chosen;    // [numGroups]: the column of each group; empty: none was found
  std::vector<double> prices; // [limits.size()]: >= 0, what a unit of a limit is worth in the relaxation
};

/// The same input gives the same result: one thread, no clock (`maxNodes` of branch and bound instead), nothing
/// printed, no state between calls. Different threads may call it at once.
MilpResult solveMilp(const Milp &program, int64_t maxNodes);

} // namespace sq::assign

#endif
