/// CUDA kernels without a GPU: the compiled artifact, its kernels made for the
/// CPU, run by the runtime through the driver of test/cuda/emulator.
#include "test/e2e/Models.h"
#include "test/e2e/RandomGraph.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <dlfcn.h>
#include <fstream>
#include <iostream>

using namespace sq;
using namespace sq::test;
using numerics::Tensor;

namespace {

struct Precision {
  const char *name;
  double tolerance; // of a whole model, as issue 5 asks
  double unit;      // relative error of rounding a factor
};
constexpr Precision precisions[] = {{"f32", 2e-5, 0x1p-24}, {"f16", 2e-2, 0x1p-11}, {"bf16", 5e-2, 0x1p-8}, {"tf32", 5e-2, 0x1p-10}};

/// The runtime opens "libcuda.so.1": one of that name is then there already.
/// It is asked for its compute capability once in a process: 9.0, for all kernels.
void useEmulator() {
  setenv("SQ_FAKE_CUDA_CC", "90", 1);
  static void *driver = dlopen(SQ_BINARY_DIR "/test/cuda/lib/libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  ASSERT_NE(driver, nullptr) << dlerror();
}

CompileOptions forHost() {
  CompileOptions options;
  options.levels = {"x86-64-v3"};
  return options;
}

CompileOptions emulated(const char *precision, const char *arch = "sm_90") {
  CompileOptions options;
  options.cuda = {arch};
  options.emulateCuda = true;
  options.precision = precision;
  options.threads = 1;
  return options;
}

Tensor randomF32(Random &random, numerics::Shape shape) {
  Tensor t = random.reals(shape);
  for (double &value : t.reals)
    value = numerics::roundToF32(value);
  return t;
}

/// An initializer in ONNX's text format.
std::string literal(const char *name, const numerics::Shape &shape, const Tensor &t) {
  std::ostringstream os;
  os.precision(9);
  os << "float[";
  for (size_t d = 0; d < shape.size(); ++d)
    os << (d ? ", " : "") << shape[d];
  os << "] " << name << " = {";
  for (size_t i = 0; i < t.reals.size(); ++i)
    os << (i ? ", " : "") << t.reals[i];
  os << "}";
  return os.str();
}

/// y = relu(x w + b) at rows around every border of the kernels.
void checkLinear(int64_t k, int64_t n, const Precision &precision, std::vector<int64_t> rows = {0, 1, 2, 8, 9, 64, 65, 130},
                 const char *arch = "sm_90") {
  Random random(static_cast<unsigned>(k * 1000 + n));
  Tensor w = randomF32(random, {k, n}), b = randomF32(random, {n});
  TemporaryDirectory directory;
  std::string path = directory.file("linear.onnxtxt");
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\n"
                      << "linear (float[m, " << k << "] x) => (float[m, " << n << "] y) <\n"
                      << literal("w", {k, n}, w) << ",\n"
                      << literal("b", {n}, b) << "\n> {\n"
                      << "  p = MatMul(x, w)\n  s = Add(p, b)\n  y = Relu(s)\n}\n";
  CompiledModel model(path, emulated(precision.name, arch));
  ASSERT_TRUE(model.ok());
  Program program = model.open();
  for (int64_t m : rows) {
    Feed feed = {{"x", randomF32(random, {m, k})}};
    Tensor actual = runFirst(program, feed), expected = referenceFirst(path, feed);
    ASSERT_EQ(actual.shape, expected.shape);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double magnitude = std::fabs(b.reals[j]);
        for (int64_t l = 0; l < k; ++l)
          magnitude += std::fabs(feed["x"].reals[i * k + l] * w.reals[l * n + j]);
        // Both factors rounded, and the sum of k products in f32.
        double bound = magnitude * (2.1 * precision.unit + (k + 2) * 0x1p-24);
        ASSERT_NEAR(actual.reals[i * n + j], expected.reals[i * n + j], bound)
            << precision.name << " " << m << "x" << k << "x" << n << " at " << i << ", " << j;
      }
  }
}

void checkLinears(const Precision &precision) {
  useEmulator();
  for (auto [k, n] : {std::pair(1, 1), std::pair(5, 70), std::pair(40, 64), std::pair(64, 130), std::pair(100, 60),
                      std::pair(1200, 65)})
    checkLinear(k, n, precision);
  // Enough columns for large tiles, the last of one panel and not whole; a depth
  // without and with rows that begin at multiples of 16 bytes.
  if (precision.name != std::string("f32"))
    for (auto [k, n] : {std::pair(36, 8460), std::pair(5, 8456)})
      checkLinear(k, n, precision, {9, 130});
}
TEST(Cuda, LinearF32) { checkLinears(precisions[0]); }
TEST(Cuda, LinearF16) { checkLinears(precisions[1]); }
TEST(Cuda, LinearBF16) { checkLinears(precisions[2]); }
TEST(Cuda, LinearTF32) { checkLinears(precisions[3]); }

/// Warpgroups: blocks of two, four and three panels, the last panel not whole and
/// not there; a depth of several steps and a tail; few rows, for other kernels.
TEST(Cuda, LinearWgmma) {
  useEmulator();
  checkLinear(264, 264, precisions[1], {9, 2700}, "sm_90a");
  checkLinear(72, 760, precisions[1], {2700}, "sm_90a");
  checkLinear(72, 576, precisions[2], {2700}, "sm_90a");
}

/// Layers that read one value are one launch, whose blocks and rows go apart again.
TEST(Cuda, JoinedLinears) {
  useEmulator();
  TemporaryDirectory directory;
  std::string path = directory.file("joined.onnxtxt");
  Random random(3);
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\n"
                      << "joined (float[m, 40] x) => (float[m, 128] y) <\n"
                      << literal("a", {40, 128}, randomF32(random, {40, 128})) << ",\n"
                      << literal("b", {40, 128}, randomF32(random, {40, 128})) << ",\n"
                      << literal("c", {40, 128}, randomF32(random, {40, 128})) << ",\n"
                      << literal("d", {128}, randomF32(random, {128})) << "\n> {\n"
                      << "  p = MatMul(x, a)\n  q = MatMul(x, b)\n  r = MatMul(x, c)\n"
                      << "  s = Add(q, d)\n  t = Relu(r)\n  u = Mul(p, s)\n  y = Sub(u, t)\n}\n";
  for (const Precision &precision : precisions) {
    CompiledModel model(path, emulated(precision.name));
    ASSERT_TRUE(model.ok());
    Program program = model.open();
    for (int64_t m : {1, 3, 70}) {
      Feed feed = {{"x", randomF32(random, {m, 40})}};
      // Two products of 40 terms, of which each factor is rounded, multiplied.
      EXPECT_LE(maxDifference(runFirst(program, feed), referenceFirst(path, feed)), 40 * 40 * 16 * precision.unit)
          << precision.name << " " << m;
    }
  }
}

TEST(Cuda, TinyClassifier) {
  useEmulator();
  std::string folder = committedModels() + "/tiny/classifier";
  Feed feed = rows(readFeed(folder + "/test", {"input_ids", "attention_mask"}), 0, 5);
  Tensor expected = rows({{"logits", readData(folder + "/test/logits.npy")}}, 0, 5).at("logits");
  for (const Precision &precision : precisions) {
    CompiledModel model(folder + "/model.onnx", emulated(precision.name));
    ASSERT_TRUE(model.ok());
    Program program = model.open();
    double difference = maxDifference(runFirst(program, feed), expected);
    EXPECT_LE(difference, precision.tolerance) << precision.name;
    std::cout << precision.name << ": " << difference << "\n";
  }
}

/// Against the host's result of the same file.
TEST(Cuda, MiniLm) {
  SQ_REQUIRE_MINILM();
  useEmulator();
  std::string path = miniLm() + "/model_opset17.onnx";
  Random random(16);
  Feed feed = {{"input_ids", random.integers({1, 16}, 0, 30521)},
               {"attention_mask", random.integers({1, 16}, 1, 1)},
               {"token_type_ids", random.integers({1, 16}, 0, 1)}};
  CompiledModel onHost(path, forHost());
  ASSERT_TRUE(onHost.ok());
  Program reference = onHost.open();
  Tensor expected = runFirst(reference, feed);
  for (const Precision &precision : precisions) {
    CompiledModel model(path, emulated(precision.name));
    ASSERT_TRUE(model.ok());
    Program program = model.open();
    double difference = maxDifference(runFirst(program, feed), expected);
    EXPECT_LE(difference, precision.tolerance) << precision.name;
    std::cout << precision.name << ": " << difference << "\n";
  }
}

/// Attention of four heads of queries on two of keys, with a mask, on the
/// emulator and on the host.
struct AttentionPair {
  TemporaryDirectory directory;
  std::string path;
  CompiledModel model, onHost;

