#include "lib/assign/Search.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

using namespace sq::assign;

namespace {

using Random = std::mt19937_64;

double uniform(Random &random) { return double(random() >> 11) / 9007199254740992.0; }

/// All plans, the first ones preferred.
Answer bruteForce(const Program &program) {
  Answer answer;
  std::vector<int> chosen(program.groups.size(), 0);
  double least = INFINITY;
  for (int pass = 0; pass < 2; ++pass) {
    std::fill(chosen.begin(), chosen.end(), 0);
    for (;;) {
      double value = program.objectiveOf(chosen);
      if (program.isFeasible(chosen)) {
        if (pass == 0) {
          least = std::min(least, value);
        } else if (value <= least * (1 + kTolerance)) {
          answer.kind = Answer::Proven;
          answer.chosen = chosen;
          answer.objective = value;
          return answer;
        }
      }
      size_t g = chosen.size();
      while (g > 0 && ++chosen[g - 1] == int(program.groups[g - 1].size()))
        chosen[--g] = 0;
      if (g == 0)
        break;
    }
  }
  return answer;
}

/// Losses over many orders of magnitude, costs that fall with the loss more or less. `coarse`: small integers, of which
/// many sums are equal.
Program randomProgram(Random &random, int groups, int columns, int limits, bool coarse, double room) {
  Program program;
  std::vector<double> low(limits, 0), high(limits, 0);
  for (int g = 0; g < groups; ++g) {
    double sensitivity = coarse ? 1 + double(random() % 3) : std::pow(10, -6 + 5 * uniform(random));
    auto &group = program.groups.emplace_back();
    std::vector<double> least(limits, INFINITY), most(limits, 0), size(limits);
    for (double &s : size)
      s = coarse ? 1 + double(random() % 3) : std::round(std::pow(10, 3 + 3 * uniform(random)));
    for (int c = 0; c < columns; ++c) {
      Program::Column column{coarse ? sensitivity * double(random() % 4)
                                    : sensitivity * std::pow(10, 1.2 * c) * (0.5 + uniform(random)),
                             {}};
      for (int k = 0; k < limits; ++k) {
        column.costs.push_back(coarse ? size[k] * (columns - c)
                                      : std::round(size[k] * (columns - c) * (0.7 + 0.6 * uniform(random))));
        least[k] = std::min(least[k], column.costs[k]);
        most[k] = std::max(most[k], column.costs[k]);
      }
      group.push_back(std::move(column));
    }
    for (int k = 0; k < limits; ++k) {
      low[k] += least[k];
      high[k] += most[k];
    }
  }
  for (int k = 0; k < limits; ++k)
    program.limits.push_back(std::floor(low[k] + (room + 0.2 * uniform(random)) * (high[k] - low[k])));
  return program;
}

TEST(Search, BruteForce) {
  int feasible = 0, infeasible = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    Program program =
        randomProgram(random, 1 + random() % 8, 3, 1 + random() % 3, seed % 2, 0.7 * uniform(random) - 0.15);
    Answer expected = bruteForce(program), answer = minimise(program);
    ASSERT_EQ(answer.kind, expected.kind) << "seed " << seed;
    (expected.kind == Answer::Proven ? feasible : infeasible) += 1;
    EXPECT_EQ(answer.chosen, expected.chosen) << "seed " << seed;
    EXPECT_EQ(answer.objective, expected.objective) << "seed " << seed;
  }
  EXPECT_GT(feasible, 200);
  EXPECT_GT(infeasible, 10);
}

TEST(Search, BruteForceOverManyDecades) {
  // What is 1e-12 of one group's losses is all of another's: many plans are equal, and the order decides.
  int withPlan = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    int limits = 1 + random() % 4;
    Program program = randomProgram(random, 1 + random() % 7, 2 + random() % 3, limits, false, 0.8 * uniform(random));
    for (auto &group : program.groups) {
      double factor = std::pow(10, -12 + 18 * uniform(random));
      for (Program::Column &column : group)
        column.objective = random() % 5 == 0 ? 0 : column.objective * factor;
    }
    for (int k = 0; k < limits; ++k) {
      double factor = std::pow(10, -9 + 18 * uniform(random));
      program.limits[k] *= factor;
      for (auto &group : program.groups)
        for (Program::Column &column : group)
          column.costs[k] *= factor;
    }
    Answer expected = bruteForce(program), answer = minimise(program);
    ASSERT_EQ(answer.kind, expected.kind) << "seed " << seed;
    EXPECT_EQ(answer.chosen, expected.chosen) << "seed " << seed;
    withPlan += expected.kind == Answer::Proven;
  }
  EXPECT_GT(withPlan, 200);
}

