/// All sensible compromises of one cost and the expected loss.
#ifndef SQ_LIB_ASSIGN_PARETO_H
#define SQ_LIB_ASSIGN_PARETO_H

#include <string>

#include "lib/assign/Assign.h"

namespace sq::assign {

struct Front {
  std::vector<Assignment> points; // the cost grows, the loss falls
  bool isComplete = false;        // all plans that none beats are there; else a sweep found some of them
};

/// `budgets` are kept by every point. All points when building them up group by group stays below `maxPartial` partial
/// plans that none beats: with one cost that is so for 16 groups, and for hundreds of few sizes (192 with 6 choices
/// each: 3662 points in 0.3 s). Otherwise the best plan for each of `steps` limits between the least and the most that
/// the cost can be. Of plans with equal cost and loss the one with more bits in the first group is taken.
Front paretoFront(llvm::ArrayRef<Group> groups, Cost cost, llvm::ArrayRef<Budget> budgets = {}, int steps = 32,
                  size_t maxPartial = 30'000);

/// At most `count` of the points (at least 2), for a table: the first, the last, and between them those nearest to even
/// steps of the cost.
std::vector<size_t> samplesOf(llvm::ArrayRef<Assignment> points, Cost cost, size_t count);

/// Which points a sum of cost and loss with some weights would find: the corners of the lower convex hull.
std::vector<size_t> hullOf(llvm::ArrayRef<Assignment> points, Cost cost);

/// A line for each point: cost, bits per weight, loss, and how many weights have which choice.
std::string frontTable(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Assignment> points, Cost cost);

} // namespace sq::assign

#endif
