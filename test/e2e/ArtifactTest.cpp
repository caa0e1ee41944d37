/// What an artifact is like as a file and in memory.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
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

/// What a command prints; it must succeed.
std::string run(const std::string &command) {
  std::string text;
  FILE *pipe = popen(command.c_str(), "r");
  if (!pipe) {
    ADD_FAILURE() << "cannot run " << command;
    return text;
  }
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    text.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << text;
  return text;
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
  std::string text = run("ldd " + model.artifact());
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

// Weights stay in the file's mapping, activations share one planned arena.
TEST(Artifact, MiniLmMemory) {
  SQ_REQUIRE_MINILM();
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer's own memory would be measured";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer's own memory would be measured";
#endif
#endif
  CompiledModel model(miniLm() + "/model_opset17.onnx");
  ASSERT_TRUE(model.ok());
  std::string text = run(SQ_BINARY_DIR "/bin/sq-run " + model.artifact() +
                         " --stats --input=input_ids=1x128xi64=7"
                         " --input=attention_mask=1x128xi64=1 --input=token_type_ids=1x128xi64=0");
  const std::string key = "stats.anonymous_added_kib ";
  size_t at = text.find(key);
  ASSERT_NE(at, std::string::npos) << text;
  int kib = std::atoi(text.c_str() + at + key.size());
  EXPECT_GT(kib, 0);
  EXPECT_LT(kib, 12 * 1024);
  std::cout << "module and session at 1x128: " << kib << " KiB\n";
}

} // namespace
