/// Models that are large: in bytes, in nodes, in subgraphs. How long they take is bench/wide.py's.
#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"
#include "passes/Pipelines.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <ctime>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

using namespace mlir;

namespace {

const std::string header = "<ir_version: 8, opset_import: [\"\": 17]> ";

/// Imports, normalises and makes buffers of a model in ONNX text.
void lower(const std::string &text) {
  DialectRegistry registry;
  sq::registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module = sq::importOnnxText(text, "large", context);
  ASSERT_TRUE(module);
  PassManager passes(&context);
  sq::buildOnnxToGraph(passes);
  sq::buildGraphToBuffers(passes);
  ASSERT_TRUE(succeeded(passes.run(*module)));
}

constexpr int count = 10000;

TEST(LargeModelTest, ChainOfElementwiseOps) {
  std::string text = header + "g (float[N,8] x0, float[N,8] b) => (float[N,8] x" +
                     std::to_string(count) + ") {";
  for (int i = 0; i < count; ++i)
    text += "x" + std::to_string(i + 1) + " = Add (x" + std::to_string(i) + ", b)\n";
  lower(text + "}");
}

TEST(LargeModelTest, ChainOfProducts) {
  std::string text = header + "g (float[N,2] x0) => (float[N,2] x" + std::to_string(count) + ") {";
  for (int i = 0; i < count; i += 2) {
    std::string a = std::to_string(i), b = std::to_string(i + 1), c = std::to_string(i + 2);
    text += "w" + a + " = Constant <value = float[2,2] {1, 2, 3, " + a + "}> ()\n";
    text += "x" + b + " = MatMul (x" + a + ", w" + a + ")\nx" + c + " = Relu (x" + b + ")\n";
  }
  lower(text + "}");
}

TEST(LargeModelTest, ManySubgraphs) {
  constexpr int ifs = 500;
  std::string text = header + "g (float[N,8] x0, bool c) => (float[N,8] x" + std::to_string(ifs) + ") {";
  for (int i = 0; i < ifs; ++i) {
    std::string a = std::to_string(i);
    text += "x" + std::to_string(i + 1) + " = If (c) <then_branch = t" + a + " () => (float[N,8] y" +
            a + ") {y" + a + " = Relu (x" + a + ")}, else_branch = e" + a + " () => (float[N,8] z" +
            a + ") {z" + a + " = Neg (x" + a + ")}>\n";
  }
  lower(text + "}");
}

TEST(LargeModelTest, WideConcat) {
  constexpr int parts = 1000;
  std::string inputs, names;
  for (int i = 0; i < parts; ++i) {
    inputs += (i ? ", float[N,8] x" : "float[N,8] x") + std::to_string(i);
    names += (i ? ", x" : "x") + std::to_string(i);
  }
  lower(header + "g (" + inputs + ") => (float[N,M] y) { y = Concat<axis = 1>(" + names + ") }");
}

TEST(LargeModelTest, ExternalDataBeyondFourGigabytes) {
  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("sq-large-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  constexpr uint64_t size = 5ull << 30; // sparse: it takes no space
  std::ofstream(folder / "w.bin").close();
  std::filesystem::resize_file(folder / "w.bin", size + 4);
  std::fstream(folder / "w.bin", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(size)
      .write("\0\0\x80\x3f", 4);
  std::ofstream(folder / "m.onnxtxt")
      << header << "g (uint8[n] x, float[m] z) => (uint8[" << size << "] y, float[m] r) <uint8["
      << size << "] w = [\"location\": \"w.bin\", \"offset\": \"0\", \"length\": \"" << size
      << "\"], float one = [\"location\": \"w.bin\", \"offset\": \"" << size
      << "\", \"length\": \"4\"]> { y = Add (x, w) r = Mul (z, one) }";
  rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  {
    MLIRContext context(MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> module = sq::loadModel((folder / "m.onnxtxt").string(), context);
    ASSERT_TRUE(module);
    bool seen = false;
    module->walk([&](sq::onnx::ConstantOp op) {
      auto value = llvm::cast<ElementsAttr>(op.getValue());
      seen |= value.getNumElements() == 1 && value.getElementType().isF32() &&
              *value.value_begin<float>() == 1;
    });
    EXPECT_TRUE(seen);
  }
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100 << 10); // KiB
  std::filesystem::remove_all(folder);
}

} // namespace
