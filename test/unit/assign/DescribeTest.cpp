#include "lib/assign/Describe.h"

#include "lib/quantization/Plan.h"
#include "test/unit/assign/Instances.h"

using namespace sq;
using namespace sq::assign;

namespace {

struct Describe : testing::Test {
  std::vector<Layer> layers;
  std::vector<Group> groups;
  std::vector<Budget> budgets{{Budget::Size, 290}, {Budget::BitsPerWeight, 8}};
  Assignment result;

  void SetUp() override {
    layers = {{"q", "qkv", "", 100, {makeChoice(8, .25, 100, 1e9, 1e-3), makeChoice(4, 3, 60, 5e8, 2e-3)}},
              {"out #1", "", "", 200, {makeChoice(8, .5, 200, 2e9, 1e-3), makeChoice(4, 1, 110, 1e9, 1e-3)}},
              {"k", "qkv", "", 50, {makeChoice(8, .125, 50, 1e9, 1e-3), makeChoice(4, 2, 30, 5e8, 1e-3)}}};
    for (Layer &layer : layers)
      layer.choices[1].name = "lut4+0.45%";
    layers[2].choices[0].isTimed = false;
    groups = grouped(layers);
    Status status = assignBits(groups, budgets, result);
    ASSERT_TRUE(status.ok()) << status.message;
  }
  Solved solved() const { return {layers, groups, budgets, result, "direct, 64 samples"}; }
};

TEST_F(Describe, PlanComesBack) {
  std::string text;
  ASSERT_TRUE(planText(solved(), text).ok());
  EXPECT_EQ(text, "# PATTERN = PRECISION, the last line that matches a layer counts; sq-compile --plan reads it.\n"
                  "# optimal: expected loss 1.375, 260 bytes, 5.9429 bits per weight\n"
                  "# budget: 290 bytes\n"
                  "# budget: 8.0000 bits per weight\n"
                  "# losses: direct, 64 samples\n"
                  "q = int8  # loss 0.25, 100 bytes, tied to 1 more\n"
                  "\"out #1\" = lut4+0.45%  # loss 1, 110 bytes\n"
                  "k = int8  # loss 0.125, 50 bytes, tied to 1 more\n");
  sq::Plan plan;
  ASSERT_TRUE(sq::Plan::parse(text, "p", plan).ok());
  EXPECT_EQ(plan.find({"out #1"})->text(), "lut4+0.45%");
  EXPECT_EQ(plan.find({"k"})->precision, LayerPrecision::Int8);
}

TEST_F(Describe, NamesThatPlansDoNotHave) {
  for (Layer &layer : layers)
    layer.choices[0].name = "int9";
  groups = grouped(layers);
  std::string text;
  EXPECT_EQ(planText(solved(), text).message.substr(0, 45), "the layer 'q': 'int9' is no precision; known ");
}

TEST_F(Describe, Table) {
  EXPECT_EQ(assignmentTable(solved()),
            "Assignment of bits: optimal, expected loss 1.375 (direct, 64 samples)\n"
            "260 bytes, 5.9429 bits per weight, 3 GBOPs, 3 ms\n"
            "budget 290 bytes: 89.66 % of it used\n"
            "budget 8.0000 bits per weight: 74.29 % of it used\n"
            "choice                 loss        bytes        GBOPs       time  layer: losses\n"
            "int8                   0.25          100            1       1 ms  q: int8 0.25 lut4+0.45% 3\n"
            "lut4+0.45%                1          110            1       1 ms  out #1: int8 0.5 lut4+0.45% 1\n"
            "int8                  0.125           50            1      ~1 ms  k: int8 0.125 lut4+0.45% 2\n");
}

TEST_F(Describe, Json) {
  llvm::json::Value value = assignmentJson(solved());
  const llvm::json::Object &object = *value.getAsObject();
  EXPECT_EQ(object.getString("status"), "optimal");
  EXPECT_EQ(object.getObject("totals")->getNumber("bytes"), 260);
  EXPECT_EQ(object.getArray("budgets")->front().getAsObject()->getNumber("slack"), 30);
  const llvm::json::Object &last = *object.getArray("layers")->back().getAsObject();
  EXPECT_EQ(last.getString("name"), "k");
  EXPECT_EQ(last.getString("group"), "q and 1 other");
  EXPECT_EQ(last.getString("chosen"), "int8");
  EXPECT_EQ(last.getArray("choices")->front().getAsObject()->getBoolean("timed"), false);
}

TEST(FrontPicture, OfAResult) {
  std::vector<Layer> layers = toyBlock();
  layers.push_back({"head", "", "", 10, {makeChoice(16, 0, 500000)}});
  std::vector<Group> groups = grouped(layers);
  std::vector<Budget> budgets{{Budget::Size, 8e6, 5e5}, {Budget::Bops, 1}, {Budget::BitsPerWeight, 16}};
  Assignment result;
  ASSERT_TRUE(assignBits(groups, budgets, result).ok());
  Front front = paretoFront(groups, Cost::Bytes);
  FrontPicture picture = frontPicture({layers, groups, budgets, result, ""}, front, Cost::Bytes);
  EXPECT_EQ(picture.front.size(), 18u);
  EXPECT_EQ(picture.costLabel, "size (MB)");
  EXPECT_DOUBLE_EQ(*picture.limit, 8);
  EXPECT_DOUBLE_EQ(picture.chosen->cost, (result.cost(Cost::Bytes) + 5e5) / 1e6);
  ASSERT_EQ(picture.marks.size(), 3u); // the head is in none of them
  EXPECT_EQ(picture.marks[1].text, "int4");
  EXPECT_DOUBLE_EQ(picture.marks[1].cost, 3.538944 + 0.5 + 0.5);
  EXPECT_NE(paretoSvg(picture).find("int4</text>"), std::string::npos);
}

TEST_F(Describe, Comparison) {
  result.comparison = "surest of 3 plans";
  std::string text;
  ASSERT_TRUE(planText(solved(), text).ok());
  EXPECT_NE(text.find("\n# surest of 3 plans\n# budget: "), std::string::npos) << text;
  EXPECT_NE(assignmentTable(solved()).find("\nsurest of 3 plans\n"), std::string::npos);
  EXPECT_EQ(assignmentJson(solved()).getAsObject()->getString("comparison"), "surest of 3 plans");
}

TEST(Status, HowFar) {
  Assignment result;
  result.kind = Answer::Stopped;
  result.loss = 1.05;
  result.bound = 1;
  EXPECT_EQ(statusText(result), "best found, at most 5.00 % above the optimum");
}

} // namespace
