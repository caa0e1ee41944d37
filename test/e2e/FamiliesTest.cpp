/// What the model families of test/models/families are raised to: the table
/// raised.txt there says how many of each composite. That they compute the right
/// numbers is tested in test/conformance/families-*.test.
#include "test/e2e/Models.h"
#include "test/support/ImportedModel.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

using namespace sq;
using namespace sq::test;
namespace fs = std::filesystem;

namespace {

/// "attention 2, embedding 1, ...", or why the model is refused.
std::string raised(const std::string &path) {
  llvm::Expected<ImportedModel> model = ImportedModel::import(path);
  if (!model)
    return llvm::toString(model.takeError());
  mlir::ModuleOp module = model->module();
  std::string refusal;
  mlir::ScopedDiagnosticHandler handler(module.getContext(), [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error && refusal.empty())
      refusal = "refused: " + diagnostic.str();
  });
  mlir::PassManager passes(module.getContext());
  buildOnnxToGraph(passes);
  if (failed(passes.run(module)))
    return refusal;
  std::map<std::string, int> counts;
  module.walk([&](mlir::Operation *op) {
    if (op->getDialect() && op->getDialect()->getNamespace() == "sq")
      ++counts[op->getName().stripDialect().str()];
  });
  std::string text;
  for (const auto &[name, count] : counts)
    text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
  return text;
}

TEST(Families, AreRaisedAsListed) {
  std::string folder = committedModels() + "/families";
  std::map<std::string, std::string> expected;
  std::ifstream file(folder + "/raised.txt");
  ASSERT_TRUE(file);
  for (std::string line; std::getline(file, line);)
    if (size_t colon = line.find(": "); line.front() != '#' && colon != std::string::npos)
      expected[line.substr(0, colon)] = line.substr(colon + 2);
  EXPECT_GE(expected.size(), 68u);
  std::map<std::string, std::string> actual;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    if (entry.is_directory())
      actual[entry.path().filename()] = raised((entry.path() / "model.onnx").string());
  for (const auto &[name, counts] : expected)
    EXPECT_TRUE(actual.count(name)) << name << " is listed, but not there";
  // As lines for raised.txt, should they be right.
  for (const auto &[name, counts] : actual)
    EXPECT_EQ(name + ": " + counts, name + ": " + expected[name]);
}

} // namespace
