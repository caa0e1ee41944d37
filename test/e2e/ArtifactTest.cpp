/// What an artifact is like as a file and in memory.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

using namespace sq;
using namespace sq::test;

namespace {

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void checkSameBytes(const std::string &path) {
  CompiledModel first(path);
  CompileOptions options;
  options.threads = 1;
  CompiledModel second(path, options);
  ASSERT_TRUE(first.ok() && second.ok());
  // No EXPECT_EQ: it would print two artifacts.
  EXPECT_TRUE(readFile(first.artifact()) == readFile(second.artifact()))
      << path << " compiled twice gives different bytes";
}

TEST(Artifact, TinySameBytes) {
  checkSameBytes(committedModels() + "/tiny/classifier/model.onnx");
}

TEST(Artifact, MiniLmSameBytes) {
  SQ_REQUIRE_MINILM();
  checkSameBytes(miniLm() + "/model_opset14.onnx");
}

TEST(Artifact, NeedsOnlyLibc) {
  CompiledModel model(committedModels() + "/tiny/classifier/model.onnx");
  ASSERT_TRUE(model.ok());
  FILE *ldd = popen(("ldd " + model.artifact()).c_str(), "r");
  ASSERT_TRUE(ldd);
  std::string text;
  for (char buffer[4096]; size_t got = std::fread(buffer, 1, sizeof buffer, ldd);)
    text.append(buffer, got);
  ASSERT_EQ(pclose(ldd), 0) << text;
  const std::set<std::string> allowed = {"linux-vdso.so.1", "/lib64/ld-linux-x86-64.so.2",
                                         "libc.so.6",       "libm.so.6",
                                         "libdl.so.2",      "libpthread.so.0",
                                         "statically"}; // "statically linked"
  std::istringstream lines(text);
  int count = 0;
  for (std::string line, name; std::getline(lines, line); ++count) {
    std::istringstream(line) >> name;
    EXPECT_TRUE(allowed.count(name)) << line;
  }
  EXPECT_GT(count, 0);
}

} // namespace
