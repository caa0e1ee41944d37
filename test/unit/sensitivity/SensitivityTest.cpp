#include "lib/sensitivity/Sensitivity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "lib/calibration/Samples.h"
#include "lib/sensitivity/Hutchinson.h"
#include "lib/sensitivity/Targets.h"
#include "lib/tensorio/Npy.h"

using namespace sq;
using namespace sq::sensitivity;
using sq::calibration::Random;

namespace {

std::string contentOf(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

constexpr int64_t kIn = 3, kHidden = 4, kClasses = 3, kSamples = 12;

/// y = W2 tanh(W1 x + b), whose derivatives are short enough to be written down
/// again.
class SensitivityOf : public testing::Test {
protected:
  SensitivityOf() {
    std::filesystem::create_directories(root + "data");
    Random random(11);
    auto list = [&](std::vector<double> &values, int64_t count) {
      std::string text;
      for (int64_t i = 0; i < count; ++i) {
        float x = float(random.normal());
        values.push_back(x);
        char number[32];
        std::snprintf(number, sizeof number, "%s%.9g", i ? ", " : "", x);
        text += number;
      }
      return text;
    };
    std::string first = list(w1, kIn * kHidden),
                second = list(w2, kHidden * kClasses);
    std::ofstream(root + "model.onnxtxt")
        << R"(<ir_version: 8, opset_import: ["" : 17]>
      g (float[n, 3] x) => (float[n, 3] y) {
        w = Constant<value = float[3, 4] {)"
        << first << R"(}>()
        v = Constant<value = float[4, 3] {)"
        << second << R"(}>()
        [first] h = MatMul(x, w)
        [act] a = Tanh(h)
        [second] y = MatMul(a, v)
      })";
    Tensor x, labels;
    EXPECT_TRUE(x.allocate(DType::f32, {kSamples, kIn}).ok() &&
                labels.allocate(DType::i32, {kSamples}).ok());
    for (int64_t i = 0; i < x.numElements(); ++i) {
      x.setDouble(i, random.normal());
      data.push_back(x.asDouble(i));
    }
    for (int64_t i = 0; i < kSamples; ++i)
      labels.setInt(i, label.emplace_back(random.below(kClasses)));
    EXPECT_TRUE(writeNpy(root + "data/x.npy", x).ok() &&
                writeNpy(root + "data/labels.npy", labels).ok());
  }
  ~SensitivityOf() override { std::filesystem::remove_all(root); }

  /// The cross-entropy of a sample, in double.
  double loss(int64_t sample, const std::vector<double> &w,
              const std::vector<double> &v) const {
    double y[kClasses] = {}, sum = 0;
    for (int64_t j = 0; j < kHidden; ++j) {
      double h = 0;
      for (int64_t i = 0; i < kIn; ++i)
        h += data[sample * kIn + i] * w[i * kHidden + j];
      for (int64_t c = 0; c < kClasses; ++c)
        y[c] += std::tanh(h) * v[j * kClasses + c];
    }
    for (double z : y)
      sum += std::exp(z);
    return std::log(sum) - y[label[sample]];
  }

  SensitivityOptions optionsFor(const std::string &output) {
    SensitivityOptions options;
    options.model = root + "model.onnxtxt";
    options.data = root + "data";
    options.output = root + output;
    return options;
  }

  void writeLabels(int64_t last) {
    Tensor labels;
    ASSERT_TRUE(labels.allocate(DType::i32, {kSamples}).ok());
    for (int64_t i = 0; i < kSamples; ++i)
      labels.setInt(i, i + 1 == kSamples ? last : label[i]);
    ASSERT_TRUE(writeNpy(root + "data/labels.npy", labels).ok());
  }

  const std::string root =
      testing::TempDir() + "sq_sensitivity_" + std::to_string(getpid()) + "/";
  std::vector<double> w1, w2, data;
  std::vector<int64_t> label;
};

} // namespace

