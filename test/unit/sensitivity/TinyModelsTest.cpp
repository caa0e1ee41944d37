// Gradients of whole models against differences of their losses.
//
// Along its own direction u = g / |g| a layer's gradient g changes the loss by
// |g| per unit, and that is far above the rounding of a loss in f32 (2^-24 of
// some 1 to 10, and what sums before it add): with steps of 1e-3 of the
// weight's norm the difference is right within a few parts in a hundred of |g|
// at worst, and a gradient that is wrong anywhere points elsewhere, or has
// another length. A few single weights, those of the largest gradients, are
// looked at in the same way.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "lib/sensitivity/Hutchinson.h"
#include "lib/sensitivity/Targets.h"
#include "passes/GradientProgram.h"

using namespace sq;
using namespace sq::sensitivity;

namespace {

class TinyModel {
public:
  void open(const std::string &folder) {
    RunnerOptions options;
    options.model = folder + "/model.onnx";
    GradientOptions gradients;
    gradients.weightArguments = true;
    ModelInfo info;
    Status s = describeModel(options, gradients, info);
    if (s.ok())
      s = program.compile(options, gradients);
    if (s.ok())
      s = targets.open(folder + "/calibration", options, {"cross-entropy"},
                       program.inputs(), info);
    if (s.ok())
      s = targets.set(3, program);
    ASSERT_TRUE(s.ok()) << s.message;
    ASSERT_FALSE(targets.areSampled());
    for (const Weight &weight : program.weights())
      place(weight, {}, 0);
  }

  void place(const Weight &weight, const std::vector<float> &v, double scale) {
    Tensor *to = program.input(kWeightPrefix + weight.name);
    if (to->shape.empty())
      ASSERT_TRUE(to->allocate(DType::f32, {weight.rows, weight.columns}).ok());
    auto *values = reinterpret_cast<float *>(to->bytes.data());
    for (int64_t i = 0; i < weight.elements(); ++i)
      values[i] = float(weight.values[i] + (v.empty() ? 0 : scale * v[i]));
  }

  double loss() {
    Status s = program.run();
    EXPECT_TRUE(s.ok()) << s.message;
    int64_t count;
    return *program.output(0, count);
  }

  /// The slope of the loss along `v`, by a central difference.
  double slope(const Weight &weight, const std::vector<float> &v, double step) {
    place(weight, v, step);
    double above = loss();
    place(weight, v, -step);
    double below = loss();
    place(weight, {}, 0);
    return (above - below) / (2 * step);
  }

  void checkAll() {
    ASSERT_FALSE(program.weights().empty());
    loss();
    std::vector<std::vector<float>> gradients;
    for (size_t k = 0; k < program.weights().size(); ++k) {
      int64_t count;
      const float *g = program.output(int(k) + 1, count);
      ASSERT_EQ(program.outputs()[k + 1].name,
                kGradientPrefix + program.weights()[k].name);
      ASSERT_EQ(count, program.weights()[k].elements());
      gradients.emplace_back(g, g + count);
    }
    for (size_t k = 0; k < gradients.size(); ++k) {
      const Weight &weight = program.weights()[k];
      SCOPED_TRACE(weight.name);
      std::vector<float> &g = gradients[k], v(g.size());
      double norm = std::sqrt(dot(g.data(), g.data(), g.size()));
      double size =
          std::sqrt(dot(weight.values.data(), weight.values.data(), g.size()));
      ASSERT_GT(norm, 0);
      for (size_t i = 0; i < g.size(); ++i)
        v[i] = float(g[i] / norm);
      EXPECT_NEAR(slope(weight, v, 1e-3 * size), norm,
                  0.03 * norm + 1e-6 / (1e-3 * size));
      size_t most = std::max_element(g.begin(), g.end(),
                                     [](float a, float b) {
                                       return std::abs(a) < std::abs(b);
                                     }) -
                    g.begin();
      std::vector<float> one(g.size());
      one[most] = 1;
      double step = 1e-2 * size;
      EXPECT_NEAR(slope(weight, one, step), g[most],
                  0.05 * std::abs(g[most]) + 2e-6 / step);
    }
  }

  Runner program;
  Targets targets;
};

} // namespace

TEST(TinyModels, Classifier) {
  TinyModel model;
  model.open(SQ_SOURCE_DIR "/test/models/tiny/classifier");
  if (!HasFatalFailure())
    model.checkAll();
}

TEST(TinyModels, LanguageModel) {
  const char *models = std::getenv("SQ_MODELS");
  std::string folder = std::string(models ? models : "") + "/tiny/lm";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "there is no " << folder << " (SQ_MODELS)";
  TinyModel model;
  model.open(folder);
  if (!HasFatalFailure())
    model.checkAll();
}
