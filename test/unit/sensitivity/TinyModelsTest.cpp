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
#include <fstream>
#include <numeric>

#include <unistd.h>

#include "lib/sensitivity/Hutchinson.h"
#include "lib/sensitivity/Targets.h"
#include "passes/GradientProgram.h"

using namespace sq;
using namespace sq::sensitivity;

namespace {

class TinyModel {
public:
  void open(const std::string &folder, bool checkpoints = false) {
    RunnerOptions options;
    options.model = folder + "/model.onnx";
    GradientOptions gradients;
    gradients.weightArguments = true;
    gradients.checkpoints = checkpoints;
    ModelInfo info;
    Status s = describeModel(options, gradients, info);
    if (s.ok())
      s = program.compile(options, gradients);
    if (s.ok())
      s = targets.open(folder + "/calibration", options, {"cross-entropy", ""},
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

  /// Of all layers, where the weights are.
  void findGradients(std::vector<std::vector<float>> &gradients) {
    ASSERT_FALSE(program.weights().empty());
    loss();
    for (size_t k = 0; k < program.weights().size(); ++k) {
      int64_t count;
      const float *g = program.output(int(k) + 1, count);
      ASSERT_EQ(program.outputs()[k + 1].name,
                kGradientPrefix + program.weights()[k].name);
      ASSERT_EQ(count, program.weights()[k].elements());
      gradients.emplace_back(g, g + count);
    }
  }

  void checkAll() {
    std::vector<std::vector<float>> gradients;
    findGradients(gradients);
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

// With what lies between checkpoints computed again: the same gradients.
TEST(TinyModels, Checkpoints) {
  TinyModel plain, sparse;
  plain.open(SQ_SOURCE_DIR "/test/models/tiny/classifier");
  sparse.open(SQ_SOURCE_DIR "/test/models/tiny/classifier", true);
  std::vector<std::vector<float>> wanted, got;
  plain.findGradients(wanted);
  sparse.findGradients(got);
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t k = 0; k < wanted.size(); ++k) {
    double norm = dot(wanted[k].data(), wanted[k].data(), wanted[k].size()),
           apart = 0;
    for (size_t i = 0; i < wanted[k].size(); ++i)
      apart += std::pow(double(wanted[k][i]) - got[k][i], 2);
    // Operations are those of before, if perhaps in another order: 2^-24 each,
    // and some hundred of them one after the other.
    EXPECT_LE(apart, 1e-9 * norm) << plain.program.weights()[k].name;
  }
}

// Of eight blocks with a residual connection all but one leave their stream
// only, 16 numbers a row, instead of what is wide, too, 64.
TEST(Checkpoints, TakeLessMemory) {
  constexpr int kBlocks = 8, kRows = 256;
  std::string file =
      testing::TempDir() + "sq_blocks_" + std::to_string(getpid()) + ".mlir";
  std::string text =
      R"(func.func @main(%s0: tensor<256x16xf32> {sq.name = "x", sq.dtype = "f32", sq.dims = ["", ""]}) -> (tensor<256x16xf32> {sq.name = "y", sq.dtype = "f32", sq.dims = ["", ""]}) {
  %e = tensor.empty() : tensor<256x16xf32>
  %f = tensor.empty() : tensor<256x64xf32>
)";
  for (int i = 0; i < kBlocks; ++i) {
    std::string n = std::to_string(i);
    text += "  %u" + n + " = arith.constant dense<0.0" + std::to_string(i + 1) +
            "> : tensor<16x64xf32>\n  %d" + n + " = arith.constant dense<0.0" +
            std::to_string(i + 1) + "> : tensor<64x16xf32>\n  %a" + n +
            " = sq.linear ins(%s" + n + ", %u" + n +
            " : tensor<256x16xf32>, tensor<16x64xf32>) outs(%f : "
            "tensor<256x64xf32>) -> tensor<256x64xf32> loc(\"up" +
            n + "\")\n  %g" + n + " = sq.gelu ins(%a" + n +
            " : tensor<256x64xf32>) outs(%f : tensor<256x64xf32>) -> "
            "tensor<256x64xf32>\n  %l" +
            n + " = sq.linear ins(%g" + n + ", %d" + n +
            " : tensor<256x64xf32>, tensor<64x16xf32>) outs(%e : "
            "tensor<256x16xf32>) -> tensor<256x16xf32> loc(\"down" +
            n + "\")\n  %s" + std::to_string(i + 1) +
            " = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, "
            "affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], "
            "iterator_types = [\"parallel\", \"parallel\"]} ins(%s" +
            n + ", %l" + n +
            " : tensor<256x16xf32>, tensor<256x16xf32>) outs(%e : "
            "tensor<256x16xf32>) {\n  ^bb0(%p: f32, %q: f32, %o: f32):\n    %v "
            "= arith.addf %p, %q : f32\n    linalg.yield %v : f32\n  } -> "
            "tensor<256x16xf32>\n";
  }
  std::ofstream(file) << text << "  return %s" << kBlocks
                      << " : tensor<256x16xf32>\n}\n";
  int64_t bytes[2];
  std::vector<float> gradients[2];
  for (bool isSparse : {false, true}) {
    Runner program;
    GradientOptions options;
    options.checkpoints = isSparse;
    Status s = program.compile({file, "", 0}, options);
    ASSERT_TRUE(s.ok()) << s.message;
    Tensor *x = program.input("x"), *labels = program.input(kLabels);
    ASSERT_TRUE(x && labels && x->allocate(DType::f32, {kRows, 16}).ok() &&
                labels->allocate(DType::i64, {kRows}).ok());
    for (int64_t i = 0; i < x->numElements(); ++i)
      x->setDouble(i, std::sin(double(i)));
    for (int64_t i = 0; i < kRows; ++i)
      labels->setInt(i, i % 16);
    s = program.run();
    ASSERT_TRUE(s.ok()) << s.message;
    bytes[isSparse] = program.arenaBytes();
    for (size_t k = 1; k < program.outputs().size(); ++k) {
      int64_t count;
      const float *g = program.output(int(k), count);
      gradients[isSparse].insert(gradients[isSparse].end(), g, g + count);
    }
  }
  std::filesystem::remove(file);
  EXPECT_LT(bytes[1], 0.75 * bytes[0]) << bytes[0] << " bytes at first";
  ASSERT_EQ(gradients[0].size(), size_t(2 * kBlocks * 16 * 64));
  for (size_t i = 0; i < gradients[0].size(); ++i)
    ASSERT_NEAR(gradients[1][i], gradients[0][i],
                1e-4 * std::abs(gradients[0][i]) + 1e-6);
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
