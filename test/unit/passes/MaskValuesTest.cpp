#include "passes/analysis/MaskValues.h"

#include "lib/init/InitSq.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace {

struct MaskValues : testing::Test {
  DialectRegistry registry;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;

  MaskValues() {
    sq::registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry);
  }

  /// Of what a function of these arguments and lines returns, a tensor<4xf32>.
  std::optional<sq::BooleanMask> maskOf(const std::string &arguments, const std::string &lines) {
    module = parseSourceString<ModuleOp>("func.func @f(" + arguments + ") -> tensor<4xf32> {\n" + lines + "}\n", context.get());
    EXPECT_TRUE(module) << lines;
    auto func = *module->getOps<func::FuncOp>().begin();
    return sq::booleanMask(func.front().getTerminator()->getOperand(0));
  }

  /// An elementwise loop over `ins` of `types` into f32.
  static std::string loop(const std::string &result, const std::string &ins, const std::string &types, const std::string &arguments,
                          const std::string &body) {
    std::string map = "affine_map<(d0) -> (d0)>", maps = map;
    for (char c : ins)
      maps += c == ',' ? ", " + map : "";
    return "  %init" + result + " = tensor.empty() : tensor<4xf32>\n  %" + result + " = linalg.generic {indexing_maps = [" + maps + ", " + map +
           "], iterator_types = [\"parallel\"]} ins(" + ins + " : " + types + ") outs(%init" + result + " : tensor<4xf32>) {\n  ^bb0(" +
           arguments + ", %out" + result + ": f32):\n" + body + "  } -> tensor<4xf32>\n";
  }
  static std::string constant(const std::string &name, const std::string &value) {
    return "  %" + name + " = arith.constant " + value + " : f32\n";
  }
};

TEST_F(MaskValues, Choice) {
  for (auto [low, isUniform] : {std::pair("0xFF800000", false), {"-1.0e4", true}, {"-3.40282347E+38", true}}) {
    auto mask = maskOf("%m: tensor<4xi1>", constant("no", low) + constant("yes", "0.0") +
                                               loop("y", "%m", "tensor<4xi1>", "%b: i1", "    %s = arith.select %b, %yes, %no : f32\n    linalg.yield %s : f32\n") +
                                               "  return %y : tensor<4xf32>\n");
    ASSERT_TRUE(mask) << low;
    EXPECT_TRUE(mask->hides);
    EXPECT_EQ(mask->isUniform, isUniform) << low;
    EXPECT_FALSE(mask->assumed);
  }
}

// (1 - mask) * -10000, the mask an input of integers.
TEST_F(MaskValues, Arithmetic) {
  std::string inverted = constant("one", "1.0") + loop("x", "%m", "tensor<4xi64>", "%b: i64",
                                                       "    %f = arith.sitofp %b : i64 to f32\n    %s = arith.subf %one, %f : f32\n    linalg.yield %s : f32\n");
  auto scaled = [&](const std::string &by) {
    return maskOf("%m: tensor<4xi64>", inverted + constant("by", by) +
                                           loop("y", "%x", "tensor<4xf32>", "%b: f32", "    %s = arith.mulf %b, %by : f32\n    linalg.yield %s : f32\n") +
                                           "  return %y : tensor<4xf32>\n");
  };
  auto mask = scaled("-10000.0");
  ASSERT_TRUE(mask);
  EXPECT_TRUE(mask->assumed);
  EXPECT_TRUE(mask->isUniform);
  EXPECT_FALSE(scaled("-9.0")); // a penalty, not a mask
  EXPECT_FALSE(scaled("10000.0"));
  EXPECT_FALSE(scaled("0x7FC00000")); // NaN
}

// The minimum or the sum of two masks hides what either hides.
TEST_F(MaskValues, Several) {
  auto both = [&](const std::string &op) {
    std::string choice = "    %s = arith.select %b, %yes, %no : f32\n    linalg.yield %s : f32\n";
    return maskOf("%m: tensor<4xi1>, %n: tensor<4xi1>",
                  constant("no", "-1.0e4") + constant("yes", "0.0") + loop("x", "%m", "tensor<4xi1>", "%b: i1", choice) +
                      loop("z", "%n", "tensor<4xi1>", "%b: i1", choice) +
                      loop("y", "%x, %z", "tensor<4xf32>, tensor<4xf32>", "%a: f32, %b: f32", "    %s = " + op + " %a, %b : f32\n    linalg.yield %s : f32\n") +
                      "  return %y : tensor<4xf32>\n");
  };
  EXPECT_TRUE(both("arith.addf"));
  EXPECT_TRUE(both("arith.minimumf"));
  EXPECT_FALSE(both("arith.subf")); // 10000 where the second hides
}

TEST_F(MaskValues, Constants) {
  auto constantMask = [&](const std::string &value) {
    return maskOf("", "  %y = arith.constant dense<" + value + "> : tensor<4xf32>\n  return %y : tensor<4xf32>\n");
  };
  auto zeros = constantMask("0.0");
  ASSERT_TRUE(zeros);
  EXPECT_FALSE(zeros->hides);
  EXPECT_TRUE(constantMask("[0.0, -1.0e9, 0.0, 0.0]"));
  EXPECT_FALSE(constantMask("[0.0, -1.0, -2.0, -3.0]")); // distances
}

// An input of floats, or two of integers, can be anything.
TEST_F(MaskValues, Inputs) {
  EXPECT_FALSE(maskOf("%m: tensor<4xf32>", "  return %m : tensor<4xf32>\n"));
  EXPECT_FALSE(maskOf("%m: tensor<4xi64>, %n: tensor<4xi64>",
                      constant("by", "-1.0e4") + loop("y", "%m, %n", "tensor<4xi64>, tensor<4xi64>", "%a: i64, %b: i64",
                                                      "    %s = arith.muli %a, %b : i64\n    %f = arith.sitofp %s : i64 to f32\n    %p = arith.mulf %f, %by : f32\n    linalg.yield %p : f32\n") +
                          "  return %y : tensor<4xf32>\n"));
}

} // namespace
