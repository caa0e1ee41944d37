/// Plans that are run before they are trusted: budgets of the compiler with losses and runs that the test makes up.
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

/// The plan for `bits` where plans of several choices do `mixed` times what their layers do by themselves.
std::string planned(double bits, double mixed) {
  TemporaryDirectory directory;
  CompileOptions options;
  options.activations = "f32"; // no statistics, so no choices of bytes
  options.emitPlan = directory.file("plan");
  options.targets.bitsPerWeight = bits;
  options.targets.outliers = "0%";
  options.targets.measurePlans = true;
  options.targets.probe = [&](const std::string &plan, double &loss, std::string &metric) {
    metric = "made up";
    auto lines = linesOf(plan);
    loss = 0;
    if (lines.size() == 1) // every layer in one choice
      loss = 10 * lossOf(lines[0].second);
    else if (lines[0].first == "*") // a single layer
      loss = lossOf(lines[1].first, lines[1].second);
    else
      for (auto &[name, choice] : lines)
        loss += lossOf(name, choice) * (choicesOf(plan).size() > 1 ? mixed : 0.5);
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

} // namespace
