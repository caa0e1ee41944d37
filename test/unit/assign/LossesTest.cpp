#include "lib/assign/Losses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "llvm/ADT/STLExtras.h"

#include "test/unit/assign/Instances.h"

using namespace sq;
using namespace sq::assign;

namespace {

TEST(Losses, Formulas) {
  // Specs, section 2: X X^T = [[5, 2], [2, 2]], two outputs: the trace of the
  // Hessian is 14, dW has .14 in squares.
  EXPECT_DOUBLE_EQ(traceLoss(14, 4, .14), .49);
  EXPECT_EQ(traceLoss(14, 0, 0), 0);
  EXPECT_DOUBLE_EQ(dataFreeLoss(.1, 10, 30, 60), .005);
  EXPECT_EQ(dataFreeLoss(0, 0, 30, 60), 0);
}

TEST(Losses, Probe) {
  Layer layer{
      "a",
      "",
      "",
      1,
      {makeChoice(8, .01, 1), makeChoice(4, 3, 1), makeChoice(2, 60, 1)}};
  scaleToProbe(layer, 1, .6);
  EXPECT_DOUBLE_EQ(layer.choices[0].loss, .002);
  EXPECT_EQ(layer.choices[1].loss, .6);
  EXPECT_DOUBLE_EQ(layer.choices[2].loss, 12);
  scaleToProbe(layer, 1, -1e-9); // below the noise of the measurement
  EXPECT_EQ(layer.choices[1].loss, .6);
  layer.choices[1].loss = 0;
  scaleToProbe(layer, 1, 5);
  EXPECT_DOUBLE_EQ(layer.choices[2].loss, 12);
}

TEST(Losses, RankingDistance) {
  EXPECT_EQ(rankingDistance({1, 2, 3, 4}, {10, 20, 30, 40}), 0);
  EXPECT_EQ(rankingDistance({1, 2, 3, 4}, {4, 3, 2, 1}), 1);
  EXPECT_DOUBLE_EQ(rankingDistance({1, 2, 3, 4}, {1, 2, 4, 3}), 1.0 / 6);
  EXPECT_DOUBLE_EQ(rankingDistance({1, 1, 2}, {5, 6, 5.5}),
                   1.0 / 2); // the first pair is in no order
  EXPECT_EQ(rankingDistance({}, {}), 0);
  EXPECT_EQ(rankingDistance({1}, {2}), 0);
}

TEST(Losses, Controls) {
  std::vector<Group> groups = grouped(resnet18());
  std::vector<double> own = sensitivitiesOf(groups);
  std::vector<size_t> turned = reversedGroups(groups),
                      mixed = shuffledGroups(groups, 1), same(groups.size());
  std::iota(same.begin(), same.end(), 0);
  auto sensitivities = [&](llvm::ArrayRef<size_t> from) {
    std::vector<double> result;
    for (size_t i : from)
      result.push_back(own[i]);
    return result;
  };
  EXPECT_EQ(rankingDistance(own, sensitivities(turned)), 1);
  EXPECT_NE(mixed, same);
  EXPECT_EQ(mixed, shuffledGroups(groups, 1));
  EXPECT_NE(mixed, shuffledGroups(groups, 2));
  for (std::vector<size_t> from : {turned, mixed}) {
    // What a group loses is what the other one does, weight by weight.
    std::vector<Group> others = withLossesFrom(groups, from);
    for (auto [i, g] : llvm::enumerate(from))
      EXPECT_NEAR(sensitivitiesOf(others)[i], own[g], 1e-12 * own[g]);
    std::sort(from.begin(), from.end());
    EXPECT_EQ(from, same);
  }
  // The plan by losses is better than twenty by shuffled ones, and that by
  // reversed ones is worse than their median.
  Budget budget{Budget::Size, 7.5e6};
  auto lossOf = [&](llvm::ArrayRef<size_t> from) {
    Assignment plan;
    EXPECT_TRUE(assignBits(withLossesFrom(groups, from), budget, plan).ok());
    EXPECT_GT(plan.cost(Cost::Bytes),
              0.9 * budget.limit); // it uses what there is
    return assignmentOf(groups, plan.chosen).loss;
  };
  std::vector<double> losses;
  for (uint64_t seed = 0; seed < 20; ++seed)
    losses.push_back(lossOf(shuffledGroups(groups, seed)));
  std::sort(losses.begin(), losses.end());
  EXPECT_LT(lossOf(same), losses.front());
  EXPECT_GT(lossOf(turned), losses[10]);
}

/// Losses are exchanged by the names of choices, also where they do not fall by
/// 4 with each bit; what the other group has no choice for follows from its
/// sensitivity, and a group that is fixed keeps what it has.
TEST(Losses, Exchange) {
  auto layer = [](const char *name, int64_t elements,
                  std::vector<Choice> choices) {
    return Layer{name, "", "", elements, std::move(choices)};
  };
  std::vector<Group> groups =
      grouped({layer("a", 100, {makeChoice(8, .1, 100), makeChoice(4, .3, 50)}),
               layer("fixed", 10, {makeChoice(4, 7, 5)}),
               layer("b", 200,
                     {makeChoice(8, 1, 200), makeChoice(6, 2, 150),
                      makeChoice(4, 5, 100)})});
  EXPECT_EQ(reversedGroups(groups), (std::vector<size_t>{2, 1, 0}));
  std::vector<Group> turned = withLossesFrom(groups, reversedGroups(groups));
  EXPECT_DOUBLE_EQ(turned[0].choices[0].loss, .5);
  EXPECT_DOUBLE_EQ(turned[0].choices[1].loss, 2.5);
  EXPECT_EQ(turned[1].choices[0].loss, 7);
  EXPECT_DOUBLE_EQ(turned[2].choices[0].loss, .2);
  EXPECT_DOUBLE_EQ(turned[2].choices[1].loss,
                   sensitivitiesOf(groups)[0] * 200 * std::pow(4.0, -6));
  EXPECT_DOUBLE_EQ(turned[2].choices[2].loss, .6);
}

TEST(Losses, NothingKnown) {
  std::vector<Group> groups =
      grouped({{"a", "", "", 0, {makeChoice(8, 1, 1)}},
               {"b", "", "", 5, {makeChoice(8, 0, 1)}}});
  EXPECT_EQ(sensitivitiesOf(groups), (std::vector<double>{0, 0}));
}

} // namespace
