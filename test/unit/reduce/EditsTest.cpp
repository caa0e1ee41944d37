#include "lib/reduce/Edits.h"

#include "gtest/gtest.h"
#include "onnx/defs/parser.h"

#include <cstring>

using namespace sq::reduce;
using ::onnx::ModelProto;
using ::onnx::TensorProto;

namespace {

ModelProto parse(const char *graph) {
  ModelProto model;
  std::string text = std::string("<ir_version: 8, opset_import: [\"\" : 17, \"unused\" : 1]>\n") + graph;
  auto status = ::onnx::OnnxParser::Parse(model, text.c_str());
  EXPECT_TRUE(status.IsOK()) << status.ErrorMessage();
  return model;
}

std::vector<float> floats(const TensorProto &tensor) {
  std::vector<float> values(tensor.raw_data().size() / 4);
  std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return values;
}

constexpr const char *kReshape = R"(g (float[2, 6] x) => (float[2, 2, 3] y)
<float[2, 6] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, int64[3] shape = {2, 2, 3}>
{
  a = Add(x, w)
  y = Reshape(a, shape)
}
)";

TEST(Edits, DimsOfAllKinds) {
  EXPECT_EQ(dimsOf(parse(kReshape)), (std::vector<int64_t>{6, 3, 2}));
}

TEST(Edits, ShrinkingCutsTensorsAndShapes) {
  ModelProto model = parse(kReshape);
  ASSERT_TRUE(shrinkDim(model, 6, 3));
  const TensorProto &w = model.graph().initializer(0);
  EXPECT_EQ(w.dims(1), 3);
  EXPECT_EQ(floats(w), (std::vector<float>{0, 1, 2, 6, 7, 8})); // the first three of each row
  EXPECT_EQ(model.graph().input(0).type().tensor_type().shape().dim(1).dim_value(), 3);
  ASSERT_TRUE(shrinkDim(model, 2, 1)); // the values of `shape` too
  int64_t shape[3];
  std::memcpy(shape, model.graph().initializer(1).raw_data().data(), sizeof shape);
  EXPECT_EQ(shape[0], 1);
  EXPECT_EQ(shape[2], 3);
  EXPECT_EQ(whyInvalid(model, /*inferring=*/true), "");
}

TEST(Edits, AnInitializerAsInputHasItsType) {
  ModelProto model = parse(kReshape);
  ASSERT_TRUE(initializerToInput(model, "w"));
  EXPECT_FALSE(initializerToInput(model, "w"));
  ASSERT_EQ(model.graph().input_size(), 2);
  EXPECT_EQ(model.graph().input(1).type().tensor_type().shape().dim(1).dim_value(), 6);
  EXPECT_EQ(model.graph().initializer_size(), 1);
  EXPECT_EQ(whyInvalid(model, /*inferring=*/true), "");
}

TEST(Edits, ZerosAreForFloatsOnce) {
  ModelProto model = parse(kReshape);
  EXPECT_FALSE(zeroInitializer(model, "shape"));
  ASSERT_TRUE(zeroInitializer(model, "w"));
  EXPECT_EQ(floats(model.graph().initializer(0)), std::vector<float>(12));
  EXPECT_FALSE(zeroInitializer(model, "w"));
}

TEST(Edits, ConstantNodesThatAreNoOutputsBecomeInitializers) {
  ModelProto model = parse(R"(g (float[2] x) => (float[2] y, float[2] d) {
    c = Constant<value = float[2] {1, 2}>()
    d = Constant<value = float[2] {1, 2}>()
    y = Add(x, c)
  })");
  ASSERT_TRUE(constantsToInitializers(model));
  EXPECT_EQ(model.graph().node_size(), 2);
  ASSERT_EQ(model.graph().initializer_size(), 1);
  EXPECT_EQ(model.graph().initializer(0).name(), "c");
  EXPECT_FALSE(constantsToInitializers(model));
}

TEST(Edits, UnusedInputsAndOpsetsGo) {
  ModelProto model = parse("g (float[2] x, float[2] z) => (float[2] y) { y = Relu(x) }");
  ASSERT_TRUE(dropUnused(model));
  EXPECT_EQ(model.graph().input_size(), 1);
  EXPECT_EQ(model.opset_import_size(), 1);
  EXPECT_FALSE(dropUnused(model));
}

TEST(Edits, MetadataGoes) {
  ModelProto model = parse("g (float[2] x) => (float[2] y) { y = Relu(x) }");
  EXPECT_FALSE(dropMetadata(model));
  model.set_producer_name("someone");
  model.mutable_graph()->mutable_node(0)->set_doc_string("why");
  EXPECT_TRUE(dropMetadata(model));
  EXPECT_TRUE(model.graph().node(0).doc_string().empty());
}

} // namespace