TEST(Search, LimitsThatAreJustMet) {
  // The limit is what some plan costs, to the last digit; just below, that plan is out.
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    Program program = randomProgram(random, 6, 3, 2, false, 0.3);
    std::vector<int> plan;
    for (int g = 0; g < 6; ++g)
      plan.push_back(random() % 3);
    for (size_t k = 0; k < 2; ++k)
      program.limits[k] = program.costOf(plan, k);
    Answer answer = minimise(program), expected = bruteForce(program);
    EXPECT_EQ(answer.chosen, expected.chosen) << "seed " << seed;
    program.limits[0] -= 1;
    EXPECT_EQ(minimise(program).chosen, bruteForce(program).chosen) << "seed " << seed;
  }
}

/// Blocks of four layers in 16, 8, 6, 4, 3 or 2 bits, with bytes, bit operations and times; each limit after the first
/// is a little less than what the best plan within those before it takes.
Program transformer(Random &random, int blocks, int limits) {
  const double sizes[] = {3.0 * 768 * 768, 768 * 768, 768 * 3072, 768 * 3072};
  Program program;
  double low = 0, high = 0;
  for (int i = 0; i < 4 * blocks; ++i) {
    double n = sizes[i % 4], sensitivity = n * std::pow(10, -6 + 2 * uniform(random));
    auto &group = program.groups.emplace_back();
    for (int bits : {16, 8, 6, 4, 3, 2}) {
      double step = 1 / ((1 << (bits - 1)) - (bits == 2 ? 0.5 : 1)), rate = bits > 8    ? 2
                                                                            : bits == 4 ? .6
                                                                            : bits < 4  ? .8
                                                                                        : 1;
      group.push_back({sensitivity * step * step * (.9 + .2 * uniform(random)),
                       {n * bits / 8, n * 128 * bits * 8, n * 1e-9 * rate * (.9 + .2 * uniform(random))}});
      group.back().costs.resize(limits);
    }
    low += group.back().costs[0];
    high += group.front().costs[0];
  }
  program.limits = {low + 0.3 * (high - low)};
  for (int k = 1; k < limits; ++k) {
    Program fewer = program;
    for (auto &group : fewer.groups)
      for (Program::Column &column : group)
        column.costs.resize(k);
    program.limits.push_back(program.costOf(minimise(fewer).chosen, k) * 0.985);
  }
  return program;
}

TEST(Search, Transformers) {
  // lib/assign/README.md has the times.
  for (auto [blocks, limits] : {std::pair(12, 1), {12, 3}, {24, 2}}) {
    Random random(1);
    Program program = transformer(random, blocks, limits);
    Answer answer = minimise(program);
    EXPECT_EQ(answer.kind, Answer::Proven) << blocks << " " << limits << " states " << answer.states;
    EXPECT_TRUE(program.isFeasible(answer.chosen));
  }
}

TEST(Search, ProvesLargePrograms) {
  for (auto [groups, columns, limits] : {std::tuple(500, 8, 1), {100, 5, 1}, {40, 5, 2}, {24, 4, 3}}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      Random random(seed);
      Program program = randomProgram(random, groups, columns, limits, false, 0.3);
      Answer answer = minimise(program);
      EXPECT_EQ(answer.kind, Answer::Proven)
          << groups << " " << limits << " seed " << seed << " states " << answer.states;
      EXPECT_TRUE(program.isFeasible(answer.chosen));
      EXPECT_EQ(minimise(program).chosen, answer.chosen);
    }
  }
}

TEST(Search, FewNodesAreSaid) {
  Random random(7);
  Program program = randomProgram(random, 30, 4, 3, false, 0.3);
  Answer answer = minimise(program, 1);
  EXPECT_EQ(answer.kind, Answer::Stopped);
  ASSERT_TRUE(answer.hasPlan());
  EXPECT_TRUE(program.isFeasible(answer.chosen));
  EXPECT_LE(answer.bound, minimise(program).objective);
}

TEST(Search, Empty) {
  EXPECT_EQ(minimise({}).kind, Answer::Proven);
  EXPECT_EQ(minimise({{}, {1}}).kind, Answer::Proven);
  Program impossible{{{{1, {2}}}}, {1}};
  EXPECT_EQ(minimise(impossible).kind, Answer::Infeasible);
}

} // namespace
