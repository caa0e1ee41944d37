#include "lib/reference/Reference.h"

#include "lib/init/InitSq.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace sq;
using numerics::DType;
using numerics::Tensor;

namespace {

class Reference : public testing::Test {
protected:
  Reference() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
  }

  /// Runs `body` as @main(%x: tensor<?x2xf32>) -> `results`.
  llvm::Expected<std::vector<Tensor>> run(const std::string &results, const std::string &body,
                                          const Tensor &x, int opset = 17,
                                          const std::string &resources = "") {
    std::string text = "module attributes {onnx.opset_imports = {ai.onnx = " +
                       std::to_string(opset) +
                       " : i64}} {\n"
                       "func.func @main(%x: tensor<?x2xf32> {onnx.name = \"x\"}) -> (" +
                       results + ") {\n" + body + "\n}\n}\n" + resources;
    // The bodies are written in the generic form, whatever the ops verify.
    mlir::ParserConfig config(&context, /*verifyAfterParse=*/false);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, config);
    if (!module)
      return llvm::createStringError("the test's module does not parse");
    return reference::run(*module, {x});
  }

  mlir::MLIRContext context;
  Tensor x = Tensor::ofReals(DType::F32, {2, 2}, {1, 2, 3, 4});
};

TEST_F(Reference, RunsAChain) {
  auto y = run("tensor<?x2xf32>, tensor<2xi64>", R"(
    %w = "onnx.Constant"() {value = dense<[[1.0, 0.0], [0.5, -1.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
    %0 = "onnx.MatMul"(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    %1 = "onnx.Add"(%0, %0) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %s = "onnx.Shape"(%1) : (tensor<?x2xf32>) -> tensor<2xi64>
    return %1, %s : tensor<?x2xf32>, tensor<2xi64>)", x);
  ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
  EXPECT_EQ((*y)[0].reals, (std::vector<double>{4, -4, 10, -8}));
  EXPECT_EQ((*y)[1].integers, (std::vector<int64_t>{2, 2}));
}

TEST_F(Reference, ReadsEveryFormOfConstant) {
  auto y = run("tensor<3xi1>, tensor<2xf16>, tensor<2x2xui8>, tensor<2xbf16>", R"(
    %0 = "onnx.Constant"() {value = dense<[true, false, true]> : tensor<3xi1>} : () -> tensor<3xi1>
    %1 = "onnx.Constant"() {value = dense<1.5> : tensor<2xf16>} : () -> tensor<2xf16>
    %2 = "onnx.Constant"() {value = dense<255> : tensor<2x2xui8>} : () -> tensor<2x2xui8>
    %3 = "onnx.Constant"() {value = dense_resource<blob> : tensor<2xbf16>} : () -> tensor<2xbf16>
    return %0, %1, %2, %3 : tensor<3xi1>, tensor<2xf16>, tensor<2x2xui8>, tensor<2xbf16>)", x, 17,
               R"({-# dialect_resources: { builtin: { blob: "0x02000000803F0040" } } #-})");
  ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
  EXPECT_EQ((*y)[0].integers, (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ((*y)[1].reals, (std::vector<double>{1.5, 1.5}));
  EXPECT_EQ((*y)[2].integers, (std::vector<int64_t>{255, 255, 255, 255}));
  EXPECT_EQ((*y)[3].reals, (std::vector<double>{1, 2}));
}

TEST_F(Reference, FollowsTheOpset) {
  const char *body = R"(
    %y = "onnx.Softmax"(%x) {axis = 0 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32>)";
  Tensor same = Tensor::ofReals(DType::F32, {2, 2}, {5, 5, 5, 5});
  auto old = run("tensor<?x2xf32>", body, same, 12), current = run("tensor<?x2xf32>", body, same, 13);
  ASSERT_TRUE(old && current);
  EXPECT_EQ((*old)[0].reals[0], 0.25);    // over all elements
  EXPECT_EQ((*current)[0].reals[0], 0.5); // over the columns
}

std::string failure(llvm::Expected<std::vector<Tensor>> result) {
  return result ? "no error" : llvm::toString(result.takeError());
}

TEST_F(Reference, NamesTheNode) {
  EXPECT_EQ(failure(run("tensor<?x2xf32>", R"(
    %y = "onnx.Custom"(%x) {domain = "com.acme", op_type = "Frob", opset = 1 : i64, attributes = {}} : (tensor<?x2xf32>) -> tensor<?x2xf32> loc("here")
    return %y : tensor<?x2xf32>)", x)),
            "node \"here\" (Frob): unknown to the reference");
  EXPECT_EQ(failure(run("tensor<?x2xf32>", R"(
    %w = "onnx.Constant"() {value = dense<1.0> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
    %y = "onnx.MatMul"(%x, %w) : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x2xf32> loc("layer/MatMul")
    return %y : tensor<?x2xf32>)", x)),
            "node \"layer/MatMul\" (MatMul): matmul of [2, 2] and [3, 2]: 2 columns, 3 rows");
}

TEST_F(Reference, ChecksInputs) {
  const char *body = "return %x : tensor<?x2xf32>";
  EXPECT_EQ(failure(run("tensor<?x2xf32>", body, Tensor::zeros(DType::F32, {2, 3}))),
            "input \"x\": given f32[2, 3], expected tensor<?x2xf32>");
  EXPECT_EQ(failure(run("tensor<?x2xf32>", body, Tensor::zeros(DType::F64, {2, 2}))),
            "input \"x\": given f64[2, 2], expected tensor<?x2xf32>");
  EXPECT_EQ(failure(run("tensor<?x2xf32>", body, Tensor::zeros(DType::F32, {2}))),
            "input \"x\": given f32[2], expected tensor<?x2xf32>");
}

} // namespace
