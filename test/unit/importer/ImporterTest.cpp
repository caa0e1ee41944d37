// What lit cannot see of the importer: who owns the bytes, and reports about whole models.

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/MLIRContext.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Importer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

using namespace mlir;

namespace {

TEST(ImporterTest, ReportsAllUnsupportedOperatorsAtOnce) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  std::vector<std::string> messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages.push_back(diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes()) {
      std::string location;
      llvm::raw_string_ostream(location) << note.getLocation();
      messages.push_back(location + ": " + note.str());
    }
  });
  OwningOpRef<ModuleOp> module = sq::importOnnxText(R"(
    <ir_version: 8, opset_import: ["": 17, "com.acme": 3]>
    g (float[2] x) => (y) {
      [one] a = com.acme.Foo (x)
      b = Gelu (a)
      [two] c = com.acme.Foo (b)
      y = com.acme.Bar (c)
    })",
                                                    "test", context);
  ASSERT_TRUE(module);
  EXPECT_TRUE(failed(sq::reportUnsupportedOps(*module)));
  EXPECT_EQ(messages,
            (std::vector<std::string>{
                "3 operators are not supported; replace or remove the nodes",
                "loc(\"Gelu of b\"): 'Gelu' of domain 'ai.onnx', opset 17: 1 node",
                "loc(\"Bar of y\"): 'Bar' of domain 'com.acme', opset 3: 1 node",
                "loc(\"one\"): 'Foo' of domain 'com.acme', opset 3: 2 nodes, this one first"}));
}

TEST(ImporterTest, SupportedModelIsNotReported) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module = sq::importOnnxText(
      "<ir_version: 8, opset_import: [\"\": 17]> g (float[2] x) => (y) { y = Relu (x) }", "test",
      context);
  ASSERT_TRUE(module);
  EXPECT_TRUE(succeeded(sq::reportUnsupportedOps(*module)));
}

TEST(ImporterTest, ExternalWeightsAreMappedNotCopied) {
  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("sq-importer-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  constexpr size_t kSize = 64 << 20;
  std::ofstream(folder / "w.bin").close();
  std::filesystem::resize_file(folder / "w.bin", kSize);
  std::ofstream(folder / "m.onnxtxt")
      << "<ir_version: 8, opset_import: [\"\": 17]> g (uint8[n] x) => (uint8[67108864] y)"
         "<uint8[67108864] w = [\"location\": \"w.bin\"]> { y = Add (x, w) }";
  {
    MLIRContext context(MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> module =
        sq::loadModel((folder / "m.onnxtxt").string(), context);
    ASSERT_TRUE(module);
    bool seen = false;
    module->walk([&](sq::onnx::ConstantOp op) {
      auto value = llvm::cast<DenseResourceElementsAttr>(op.getValue());
      ArrayRef<char> data = value.getRawHandle().getBlob()->getData();
      EXPECT_EQ(data.size(), kSize);
      // The bytes lie in a mapping of the file itself.
      std::ifstream maps("/proc/self/maps");
      for (std::string line; std::getline(maps, line);) {
        unsigned long begin = 0, end = 0;
        if (line.find("w.bin") != std::string::npos &&
            sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2)
          seen |= begin <= reinterpret_cast<uintptr_t>(data.data()) &&
                  reinterpret_cast<uintptr_t>(data.data()) + data.size() <= end;
      }
    });
    EXPECT_TRUE(seen);
  }
  std::filesystem::remove_all(folder);
}

/// Every input that the fuzzer starts from, and what it once found.
TEST(ImporterTest, FuzzCorpusReplays) {
  unsigned count = 0;
  for (const auto &entry :
       std::filesystem::directory_iterator(SQ_SOURCE_DIR "/test/fuzz/corpus/importer")) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
    ++count;
  }
  EXPECT_GE(count, 50u);
}

} // namespace