// Squares of central differences in double, of the gradients in f32: these are
// exact to some 1e-6, their squares to twice that.
TEST_F(SensitivityOf, FisherIsSumOfSquaredDifferences) {
  Sensitivity result;
  Status s = computeSensitivity(optionsFor("fisher"), result);
  ASSERT_TRUE(s.ok()) << s.message;
  SensitivityFile file;
  ASSERT_TRUE(file.open(root + "fisher").ok());
  ASSERT_EQ(file.head().layers.size(), 2u);
  EXPECT_EQ(file.head().layers[0].name, "first");
  EXPECT_EQ(file.head().layers[1].layers, std::vector<std::string>{"second"});
  EXPECT_FALSE(file.head().hasSampledLabels);
  double losses = 0;
  for (int64_t i = 0; i < kSamples; ++i)
    losses += loss(i, w1, w2);
  EXPECT_NEAR(file.head().lossSum, losses, 1e-5 * losses);
  for (size_t layer : {0, 1}) {
    std::vector<float> fisher;
    ASSERT_TRUE(file.readFisher(layer, fisher).ok());
    std::vector<double> w = w1, v = w2, &by = layer ? v : w;
    ASSERT_EQ(fisher.size(), by.size());
    for (size_t e = 0; e < by.size(); ++e) {
      double sum = 0, x = by[e];
      for (int64_t i = 0; i < kSamples; ++i) {
        by[e] = x + 1e-5;
        double above = loss(i, w, v);
        by[e] = x - 1e-5;
        double g = (above - loss(i, w, v)) / 2e-5;
        sum += g * g;
      }
      by[e] = x;
      EXPECT_NEAR(fisher[e], sum, 1e-4 * sum + 1e-7)
          << "layer " << layer << ", element " << e;
    }
  }
}

// One layer at a time, interrupted anywhere and resumed, by any number of
// threads: the same bytes.
TEST_F(SensitivityOf, InterruptedAndResumedIsTheSame) {
  Sensitivity result;
  SensitivityOptions whole = optionsFor("whole"), part = optionsFor("part");
  whole.probes = part.probes = 3;
  whole.eigenvalueSteps = part.eigenvalueSteps = 2;
  whole.maxMemory = part.maxMemory = 1; // each layer is a group
  whole.saveEvery = 0;
  for (int64_t at : {5, 60}) {
    int64_t seen = 0;
    whole.progress = [&, at](const Progress &p) {
      if (p.phase != "compile" && ++seen == at &&
          std::filesystem::exists(root + "whole"))
        std::filesystem::copy_file(
            root + "whole", root + "part",
            std::filesystem::copy_options::overwrite_existing);
    };
    std::filesystem::remove(root + "whole");
    ASSERT_TRUE(computeSensitivity(whole, result).ok());
    SensitivityFile stopped;
    ASSERT_TRUE(stopped.open(part.output).ok());
    EXPECT_FALSE(stopped.head().isComplete);
    part.resume = true;
    part.threads = 1;
    Status s = computeSensitivity(part, result);
    ASSERT_TRUE(s.ok()) << s.message;
    EXPECT_EQ(contentOf(part.output), contentOf(whole.output)) << at;
  }
}

TEST_F(SensitivityOf, MoreSamplesLaterIsAllAtOnce) {
  Sensitivity result;
  ASSERT_TRUE(computeSensitivity(optionsFor("all"), result).ok());
  SensitivityOptions some = optionsFor("some");
  some.samples = 5;
  ASSERT_TRUE(computeSensitivity(some, result).ok());
  EXPECT_NE(contentOf(root + "some"), contentOf(root + "all"));
  some.samples = 0;
  some.resume = true;
  ASSERT_TRUE(computeSensitivity(some, result).ok());
  EXPECT_EQ(contentOf(root + "some"), contentOf(root + "all"));
  some.seed = 2;
  Status s = computeSensitivity(some, result);
  EXPECT_EQ(s.code, ExitCode::Refused);
  EXPECT_NE(s.message.find("with another --loss, --seed"), std::string::npos)
      << s.message;
}

