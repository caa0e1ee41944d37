#include "lib/assign/Losses.h"

#include <algorithm>

#include "test/unit/assign/Instances.h"

using namespace sq;
using namespace sq::assign;

namespace {

TEST(Losses, Formulas) {
  // Specs, section 2: X X^T = [[5, 2], [2, 2]], two outputs: the trace of the Hessian is 14, dW has .14 in squares.
  EXPECT_DOUBLE_EQ(traceLoss(14, 4, .14), .49);
  EXPECT_EQ(traceLoss(14, 0, 0), 0);
  EXPECT_DOUBLE_EQ(dataFreeLoss(.1, 10, 30, 60), .005);
  EXPECT_EQ(dataFreeLoss(0, 0, 30, 60), 0);
}

TEST(Losses, Probe) {
  Layer layer{"a", "", "", 1, {makeChoice(8, .01, 1), makeChoice(4, 3, 1), makeChoice(2, 60, 1)}};
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
  EXPECT_DOUBLE_EQ(rankingDistance({1, 1, 2}, {5, 6, 5.5}), 1.0 / 2); // the first pair is in no order
  EXPECT_EQ(rankingDistance({}, {}), 0);
  EXPECT_EQ(rankingDistance({1}, {2}), 0);
}

TEST(Losses, Controls) {
  std::vector<Group> groups = grouped(resnet18());
  std::vector<double> own = sensitivitiesOf(groups), turned = reversed(own), mixed = shuffled(own, 1);
  EXPECT_EQ(rankingDistance(own, turned), 1);
  EXPECT_NE(mixed, own);
  EXPECT_EQ(mixed, shuffled(own, 1));
  EXPECT_NE(mixed, shuffled(own, 2));
  for (std::vector<double> other : {turned, mixed}) {
    std::vector<double> sorted = own;
    std::sort(sorted.begin(), sorted.end());
    std::sort(other.begin(), other.end());
    EXPECT_EQ(other, sorted);
  }
  // The plan by losses is better than twenty by shuffled ones, and those by reversed ones are worse than their median.
  Budget budget{Budget::Size, 7.5e6};
  auto lossOf = [&](std::vector<Group> by) {
    Assignment plan;
    EXPECT_TRUE(assignBits(by, budget, plan).ok());
    EXPECT_GT(plan.cost(Cost::Bytes), 0.9 * budget.limit); // it uses what there is
    return assignmentOf(groups, plan.chosen).loss;
  };
  std::vector<double> losses;
  for (uint64_t seed = 0; seed < 20; ++seed)
    losses.push_back(lossOf(withSensitivities(groups, shuffled(own, seed))));
  std::sort(losses.begin(), losses.end());
  EXPECT_LT(lossOf(groups), losses.front());
  EXPECT_LT(lossOf(groups), lossOf(withSensitivities(groups, own)) * (1 + 1e-12));
  EXPECT_GT(lossOf(withSensitivities(groups, turned)), losses[10]);
}

TEST(Losses, NothingKnown) {
  std::vector<Group> groups =
      grouped({{"a", "", "", 0, {makeChoice(8, 1, 1)}}, {"b", "", "", 5, {makeChoice(8, 0, 1)}}});
  EXPECT_EQ(sensitivitiesOf(groups), (std::vector<double>{0, 0}));
}

} // namespace
