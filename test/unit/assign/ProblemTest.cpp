#include "test/unit/assign/Instances.h"

#include <cmath>

using namespace sq;
using namespace sq::assign;

namespace {

std::string refusal(llvm::ArrayRef<Layer> layers) {
  Groups groups;
  Status status = makeGroups(layers, groups);
  EXPECT_EQ(status.code, ExitCode::Refused);
  return status.message;
}

TEST(Problem, TiesJoinAndSum) {
  std::vector<Layer> layers{
      {"q", "qkv", "", 10, {makeChoice(4, 3, 5, 40, 1), makeChoice(8, 1, 10, 80, 2)}},
      {"other", "", "", 7, {makeChoice(8, 1, 7)}},
      {"v", "qkv", "", 20, {makeChoice(8, .5, 20, 160, 3), makeChoice(2, 9, 5, 9, 9), makeChoice(4, 4, 10, 80, 2)}}};
  layers[2].choices[2].isTimed = false;
  std::vector<Group> groups = grouped(layers);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].name, "q and 1 other");
  EXPECT_EQ(groups[0].layers, (std::vector<size_t>{0, 2}));
  EXPECT_EQ(groups[0].elements, 30);
  ASSERT_EQ(groups[0].choices.size(), 2u); // what both have
  EXPECT_EQ(groups[0].choices[0].name, "int8");
  EXPECT_EQ(groups[0].choices[0].loss, 1.5);
  EXPECT_EQ(groups[0].choices[0].cost(Cost::Bops), 240);
  EXPECT_TRUE(groups[0].choices[0].isTimed);
  EXPECT_EQ(groups[0].choices[1].cost(Cost::Bytes), 15);
  EXPECT_FALSE(groups[0].choices[1].isTimed);
}

TEST(Problem, SharedWeightsCountOnce) {
  // An embedding that is the head, too, and two uses of a third layer that are tied to it by name.
  std::vector<Layer> layers{{"embedding", "", "table", 10, {makeChoice(8, 1, 10, 0, 1), makeChoice(4, 2, 5, 0, 1)}},
                            {"head", "", "table", 10, {makeChoice(8, 3, 10, 80, 2), makeChoice(4, 5, 5, 40, 1)}}};
  std::vector<Group> groups = grouped(layers);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].elements, 10);
  EXPECT_EQ(groups[0].choices[0].cost(Cost::Bytes), 10);
  EXPECT_EQ(groups[0].choices[0].cost(Cost::Seconds), 3);
  EXPECT_EQ(groups[0].choices[1].loss, 7);
}

TEST(Problem, BothKindsOfTiesJoin) {
  std::vector<Layer> layers;
  for (auto [name, tie, storage] : {std::tuple("a", "t", ""), {"b", "", "s"}, {"c", "t", "s"}, {"d", "", ""}})
    layers.push_back({name, tie, storage, 1, {makeChoice(8, 1, 1)}});
  std::vector<Group> groups = grouped(layers);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].layers, (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(groups[0].name, "a and 2 others");
}

TEST(Problem, NothingInCommon) {
  EXPECT_EQ(
      refusal({{"q", "qkv", "", 1, {makeChoice(8, 1, 1)}},
               {"k", "qkv", "", 1, {makeChoice(8, 1, 1), makeChoice(4, 1, 1)}},
               {"v", "qkv", "", 1, {makeChoice(3, 1, 1), makeChoice(4, 1, 1)}}}),
      "layers that must have the same bits have no choice in common: 'q' (int8), 'k' (int8, int4), 'v' (int3, int4); "
      "give them one, or do not tie them");
}

TEST(Problem, Refusals) {
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {}}), "the layer 'a' has no choice of bits; no kernel takes it");
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {makeChoice(8, NAN, 1)}}),
            "the layer 'a' as int8 has a loss of nan: its sensitivity or its rounding error is not finite");
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {makeChoice(8, INFINITY, 1)}}),
            "the layer 'a' as int8 has a loss of inf: its sensitivity or its rounding error is not finite");
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {makeChoice(8, 1, 1, NAN)}}),
            "the layer 'a' as int8 has a bit operations of nan; it is to be a finite number from 0 on");
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {makeChoice(8, 1, -1)}}),
            "the layer 'a' as int8 has a size of -1; it is to be a finite number from 0 on");
  EXPECT_EQ(refusal(Layer{"a", "", "", 1, {makeChoice(8, 1, 1), makeChoice(8, 1, 1)}}),
            "the layer 'a' has two choices called int8");
  EXPECT_EQ(refusal({{"a", "", "", 1, {makeChoice(8, 1, 1)}}, {"a", "", "", 1, {makeChoice(8, 1, 1)}}}),
            "two layers are called 'a'");
}

TEST(Problem, Warnings) {
  Groups groups;
  ASSERT_TRUE(
      makeGroups({{"a", "", "", 1, {makeChoice(8, -2e-3, 1)}}, {"b", "", "", 1, {makeChoice(8, 1, 1)}}}, groups).ok());
  EXPECT_EQ(groups.warnings, std::vector<std::string>{"the layer 'a' as int8 has a loss of -0.002, below zero: its "
                                                      "sensitivity is noise, and counts as 0"});
  EXPECT_EQ(groups.all[0].choices[0].loss, 0);
  ASSERT_TRUE(makeGroups(Layer{"a", "", "", 1, {makeChoice(8, 0, 1)}}, groups).ok());
  EXPECT_EQ(groups.warnings, std::vector<std::string>{"all losses are 0: the sensitivities say nothing, most bits are "
                                                      "kept from the first layer on"});
}

} // namespace