// The trace and the greatest eigenvalue against the Hessian of second
// differences in double.
TEST_F(SensitivityOf, TraceAndEigenvalueAreOfTheHessian) {
  for (bool isExact : {true, false}) {
    Sensitivity result;
    SensitivityOptions options = optionsFor("trace");
    options.exactProducts = isExact;
    options.probes = 200;
    options.tolerance = 0.02;
    options.eigenvalueSteps = 100;
    Status s = computeSensitivity(options, result);
    ASSERT_TRUE(s.ok()) << s.message;
    EXPECT_EQ(result.hessianSamples, kSamples);
    for (size_t layer : {0, 1}) {
      std::vector<double> w = w1, v = w2, &by = layer ? v : w;
      size_t n = by.size();
      std::vector<double> h(n * n);
      constexpr double kStep = 1e-3;
      auto mean = [&](size_t a, double da, size_t b, double db) {
        std::vector<double> before = by;
        by[a] += da;
        by[b] += db;
        double sum = 0;
        for (int64_t i = 0; i < kSamples; ++i)
          sum += loss(i, w, v) / kSamples;
        by = before;
        return sum;
      };
      double trace = 0;
      for (size_t a = 0; a < n; ++a)
        for (size_t b = 0; b < n; ++b)
          h[a * n + b] =
              (mean(a, kStep, b, kStep) - mean(a, kStep, b, -kStep) -
               mean(a, -kStep, b, kStep) + mean(a, -kStep, b, -kStep)) /
              (4 * kStep * kStep);
      for (size_t a = 0; a < n; ++a)
        trace += h[a * n + a];
      const Trace &found = result.layers[layer].trace;
      EXPECT_GE(found.probes, 16u);
      EXPECT_NEAR(found.mean, trace,
                  4 * found.standardError() + 0.01 * std::abs(trace))
          << "layer " << layer;
      Eigenvalue top;
      auto product = [&](const std::vector<float> &x, std::vector<float> &hx) {
        for (size_t a = 0; a < n; ++a) {
          double sum = 0;
          for (size_t b = 0; b < n; ++b)
            sum += h[a * n + b] * x[b];
          hx[a] = float(sum);
        }
        return Status();
      };
      ASSERT_TRUE(
          powerIteration(n, 1, uint32_t(layer), 1e-9, 10000, product, top)
              .ok());
      EXPECT_NEAR(result.layers[layer].eigenvalue, top.value,
                  (isExact ? 0.02 : 0.05) * std::abs(top.value))
          << "layer " << layer << (isExact ? ", exact" : ", by differences");
    }
  }
}

// Without labels they are drawn from the softmax: with many draws, in its
// proportions.
TEST_F(SensitivityOf, SampledLabels) {
  const float logits[] = {0, std::log(2.0f), -INFINITY, std::log(5.0f)};
  EXPECT_EQ(sampleClass(logits, 4, 0.01), 0);
  EXPECT_EQ(sampleClass(logits, 4, 0.124), 0);
  EXPECT_EQ(sampleClass(logits, 4, 0.126), 1);
  EXPECT_EQ(sampleClass(logits, 4, 0.374), 1);
  EXPECT_EQ(sampleClass(logits, 4, 0.376), 3);
  EXPECT_EQ(sampleClass(logits, 4, 1.0), 3);
  const float wrong[] = {0, NAN};
  EXPECT_EQ(sampleClass(wrong, 2, 0.5), -1);

  std::filesystem::remove(root + "data/labels.npy");
  Sensitivity first, again, other;
  SensitivityOptions options = optionsFor("sampled");
  std::string notes;
  options.note = [&](const std::string &note) { notes += note; };
  ASSERT_TRUE(computeSensitivity(options, first).ok());
  EXPECT_TRUE(first.hasSampledLabels);
  EXPECT_NE(notes.find("has no labels: they are sampled"), std::string::npos)
      << notes;
  std::string bytes = contentOf(options.output);
  options.threads = 1;
  ASSERT_TRUE(computeSensitivity(options, again).ok());
  EXPECT_EQ(contentOf(options.output), bytes);
  options.seed = 2;
  ASSERT_TRUE(computeSensitivity(options, other).ok());
  EXPECT_NE(other.lossSum, first.lossSum);
}

TEST_F(SensitivityOf, BadInputIsRefused) {
  Sensitivity result;
  auto refusal = [&](const SensitivityOptions &options) {
    Status s = computeSensitivity(options, result);
    EXPECT_EQ(s.code, ExitCode::Refused);
    EXPECT_FALSE(std::filesystem::exists(options.output));
    return s.message;
  };
  writeLabels(kClasses);
  EXPECT_EQ(refusal(optionsFor("bad")),
            "sample 11 of '" + root +
                "data': label 3 is none of the model's 3 classes, 0 to 2");
  writeLabels(-1);
  EXPECT_EQ(refusal(optionsFor("bad")),
            "sample 11 of '" + root +
                "data' has no label of 0 or more, so there is no loss");
  writeLabels(0);
  Tensor x;
  ASSERT_TRUE(readNpy(root + "data/x.npy", x).ok());
  x.setDouble(7, NAN);
  ASSERT_TRUE(writeNpy(root + "data/x.npy", x).ok());
  EXPECT_EQ(refusal(optionsFor("bad")),
            "sample 2 of '" + root +
                "data': input 'x' holds NaN; remove the sample or mend it");
  SensitivityOptions options = optionsFor("bad");
  options.layers = {"third"};
  EXPECT_NE(refusal(options).find("there is no linear layer 'third'"),
            std::string::npos);
  std::ofstream(root + "model.onnxtxt")
      << R"(<ir_version: 8, opset_import: ["" : 17]>
      g (float[n, 3] x) => (float[n, 3] y) {
        w = Constant<value = float[3, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9}>()
        [first] h = MatMul(x, w)
        axis = Constant<value = int64 {1}>()
        [running] y = CumSum(h, axis)
      })";
  SensitivityOptions broken = optionsFor("bad");
  EXPECT_FALSE(refusal(broken).empty());
}

