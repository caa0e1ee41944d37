#include "lib/assign/Alternatives.h"

#include <cmath>

#include "test/unit/assign/Instances.h"

using namespace sq;
using namespace sq::assign;

namespace {

TEST(Alternatives, UniformPlans) {
  std::vector<Layer> layers = toyBlock();
  std::vector<Group> groups = grouped(layers);
  auto plans = uniformPlans(groups);
  ASSERT_EQ(plans.size(), 3u);
  const int bits[] = {8, 4, 2};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(plans[i].first, "int" + std::to_string(bits[i]));
    EXPECT_EQ(bitsOf(groups, plans[i].second, 4), std::vector<int>(4, bits[i]));
  }
  auto best = bestUniform(groups, {Budget{Budget::BitsPerWeight, 5}});
  ASSERT_TRUE(best);
  EXPECT_EQ(bitsOf(groups, *best, 4), std::vector<int>(4, 4));
  EXPECT_FALSE(bestUniform(groups, {Budget{Budget::BitsPerWeight, 1.5}}));

  // A fixed layer stays as it is; a choice that one lacks is no uniform plan.
  layers[1].choices.resize(1);
  layers[2].choices.pop_back();
  groups = grouped(layers);
  plans = uniformPlans(groups);
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(bitsOf(groups, plans[1].second, 4), (std::vector<int>{4, 8, 4, 4}));
}

/// The more harm counts, the fewer layers have less bits than in the uniform plan; in the end none.
TEST(Alternatives, HarmKeepsPlansNear) {
  std::vector<Group> groups = grouped(toyBlock());
  std::vector<Budget> budgets{{Budget::BitsPerWeight, 4}};
  auto uniform = bestUniform(groups, budgets);
  ASSERT_TRUE(uniform);
  int before = 4;
  for (double factor : {1.0, 4.0, 64.0, 1e6}) {
    std::vector<Group> careful = withHarm(groups, *uniform, factor);
    for (size_t g = 0; g < groups.size(); ++g)
      for (size_t c = 0; c < 3; ++c)
        EXPECT_EQ(careful[g].choices[c].loss, groups[g].choices[c].loss * (c == 2 ? factor : 1));
    Assignment plan;
    ASSERT_TRUE(assignBits(careful, budgets, plan).ok());
    std::vector<int> bits = bitsOf(careful, plan, 4);
    int harmed = std::count(bits.begin(), bits.end(), 2);
    EXPECT_LE(harmed, before);
    before = harmed;
  }
  EXPECT_EQ(before, 0);
}

TEST(Alternatives, Differences) {
  Difference difference = differenceOf({1, 2, 6}, {2, 2, 2});
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  // Of -1, 0, 4: sum of squares 14, by 2 and 3.
  EXPECT_DOUBLE_EQ(difference.error, std::sqrt(14.0 / 2 / 3));
  difference = differenceOf({3}, {5});
  EXPECT_DOUBLE_EQ(difference.mean, -2);
  EXPECT_EQ(difference.error, 0);
}

TEST(Alternatives, SurestPlan) {
  const std::vector<double> base{2, 2, 2, 2}, sure{1.5, 1.6, 1.5, 1.6}, lucky{-6, 2.5, 2.5, 2.5}, worse{3, 3, 3, 3};
  ASSERT_LT(differenceOf(lucky, base).mean, differenceOf(sure, base).mean);
  // One sample says that `lucky` is better, each says it of `sure`.
  EXPECT_EQ(surestPlan({lucky, sure, worse, base}, 3), 1u);
  EXPECT_EQ(surestPlan({worse, lucky, base}, 2), 1u); // still better than the base
  EXPECT_EQ(surestPlan({worse, base}, 1), 1u);
  EXPECT_EQ(surestPlan({base, worse, sure}, 0), 2u);
  // Of equal ones the first; what equals the base is no better.
  EXPECT_EQ(surestPlan({sure, sure, base}, 2), 0u);
  EXPECT_EQ(surestPlan({base, base}, 1), 1u);
  EXPECT_EQ(surestPlan({base}, 0), 0u);
  // Of a single sample there is no spread.
  EXPECT_EQ(surestPlan({{2}, {1}, {3}}, 2), 1u);
}

} // namespace
