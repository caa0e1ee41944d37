/// Plans that are run before they are trusted: budgets of the compiler with losses and runs that the test makes up.
#include "codegen/host/HostTarget.h"
#include "lib/driver/CompileCache.h"
#include "sq/compiler.h"
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

using namespace sq;
using namespace sq::test;

namespace {

/// What a plan says of layers, by name; "*" first.
std::vector<std::pair<std::string, std::string>> linesOf(const std::string &plan) {
  std::vector<std::pair<std::string, std::string>> lines;
  std::istringstream text(plan);
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name, equals, choice;
    if (words >> name >> equals >> choice)
      lines.emplace_back(name, choice);
  }
  return lines;
}

std::set<std::string> choicesOf(const std::string &plan) {
  std::set<std::string> choices;
  for (auto &[name, choice] : linesOf(plan))
    choices.insert(choice);
  return choices;
}

double lossOf(const std::string &choice) {
  return choice.substr(0, 4) == "lut4" ? 1 : choice.substr(0, 4) == "lut3" ? 2 : choice.substr(0, 4) == "lut2" ? 4 : 0.1;
}

/// Some layers are worth their bits, others are not.
double lossOf(const std::string &layer, const std::string &choice) {
  return lossOf(choice) * (layer.find("/up/") != std::string::npos ? 0.2 : 1);
}

/// The plan for `bits` where plans of several choices lose `mixed` on each of four samples, on the last one `last` times as
/// much, and plans of one choice 1.
std::string planned(double bits, double mixed, double last = 1) {
  TemporaryDirectory directory;
  CompileOptions options;
  options.activations = "f32"; // no statistics, so no choices of bytes
  options.emitPlan = directory.file("plan");
  options.targets.bitsPerWeight = bits;
  options.targets.outliers = "0%";
  options.targets.probe = [&](const std::vector<std::string> &plans, const std::function<void(size_t)> &starts,
                              std::vector<double> &losses, std::string &metric) {
    metric = "made up";
    for (const std::string &plan : plans) {
      starts(losses.size());
      auto lines = linesOf(plan); // every layer in one choice, or only one in another than f32
      losses.push_back(lines.size() == 1 ? 10 * lossOf(lines[0].second) : lossOf(lines[1].first, lines[1].second));
    }
    return CompileResult();
  };
  options.targets.compare = [&](const std::vector<std::string> &plans, const std::function<void(size_t)> &starts,
                                std::vector<std::vector<double>> &losses) {
    for (const std::string &plan : plans) {
      starts(losses.size());
      losses.push_back(choicesOf(plan).size() > 1 ? std::vector<double>{mixed, mixed, mixed, mixed * last}
                                                  : std::vector<double>(4, 1));
    }
    return CompileResult();
  };
  CompileResult result = compileFile(committedModels() + "/tiny/classifier/model.onnx", options);
  EXPECT_EQ(result.code, ExitCode::Done) << result.message;
  std::ifstream file(options.emitPlan);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Plans, TakesTheUniformOneWhereThatDoesBetter) {
  std::string plan = planned(5.5, 100);
  EXPECT_EQ(choicesOf(plan).size(), 1u) << plan;
  EXPECT_EQ(plan.find("# best measured: expected loss "), plan.find('\n') + 1) << plan;
  EXPECT_NE(plan.find(", measured "), std::string::npos) << plan;
}

TEST(Plans, TakesTheOptimumWhereThatDoesBest) {
  std::string plan = planned(5.5, 1e-3);
  EXPECT_GT(choicesOf(plan).size(), 1u) << plan;
  EXPECT_EQ(plan.find("# optimal: expected loss "), plan.find('\n') + 1) << plan;
}

// What one sample says counts as well as what the others do: the means are 1.375 and 0.525.
TEST(Plans, TakesTheUniformOneWhereNothingLosesLessInTheMean) {
  std::string plan = planned(5.5, 0.5, 8);
  EXPECT_EQ(choicesOf(plan).size(), 1u) << plan;
  EXPECT_NE(plan.find("\n# one choice everywhere: none of "), std::string::npos) << plan;
  plan = planned(5.5, 0.5, 1.2);
  EXPECT_GT(choicesOf(plan).size(), 1u) << plan;
  EXPECT_NE(plan.find(" plans that were run to lose less than one choice everywhere (1): 0.475 less, standard error 0.025\n"),
            std::string::npos)
      << plan;
}

std::string bytesOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What programs share of each other's compiles changes nothing that they compute: losses are measured with it, and so are the
// same to the last bit. What is found depends on no order.
TEST(Plans, ComputesTheSameOfKeptKernelsAndLayers) {
  const std::string model = committedModels() + "/tiny/classifier/model.onnx";
  SQ_REQUIRE_FILE(model, "it is committed");
  TemporaryDirectory directory;
  Feed feed = rows(readFeed(committedModels() + "/tiny/classifier/test", {"input_ids", "attention_mask"}), 0, 3);
  auto cache = std::make_shared<CompileCache>(CompileCache{std::make_shared<KernelCache>(), std::make_shared<CompressedLayers>()});
  std::string first;
  int at = 0;
  for (const char *plan : {"* = f32\n", "* = lut3\n*up* = lut4\n", "* = f32\n*up* = lut2+0.45%\n", "* = lut3\n*up* = lut4\n"}) {
    CompileOptions options;
    options.levels = {runtimeHostLevel()};
    options.planText = plan;
    CompiledModel plain(model, options);
    size_t made = cache->kernels->made(), found = cache->kernels->found();
    options.cache = cache;
    options.output = directory.file("kept" + std::to_string(at++) + ".so");
    CompileResult result = compileFile(model, options);
    ASSERT_EQ(result.code, ExitCode::Done) << result.message;
    std::string kept = bytesOf(options.output);
    // The first finds nothing, the last all.
    EXPECT_EQ(cache->kernels->made() > made, at < 4) << plan;
    EXPECT_EQ(cache->kernels->found() > found, at > 1) << plan;
    if (at == 2)
      first = kept;
    if (at == 4) {
      EXPECT_EQ(kept, first);
    }
    ASSERT_TRUE(plain.ok());
    Program one = plain.open();
    llvm::Expected<Program> other = Program::load(options.output);
    ASSERT_TRUE(bool(other)) << llvm::toString(other.takeError());
    numerics::Tensor expected = runFirst(one, feed), got = runFirst(*other, feed);
    ASSERT_GT(expected.reals.size(), 0u);
    EXPECT_EQ(got.reals, expected.reals) << plan;
  }
}

} // namespace
