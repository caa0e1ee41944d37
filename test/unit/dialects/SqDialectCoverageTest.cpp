// Every registered `sq` op has its tests and an example that parses.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "llvm/Support/FileSystem.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/init/InitSq.h"

namespace {

class SqDialectCoverage : public ::testing::Test {
protected:
  SqDialectCoverage() {
    mlir::DialectRegistry registry;
    sq::registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    // getRegisteredOperationsByDialect finds nothing in these packages.
    for (mlir::RegisteredOperationName op : context.getRegisteredOperations())
      if (op.getDialectNamespace() == sq::SqDialect::getDialectNamespace())
        mnemonics.push_back(op.getStringRef().split('.').second.str());
  }

  mlir::MLIRContext context;
  std::vector<std::string> mnemonics;
};

std::string readFile(const std::string &path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The section of `op` in the generated reference.
std::string section(const std::string &reference, const std::string &op) {
  size_t begin = reference.find("\n### `sq." + op + "` ");
  if (begin == std::string::npos)
    return "";
  return reference.substr(begin, reference.find("\n### ", begin + 1) - begin);
}

/// The text of the first ```mlir block.
std::string firstExample(const std::string &text) {
  const std::string fence = "```mlir\n";
  size_t begin = text.find(fence);
  size_t end = begin == std::string::npos ? begin : text.find("```", begin + fence.size());
  return end == std::string::npos ? "" : text.substr(begin + fence.size(), end - begin - fence.size());
}

TEST_F(SqDialectCoverage, SeesTheOps) { EXPECT_GE(mnemonics.size(), 10u); }

TEST_F(SqDialectCoverage, HasTestFiles) {
  for (const std::string &op : mnemonics)
    for (const char *kind : {"", "-invalid"}) {
      std::string path = std::string(SQ_SOURCE_DIR "/test/dialects/sq/") + op + kind + ".mlir";
      EXPECT_TRUE(llvm::sys::fs::exists(path)) << "sq." << op << " lacks " << path;
    }
}

TEST_F(SqDialectCoverage, ExamplesParse) {
  std::string reference = readFile(SQ_BINARY_DIR "/docs/dialects/sq/Sq.md");
  ASSERT_FALSE(reference.empty()) << "build the target SqDocs first";
  for (const std::string &op : mnemonics) {
    SCOPED_TRACE("sq." + op);
    std::string example = firstExample(section(reference, op));
    ASSERT_NE(example, "") << "no ```mlir example in the description";
    EXPECT_NE(example.find("sq." + op), std::string::npos) << "the example does not use the op";
    auto module = mlir::parseSourceString<mlir::ModuleOp>(example, &context);
    EXPECT_TRUE(module) << "does not parse:\n" << example;
  }
}

} // namespace
