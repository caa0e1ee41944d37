#include "lib/assign/Milp.h"

#include <gtest/gtest.h>

using namespace sq::assign;

namespace {

Milp twoGroups(double limit) { return {2, {{0, 0, {2}}, {0, 3, {1}}, {1, 0, {2}}, {1, 2, {1}}}, {limit}}; }

TEST(Milp, Solves) {
  MilpResult result = solveMilp(twoGroups(3), 1000);
  EXPECT_EQ(result.kind, MilpResult::Optimal);
  EXPECT_EQ(result.chosen, (std::vector<int>{0, 3}));
  EXPECT_NEAR(result.prices.at(0), 2, 1e-9); // a unit more saves the change of the second group
  result = solveMilp(twoGroups(4), 1000);
  EXPECT_EQ(result.chosen, (std::vector<int>{0, 2}));
  EXPECT_EQ(result.prices.at(0), 0);
}

TEST(Milp, Infeasible) {
  MilpResult result = solveMilp(twoGroups(1.5), 1000);
  EXPECT_EQ(result.kind, MilpResult::Infeasible);
  EXPECT_TRUE(result.chosen.empty());
  // The relaxation has a solution: half of each.
  result = solveMilp({1, {{0, 0, {2, 0}}, {0, 0, {0, 2}}}, {1, 1}}, 1000);
  EXPECT_EQ(result.kind, MilpResult::Infeasible);
}

TEST(Milp, WhatTheSolverRefusesEndsNoProcess) {
  // GLPK calls abort() for a row that there is not; the next call is as if nothing had been.
  MilpResult result = solveMilp({1, {{7, 0, {1}}}, {1}}, 1000);
  EXPECT_EQ(result.kind, MilpResult::Stopped);
  EXPECT_TRUE(result.chosen.empty());
  EXPECT_EQ(solveMilp(twoGroups(3), 1000).kind, MilpResult::Optimal);
}

TEST(Milp, PrintsNothing) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  solveMilp(twoGroups(3), 1000);
  solveMilp(twoGroups(1.5), 1000);
  solveMilp({1, {{7, 0, {1}}}, {1}}, 1000);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