TEST_F(SensitivityOf, FilesAreChecked) {
  Sensitivity result;
  ASSERT_TRUE(computeSensitivity(optionsFor("one"), result).ok());
  EXPECT_TRUE(isSensitivityFile(root + "one"));
  EXPECT_FALSE(isSensitivityFile(root + "model.onnxtxt"));
  std::string bytes = contentOf(root + "one");
  auto messageOf = [&](const std::string &content) {
    std::ofstream(root + "changed", std::ios::binary | std::ios::trunc)
        << content;
    SensitivityFile file;
    Status s = file.open(root + "changed");
    std::vector<float> fisher;
    for (size_t i = 0; s.ok() && i < file.head().layers.size(); ++i)
      s = file.readFisher(i, fisher);
    return s.message;
  };
  EXPECT_EQ(messageOf(bytes), "");
  // Wherever it is cut, or a byte of it is another, but in the padding.
  for (size_t size = 0; size + 64 < bytes.size(); size += 7)
    EXPECT_NE(messageOf(bytes.substr(0, size)), "") << size;
  size_t silent = 0;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    std::string changed = bytes;
    changed[at] ^= 0x10;
    silent += messageOf(changed).empty();
  }
  EXPECT_LT(silent, 64u) << "only padding may change";
  EXPECT_NE(messageOf("something else entirely")
                .find("is not a file of sq-sensitivity"),
            std::string::npos);
  std::string other = bytes;
  other[7] = '2';
  EXPECT_NE(messageOf(other).find("of another version"), std::string::npos);

  // Two halves are the whole.
  std::filesystem::create_directories(root + "half");
  Tensor x, labels, part;
  ASSERT_TRUE(readNpy(root + "data/x.npy", x).ok() &&
              readNpy(root + "data/labels.npy", labels).ok());
  auto rows = [&](const Tensor &from, int64_t begin, int64_t count,
                  const std::string &name) {
    std::vector<int64_t> shape = from.shape;
    shape[0] = count;
    ASSERT_TRUE(part.allocate(from.dtype, shape).ok());
    size_t row = from.bytes.size() / from.shape[0];
    std::memcpy(part.bytes.data(), from.bytes.data() + begin * row,
                count * row);
    ASSERT_TRUE(writeNpy(root + "half/" + name, part).ok());
  };
  SensitivityOptions half = optionsFor("a");
  half.data = root + "half";
  for (const char *name : {"a", "b"}) {
    int64_t begin = *name == 'a' ? 0 : 5,
            count = *name == 'a' ? 5 : kSamples - 5;
    rows(x, begin, count, "x.npy");
    rows(labels, begin, count, "labels.npy");
    half.output = root + name;
    ASSERT_TRUE(computeSensitivity(half, result).ok());
  }
  Status s = mergeSensitivity({root + "a", root + "b"}, root + "merged");
  ASSERT_TRUE(s.ok()) << s.message;
  SensitivityFile merged, whole;
  ASSERT_TRUE(merged.open(root + "merged").ok() &&
              whole.open(root + "one").ok());
  EXPECT_EQ(merged.head().samples, kSamples);
  std::vector<float> sums, expected;
  for (size_t layer : {0, 1}) {
    ASSERT_TRUE(merged.readFisher(layer, sums).ok() &&
                whole.readFisher(layer, expected).ok());
    for (size_t i = 0; i < sums.size(); ++i)
      EXPECT_NEAR(sums[i], expected[i],
                  1e-6 * expected[i]); // another order of additions
  }
}
