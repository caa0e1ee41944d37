#include "passes/analysis/ObservedValues.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "dialects/sq/IR/SqOps.h"
#include "lib/driver/ModelHash.h"
#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"
#include "passes/Pipelines.h"
#include "passes/analysis/TokenInputs.h"

#include "llvm/ADT/DenseMap.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace {

const std::string models = SQ_SOURCE_DIR "/test/models/";

class ObservedValuesTest : public testing::Test {
protected:
  ObservedValuesTest() : context(registryOf(), MLIRContext::Threading::DISABLED) {
    context.loadAllAvailableDialects();
  }
  static DialectRegistry registryOf() {
    DialectRegistry registry;
    sq::registerDialects(registry);
    return registry;
  }
  OwningOpRef<ModuleOp> raised(const std::string &path) {
    OwningOpRef<ModuleOp> module = sq::loadModel(path, context);
    PassManager pm(&context, ModuleOp::getOperationName());
    sq::buildOnnxToGraph(pm);
    EXPECT_TRUE(module && succeeded(pm.run(*module))) << path;
    return module;
  }
  MLIRContext context;
};

func::FuncOp mainOf(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

} // namespace

// Whatever a quantised product or attention reads must have a range: it is observed, or a constant.
TEST_F(ObservedValuesTest, OperandsOfProductsAreObserved) {
  int families = 0;
  for (const auto &entry : std::filesystem::directory_iterator(models + "families")) {
    const std::string family = entry.path().string();
    if (!std::filesystem::exists(family + "/model.onnx"))
      continue;
    ++families;
    OwningOpRef<ModuleOp> module = raised(family + "/model.onnx");
    llvm::DenseMap<Value, int64_t> channels;
    std::set<std::string> names;
    for (const sq::ObservedValue &observed : sq::observedValues(mainOf(*module))) {
      channels[observed.value] = observed.channels;
      EXPECT_TRUE(names.insert(observed.name).second) << observed.name << " twice in " << family;
    }
    int products = 0;
    mainOf(*module).walk([&](sq::LinearOp op) {
      ++products;
      Value source = sq::throughReshapes(op.getX());
      EXPECT_TRUE(channels.count(source)) << family;
      EXPECT_TRUE(channels.count(op->getResult(0)));
    });
    EXPECT_GT(products, 1) << family;
    mainOf(*module).walk([&](sq::AttentionOp op) {
      for (Value v : {op.getQ(), op.getK(), op.getV()})
        EXPECT_TRUE(channels.count(sq::throughReshapes(v))) << family;
    });
    mainOf(*module).walk([&](sq::MatmulOp op) {
      for (Value v : {op.getA(), op.getB()})
        EXPECT_TRUE(channels.count(sq::throughReshapes(v)) || isa<arith::ConstantOp>(v.getDefiningOp())) << family;
    });
  }
  EXPECT_GE(families, 60);
}

TEST_F(ObservedValuesTest, TokenInputs) {
  OwningOpRef<ModuleOp> module = sq::loadModel(models + "tiny/classifier/model.onnx", context);
  ASSERT_TRUE(module);
  std::map<std::string, int64_t> expected = {{"input_ids", 1024}};
  EXPECT_EQ(sq::tokenInputs(mainOf(*module)), expected);
  module = sq::loadModel(models + "contrib/embed_layer_normalization/model.onnx", context);
  ASSERT_TRUE(module);
  EXPECT_EQ(sq::tokenInputs(mainOf(*module)).size(), 2u);
}

TEST_F(ObservedValuesTest, HashIsOfTheContent) {
  const std::string text = R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 2] x) => (float[n, 2] y) { c = Constant<value = float[2] {1, %}>()  [add] y = Add(x, c) })";
  auto hash = [&](std::string model, const char *value, const char *name) {
    model.replace(model.find('%'), 1, value);
    OwningOpRef<ModuleOp> module = sq::importOnnxText(model, name, context);
    EXPECT_TRUE(module);
    return sq::hashModel(*module);
  };
  sq::calibration::ModelHash first = hash(text, "2", "a");
  EXPECT_EQ(hash(text, "2", "b"), first); // not of the path
  EXPECT_NE(hash(text, "3", "a"), first);
  std::string renamed = text;
  renamed.replace(renamed.find("[add]"), 5, "[sum]");
  EXPECT_NE(hash(renamed, "2", "a"), first); // ranges are found by names of nodes
}
