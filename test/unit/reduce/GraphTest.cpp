#include "lib/reduce/Graph.h"

#include "gtest/gtest.h"
#include "onnx/defs/parser.h"

using namespace sq::reduce;
using ::onnx::ModelProto;

namespace {

ModelProto parse(const char *graph) {
  ModelProto model;
  std::string text = std::string("<ir_version: 8, opset_import: [\"\" : 17]>\n") + graph;
  auto status = ::onnx::OnnxParser::Parse(model, text.c_str());
  EXPECT_TRUE(status.IsOK()) << status.ErrorMessage();
  return model;
}

/// "Relu Add | x c | y": operators, inputs, outputs.
std::string outline(const ModelProto &model) {
  std::string text;
  for (const auto &node : model.graph().node())
    text += node.op_type() + " ";
  text += "|";
  for (const auto &input : model.graph().input())
    text += " " + input.name();
  text += " |";
  for (const auto &output : model.graph().output())
    text += " " + output.name();
  return text;
}

constexpr const char *kChain = R"(g (float[n, 4] x) => (float[n, 4] y)
<float[4] w = {1, 2, 3, 4}, float[4] unused = {1, 2, 3, 4}>
{
  a = Relu(x)
  c = Constant<value = float[4] {1, 1, 1, 1}>()
  b = Add(a, w)
  d = Mul(b, c)
  y = Neg(d)
}
)";

TEST(Graph, WhatNothingReadsIsPruned) {
  ModelProto model = parse(kChain);
  model.mutable_graph()->mutable_output(0)->set_name("b");
  prune(model);
  EXPECT_EQ(outline(model), "Relu Add | x | b");
  ASSERT_EQ(model.graph().initializer_size(), 1);
  EXPECT_EQ(model.graph().initializer(0).name(), "w");
}

TEST(Graph, WhatIsCutBecomesInputAndOutput) {
  ModelProto model = parse(kChain);
  // Only Mul: its constant stays with it.
  ASSERT_TRUE(keepNodes(model, {false, false, false, true, false}, inferTypes(model)));
  EXPECT_EQ(outline(model), "Constant Mul | x b | d");
  EXPECT_EQ(whyInvalid(model, /*inferring=*/true), "");
}

TEST(Graph, ValuesOfUnknownTypeAreNotCut) {
  ModelProto model = parse(kChain);
  model.mutable_graph()->mutable_node(2)->set_domain("com.example"); // the rest is unknown to inference
  EXPECT_FALSE(keepNodes(model, {true, true, true, true, false}, inferTypes(model)));
}

TEST(Graph, NothingLeftIsNoModel) {
  ModelProto model = parse(kChain);
  EXPECT_FALSE(keepNodes(model, std::vector<bool>(5), inferTypes(model)));
}

TEST(Graph, BypassLeavesTheRestConnected) {
  ModelProto model = parse(kChain);
  Types types = inferTypes(model);
  EXPECT_EQ(bypassOf(model, 2, types), 0); // Add: its first operand has the result's type
  ASSERT_TRUE(bypass(model, 2, 0));
  EXPECT_EQ(outline(model), "Relu Constant Mul Neg | x | y");
  EXPECT_EQ(model.graph().node(2).input(0), "a");
  EXPECT_EQ(model.graph().initializer_size(), 0);
  // The last node's value is the model's output, which may be called otherwise.
  ASSERT_TRUE(bypass(model, 3, 0));
  EXPECT_EQ(outline(model), "Relu Constant Mul | x | d");
  EXPECT_EQ(whyInvalid(model, /*inferring=*/true), "");
}

TEST(Graph, AnInputOfTheModelCannotBeItsOutput) {
  ModelProto model = parse("g (float[4] x) => (float[4] y) { y = Relu(x) }");
  EXPECT_FALSE(bypass(model, 0, 0));
}

TEST(Graph, NamesUsedInsideOfBodiesCount) {
  ModelProto model = parse(R"(g (bool c, float[4] x) => (float[4] y) {
    a = Relu(x)
    b = Abs(x)
    y = If (c) <then_branch = t () => (float[4] u) { u = Neg(a) }, else_branch = e () => (float[4] v) { v = Add(b, b) }>
  })");
  EXPECT_EQ(usesOf(model.graph().node(2)), (std::set<std::string>{"a", "b", "c"}));
  prune(model);
  EXPECT_EQ(model.graph().node_size(), 3);
  ASSERT_TRUE(keepNodes(model, {false, false, true}, inferTypes(model)));
  EXPECT_EQ(outline(model), "If | c x a b | y");
}

} // namespace