  AttentionPair(int64_t size, bool causal, const char *precision)
      : path(write(directory, size, causal)), model(path, emulated(precision)), onHost(path, forHost()) {}
  bool ok() const { return model.ok() && onHost.ok(); }

  static std::string write(TemporaryDirectory &directory, int64_t size, bool causal) {
    std::string path = directory.file("attention.onnxtxt"), d = std::to_string(size);
    std::ofstream(path) << "<ir_version: 10, opset_import: [\"\" : 23]>\n"
                        << "attend (float[b, 4, s, " << d << "] q, float[b, 2, t, " << d << "] k, float[b, 2, t, " << d
                        << "] v, float[s, t] m) => (float[b, 4, s, " << d << "] y) {\n  y = Attention"
                        << (causal ? "<is_causal=1>" : "") << "(q, k, v, m)\n}\n";
    return path;
  }
};

/// In 16 bits, on tensor cores, against the host in f32: several tiles of queries
/// and keys, the last not whole; groups of heads; keys that no query sees.
void checkShortAttention(int64_t size, bool causal, const Precision &precision) {
  AttentionPair pair(size, causal, precision.name);
  ASSERT_TRUE(pair.ok());
  Program program = pair.model.open(), reference = pair.onHost.open();
  for (auto [batch, queries, keys] : {std::tuple(2, 70, 70), std::tuple(1, 5, 5), std::tuple(1, 9, 200), std::tuple(1, 2, 300)}) {
    if (causal && queries != keys)
      continue;
    Random random(static_cast<unsigned>(keys));
    Feed feed = {{"q", randomF32(random, {batch, 4, queries, size})},
                 {"k", randomF32(random, {batch, 2, keys, size})},
                 {"v", randomF32(random, {batch, 2, keys, size})},
                 {"m", randomF32(random, {queries, keys})}};
    for (int64_t i = 0; i < queries * keys; ++i)
      if (keys == 200 && i % keys < 150)
        feed["m"].reals[i] = -std::numeric_limits<double>::infinity();
    Tensor expected = runFirst(reference, feed);
    double largest = 0;
    for (double v : feed["v"].reals)
      largest = std::max(largest, std::fabs(v));
    // Each of q, k, the probabilities, v and y is rounded once; what rounding does
    // to a score is a relative error of a probability.
    double score = 0;
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < size; ++j)
        score += std::fabs(feed["q"].reals[i * size + j] * feed["k"].reals[i % keys * size + j]) / std::sqrt(static_cast<double>(size)) / static_cast<double>(queries);
    double bound = precision.unit * largest * (4 + 4 * score);
    EXPECT_LE(maxDifference(runFirst(program, feed), expected), bound)
        << precision.name << " " << batch << "x" << queries << "x" << keys << "x" << size << (causal ? " causal" : "");
  }
}

