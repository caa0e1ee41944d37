#include "test/unit/assign/Instances.h"

#include <cmath>
#include <random>
#include <set>
#include <thread>

using namespace sq;
using namespace sq::assign;

namespace {

Assignment solved(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Budget> budgets) {
  Assignment plan;
  Status status = assignBits(groups, budgets, plan);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(plan.kind, Answer::Proven);
  return plan;
}

std::string refusal(llvm::ArrayRef<Group> groups, llvm::ArrayRef<Budget> budgets) {
  Assignment plan;
  Status status = assignBits(groups, budgets, plan);
  EXPECT_EQ(status.code, ExitCode::Refused);
  return status.message;
}

TEST(Assign, PublishedResNet18) {
  std::vector<Group> groups = grouped(resnet18());
  ASSERT_EQ(groups.size(), 16u);
  struct Case {
    Budget::Kind kind;
    double fraction, limit;
    std::set<int> inFour;
    double cost, omega;
  };
  const std::set<int> most{3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
  const Case cases[] = {
      {Budget::Size, .25, 6.6504, {14, 15, 16, 17, 18}, 6.6406, .118300},
      {Budget::Size, .5, 7.9805, {15, 17, 18}, 7.2656, .074506},
      {Budget::Size, .75, 9.3105, {13, 18}, 9.2344, .033441},
      {Budget::Bops, .25, 46.3626, most, 45.7605, .460424},
      {Budget::Bops, .5, 66.2323, {3, 8, 12, 13, 14, 15, 16, 17, 18}, 65.0281, .215689},
      {Budget::Bops, .75, 86.1020, {8, 13, 15, 18}, 84.2957, .079965},
      {Budget::Latency, .25, 3.6974, most, 3.6147, .460424},
      {Budget::Latency, .5, 4.2462, {5, 8, 12, 13, 15, 17, 18}, 4.2201, .202674},
      {Budget::Latency, .75, 4.7949, {8, 13, 15, 18}, 4.7063, .079965},
  };
  for (const Case &c : cases) {
    // MiB; the notebook's unit of bit operations is 1024e6 of them; milliseconds.
    const double unit = c.kind == Budget::Size ? 1 << 20 : c.kind == Budget::Bops ? 1024e6 : 1e-3;
    const Cost cost = Budget{c.kind, 0}.cost();
    double all4 = 0, all8 = 0;
    for (const Group &group : groups) {
      all8 += group.choices[0].cost(cost);
      all4 += group.choices[1].cost(cost);
    }
    Budget budget{c.kind, all4 + c.fraction * (all8 - all4)};
    EXPECT_NEAR(budget.limit / unit, c.limit, 5.1e-5);
    Assignment plan = solved(groups, budget);
    std::set<int> inFour;
    for (auto [layer, bits] : llvm::enumerate(bitsOf(groups, plan, 19)))
      if (bits == 4)
        inFour.insert(layer);
    EXPECT_EQ(inFour, c.inFour) << budgetText(budget.kind, budget.limit);
    EXPECT_NEAR(plan.loss, c.omega, 5.1e-7);
    EXPECT_NEAR(plan.cost(cost) / unit, c.cost, 5.1e-5);
  }
  EXPECT_NEAR(solved(groups, {}).loss, .004258, 5e-7);
  EXPECT_NEAR(leastOf(groups, Cost::Bytes).loss, 1.307713, 5e-7);
}

TEST(Assign, ToyBlock) {
  std::vector<Group> groups = grouped(toyBlock());
  struct Case {
    double megabytes;
    std::vector<int> bits;
    double omega;
  };
  for (const Case &c : {Case{7.0, {8, 4, 8, 8}, .002007},
                        {5.5, {4, 8, 4, 8}, .005125},
                        {4.5, {8, 4, 4, 4}, .009982},
                        {3.5, {4, 2, 4, 4}, .107406},
                        {3.0, {4, 4, 2, 4}, .131106}}) {
    Assignment plan = solved(groups, Budget{Budget::Size, c.megabytes * 1e6});
    EXPECT_EQ(bitsOf(groups, plan, 4), c.bits) << c.megabytes;
    EXPECT_NEAR(plan.loss, c.omega, 5.1e-7);
  }
  EXPECT_EQ(refusal(groups, Budget{Budget::Size, 1.7e6}),
            "a budget of 1700000 bytes cannot be met: the least that the model takes is 1769472 bytes; most of "
            "it in 'fc1' as int2 (589824 bytes, 33.3 %), 'fc2' as int2 (589824 bytes, 33.3 %), 'qkv' as int2 (442368 "
            "bytes, 25.0 %)");
  // What the message says can be met, and the same as bits per weight.
  EXPECT_EQ(bitsOf(groups, solved(groups, Budget{Budget::Size, 1769472}), 4), (std::vector<int>{2, 2, 2, 2}));
  EXPECT_EQ(bitsOf(groups, solved(groups, Budget{Budget::BitsPerWeight, 2}), 4), (std::vector<int>{2, 2, 2, 2}));
  EXPECT_NE(refusal(groups, Budget{Budget::BitsPerWeight, 1.9}).find("2.0000 bits per weight; most of it"),
            std::string::npos);
  EXPECT_EQ(bitsOf(groups, solved(groups, Budget{Budget::BitsPerWeight, 7e6 * 8 / 7077888}), 4),
            (std::vector<int>{8, 4, 8, 8}));
}

TEST(Assign, TheRestOfTheModel) {
  std::vector<Group> groups = grouped(toyBlock());
  EXPECT_EQ(solved(groups, Budget{Budget::Size, 7.5e6, 3e6}).chosen,
            solved(groups, Budget{Budget::Size, 4.5e6}).chosen);
  for (double limit : {4e6, 2e6}) // the second is taken by the rest alone
    EXPECT_EQ(
        refusal(groups, Budget{Budget::Size, limit, 3e6}),
        "a budget of " + std::to_string(int(limit)) +
            " bytes cannot be met: the least that the model takes is 4769472 bytes; most of it in 'fc1' as "
            "int2 (589824 bytes, 12.4 %), 'fc2' as int2 (589824 bytes, 12.4 %), 'qkv' as int2 (442368 bytes, 9.3 %); "
            "what is no choice takes 3000000 bytes");
  EXPECT_TRUE(solved(groups, Budget{Budget::Size, 4769472, 3e6}).warnings.empty());
}

TEST(Assign, BudgetsThatAreNone) {
  std::vector<Group> groups = grouped(toyBlock());
  EXPECT_EQ(refusal(groups, Budget{Budget::Size, 0}), "a budget of 0 for size is none; it is to be a number above 0");
  EXPECT_EQ(refusal(groups, Budget{Budget::Bops, NAN}),
            "a budget of nan for bit operations is none; it is to be a number above 0");
  EXPECT_EQ(refusal({}, {}), "there is no layer to assign bits to");
}

/// Two layers; what has few bytes has many bit operations.
std::vector<Group> opposed() {
  std::vector<Layer> layers;
  for (const char *name : {"a", "b"})
    layers.push_back({name, "", "", 100, {makeChoice(8, 1, 100, 1e6, 3), makeChoice(4, 2, 50, 2e6, 2)}});
  return grouped(layers);
}

TEST(Assign, JointlyTooLittle) {
  std::vector<Group> groups = opposed();
  solved(groups, Budget{Budget::Size, 100});
  solved(groups, Budget{Budget::Bops, 2e6});
  EXPECT_EQ(refusal(groups, {{Budget::Size, 120}, {Budget::Latency, 6}, {Budget::Bops, 2.5e6}}),
            "budgets that cannot be met together: 120 bytes and 0.0025 GBOPs; size would do with 200 bytes (1.667 "
            "times as much), "
            "or bit operations would do with 0.004 GBOPs (1.600 times as much)");
  // As it says.
  solved(groups, {{Budget::Size, 200}, {Budget::Latency, 6}, {Budget::Bops, 2.5e6}});
  solved(groups, {{Budget::Size, 120}, {Budget::Latency, 6}, {Budget::Bops, 4e6}});
}

TEST(Assign, ThreeThatAreTooLittleOnlyTogether) {
  // Each choice is bad in another cost, and any two budgets leave one choice.
  std::vector<Group> groups =
      grouped(Layer{"a",
                    "",
                    "",
                    100,
                    {makeChoice(8, 1, 9, 1e9, 1e-3), makeChoice(4, 2, 1, 9e9, 1e-3), makeChoice(2, 3, 1, 1e9, 9e-3)}});
  EXPECT_EQ(
      refusal(groups, {{Budget::Size, 2}, {Budget::Bops, 2e9}, {Budget::Latency, 2e-3}}),
      "budgets that cannot be met together: 2 bytes and 2 GBOPs and 2.0000 ms; size would do with 9 bytes (4.500 "
      "times as much), or bit operations would do with 9 GBOPs (4.500 times as much), or time would do with 9.0000 ms "
      "(4.500 times as much)");
}

TEST(Assign, EqualPlansKeepMoreBitsInFront) {
  std::vector<Layer> layers;
  for (int i = 0; i < 40; ++i)
    layers.push_back({std::to_string(i), "", "", 10, {makeChoice(8, 1, 10), makeChoice(4, 2, 5)}});
  std::vector<Group> groups = grouped(layers);
  std::vector<int> expected(40, 4);
  std::fill_n(expected.begin(), 15, 8);
  EXPECT_EQ(bitsOf(groups, solved(groups, Budget{Budget::Size, 279}), 40), expected);
  // No loss at all: as many bits as fit, from the front.
  for (Layer &layer : layers)
    for (Choice &choice : layer.choices)
      choice.loss = 0;
  groups = grouped(layers);
  EXPECT_EQ(bitsOf(groups, solved(groups, Budget{Budget::Size, 279}), 40), expected);
  // And where all that counts fits, all bits.
  EXPECT_EQ(bitsOf(groups, solved(groups, {}), 40), std::vector<int>(40, 8));
}

TEST(Assign, ComputedTimes) {
  std::vector<Layer> layers;
  for (int i = 0; i < 4; ++i)
    layers.push_back({std::to_string(i), "", "", 10, {makeChoice(8, 1, 10, 0, 2e-3), makeChoice(4, 2, 5, 0, 1e-3)}});
  layers[3].choices[0].isTimed = layers[3].choices[1].isTimed = false;
  // All in 8 bits: a quarter is computed. That is no more than a quarter.
  Assignment plan = solved(grouped(layers), Budget{Budget::Latency, 8e-3});
  EXPECT_DOUBLE_EQ(plan.computedTime, 0.25);
  EXPECT_EQ(plan.warnings, std::vector<std::string>{"25.0 % of the plan's time is computed, not measured"});
  EXPECT_TRUE(solved(grouped(layers), {}).warnings.empty());
  layers[2].choices[0].isTimed = layers[2].choices[1].isTimed = false;
  EXPECT_EQ(
      refusal(grouped(layers), Budget{Budget::Latency, 7e-3}),
      "42.9 % of the plan's time is computed, not measured, and the budget of 7.0000 ms decides the plan; measure "
      "the layers on this machine (--measure) or leave the budget out");
  // A budget that decides nothing may be of computed times.
  EXPECT_EQ(solved(grouped(layers), Budget{Budget::Latency, 9e-3}).warnings.size(), 1u);
}

TEST(Assign, SameResultOnManyThreads) {
  std::vector<Group> groups = grouped(resnet18());
  std::vector<std::vector<int>> results(4);
  std::vector<std::thread> threads;
  for (auto &result : results)
    threads.emplace_back([&] {
      for (double megabytes : {6.9, 7.5, 8.5, 9.9}) {
        Assignment plan;
        EXPECT_TRUE(assignBits(groups, {{Budget::Size, megabytes * 1e6}, {Budget::Latency, 4.5e-3}}, plan).ok());
        result.insert(result.end(), plan.chosen.begin(), plan.chosen.end());
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const auto &result : results)
    EXPECT_EQ(result, results[0]);
}

} // namespace