TEST(Cuda, ShortAttention) {
  useEmulator();
  for (int64_t size : {8, 20, 40, 128})
    for (bool causal : {false, true})
      checkShortAttention(size, causal, precisions[1]);
  checkShortAttention(64, false, precisions[2]);
}

/// Against the host, which lib/reference does not know Attention for: few
/// queries and many keys, in one part and several; more queries; a head
/// that is too large for tiles.
TEST(Cuda, Attention) {
  useEmulator();
  for (int64_t size : {40, 260}) {
    AttentionPair pair(size, false, "f32");
    ASSERT_TRUE(pair.ok());
    Program program = pair.model.open(), reference = pair.onHost.open();
    for (auto [batch, queries, keys] : {std::tuple(2, 1, 700), std::tuple(1, 4, 300), std::tuple(1, 1, 1),
                                        std::tuple(1, 3, 256), std::tuple(1, 2, 33), std::tuple(2, 5, 70)}) {
      Random random(static_cast<unsigned>(keys));
      Feed feed = {{"q", randomF32(random, {batch, 4, queries, size})},
                   {"k", randomF32(random, {batch, 2, keys, size})},
                   {"v", randomF32(random, {batch, 2, keys, size})},
                   {"m", randomF32(random, {queries, keys})}};
      // What no query sees of the first keys is a tile, and a part, of its own.
      for (int64_t i = 0; i < queries * keys; ++i)
        if (keys > 64 && i % keys < 300)
          feed["m"].reals[i] = i % keys < keys - 5 ? -std::numeric_limits<double>::infinity() : 0;
      double difference = maxDifference(runFirst(program, feed), runFirst(reference, feed));
      EXPECT_LE(difference, 1e-5) << batch << "x" << queries << "x" << keys << "x" << size;
    }
  }
}

/// What the schedule itself computes must reach device memory by a kernel.
TEST(Cuda, ShapeAsOutput) {
  useEmulator();
  TemporaryDirectory directory;
  std::string path = directory.file("shape.onnxtxt");
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\n"
                      << "shape (float[b, s, 8] x) => (int64[3] y) {\n  y = Shape(x)\n}\n";
  CompiledModel model(path, emulated("f32"));
  ASSERT_TRUE(model.ok());
  Program program = model.open();
  Random random(1);
  EXPECT_EQ(runFirst(program, {{"x", randomF32(random, {2, 5, 8})}}).integers, (std::vector<int64_t>{2, 5, 8}));
}

TEST(Cuda, RandomGraphs) {
  useEmulator();
  for (unsigned seed = 100; seed < 112; ++seed) {
    RandomGraph graph = randomGraph(seed);
    TemporaryDirectory directory;
    std::string path = directory.file("random.onnxtxt");
    std::ofstream(path) << graph.text;
    CompiledModel model(path, emulated("f32"));
    ASSERT_TRUE(model.ok()) << "seed " << seed << "\n" << graph.text;
    Random random(seed);
    Program program = model.open();
    for (auto [batch, sequence] : {std::pair(1, 1), std::pair(3, 17), std::pair(1, 5), std::pair(2, 40)}) {
      Feed feed = {{"x", randomF32(random, {batch, sequence, graph.inputWidth})}};
      Tensor actual = runFirst(program, feed), expected = referenceFirst(path, feed);
      double largest = 1;
      for (double value : expected.reals)
        largest = std::max(largest, std::fabs(value));
      ASSERT_LE(maxDifference(actual, expected), 5e-5 * largest)
          << "seed " << seed << ", " << batch << "x" << sequence << "\n" << graph.text;
    }
  }
}

} // namespace
