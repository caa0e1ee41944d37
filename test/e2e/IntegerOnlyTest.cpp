/// --quant=int-only from end to end: equal to lib/numerics bit by bit, whatever the threads and the CPU
/// level, and without a float instruction.
#include "lib/calibration/Calibrate.h"
#include "test/e2e/IntegerGraph.h"
#include "test/e2e/Models.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <regex>

using namespace sq;
using namespace sq::test;
using numerics::Shape;

namespace {

const std::vector<const char *> levels = {"x86-64-v3", "avx512", "vnni", "amx"};

/// What sq-calibrate finds, in a file that lives as long as this.
struct Calibration {
  TemporaryDirectory directory;
  std::string file = directory.file("stats");

  Calibration(const std::string &model, const std::string &data, int64_t samples = 0) {
    calibration::CalibrateOptions options;
    options.model = model;
    options.data = {data};
    options.output = file;
    options.samples = samples;
    calibration::Stats stats;
    Status status = calibration::calibrate(options, stats);
    EXPECT_TRUE(status.ok()) << status.message;
  }

  CompileOptions options() const {
    CompileOptions result;
    result.quant = "int-only";
    result.stats = file;
    return result;
  }
};

/// Random tokens; the rows after the first end in padding, the last one is nothing else.
Feed randomFeed(unsigned seed, int64_t batch, int64_t sequence, int64_t vocabulary, bool hasTypes) {
  Random random(seed);
  Shape shape{batch, sequence};
  numerics::Tensor mask = random.integers(shape, 1, 1);
  for (int64_t row = 1; row < batch; ++row)
    for (int64_t i = row + 1 == batch ? 0 : random.integer(1, sequence); i < sequence; ++i)
      mask.integers[row * sequence + i] = 0;
  Feed feed = {{"input_ids", random.integers(shape, 0, vocabulary - 1)}, {"attention_mask", mask}};
  if (hasTypes)
    feed["token_type_ids"] = random.integers(shape, 0, 1);
  return feed;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

/// Arithmetic, comparisons and conversions of floats. Moves, logic and shuffles of float registers compute nothing.
const std::regex floatInstruction(
    "v?(((add|sub|mul|div|sqrt|min|max|cmp[a-z_]*|u?comi|u?comx|rcp[0-9a-z]*|rsqrt[0-9a-z]*|f[n]?m(add|sub)[0-9a-z]*|h(add|sub)|addsub|dp|round|"
    "rndscale|range|reduce|getexp|getmant|fixupimm|scalef|fpclass)(ss|sd|ps|pd|ph|sh|nepbf16|pbf16|bf16))|cvt[0-9a-z]+|dpbf16ps|tdp(bf|fp)16ps|"
    "f(add|sub|mul|div|ild|ist|comp?|sqrt)[a-z]*)");

struct Kernels {
  int64_t kernels = 0, borders = 0, instructions = 0;
  std::vector<std::string> floats; // "kernel: instruction", not of borders
};

/// Of all levels in an artifact.
Kernels disassemble(const std::string &artifact) {
  Kernels found;
  FILE *pipe = popen((std::string(SQ_OBJDUMP) + " -d --no-show-raw-insn " + artifact).c_str(), "r");
  if (!pipe)
    return found;
  char line[4096];
  std::string function;
  bool isKernel = false, isBorder = false;
  std::map<std::string, bool> isFloat; // by mnemonic
  while (std::fgets(line, sizeof line, pipe)) {
    std::string text = line;
    if (size_t open = text.find('<'), close = text.find(">:"); open != std::string::npos && close != std::string::npos) {
      function = text.substr(open + 1, close - open - 1);
      isKernel = function.rfind("sq_kernel_", 0) == 0 || function.rfind("sq_entry_", 0) == 0 || function == "main";
      isBorder = isKernel && function.find("_border") != std::string::npos;
      found.kernels += isKernel;
      found.borders += isBorder;
    } else if (isKernel) {
      ++found.instructions;
      size_t begin = text.find_first_not_of(" \t", text.find(':') + 1), end = text.find_first_of(" \t\n", begin);
      std::string mnemonic = text.substr(std::min(begin, text.size()), end - begin);
      auto [known, isNew] = isFloat.try_emplace(mnemonic, false);
      if (isNew)
        known->second = std::regex_match(mnemonic, floatInstruction);
      if (!isBorder && known->second)
        found.floats.push_back(function + ":" + text);
    }
  }
  pclose(pipe);
  return found;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

// The whole graph in lib/numerics: embeddings, two layers, pooler and head. Ids and masks are random
// and extreme: one token, all of the positions, rows of padding only, one id everywhere.
TEST(IntegerOnly, TinyEqualsNumerics) {
  std::string folder = committedModels() + "/tiny/classifier";
  Calibration calibration(folder + "/model.onnx", folder + "/calibration");
  std::vector<Feed> feeds;
  for (auto [batch, sequence] : {std::pair(1, 1), {2, 5}, {3, 32}, {1, 17}})
    feeds.push_back(randomFeed(batch * 100 + sequence, batch, sequence, 1024, false));
  for (int64_t id : {0, 1023})
    feeds.push_back({{"input_ids", numerics::Tensor::ofIntegers(numerics::DType::I64, {1, 9}, std::vector<int64_t>(9, id))},
                     {"attention_mask", numerics::Tensor::ofIntegers(numerics::DType::I64, {1, 9}, {1, 1, 1, 1, 0, 0, 0, 0, 1})}});
  std::vector<numerics::Tensor> expected;
  CompileOptions options = calibration.options();
  CompiledModel tiles(folder + "/model.onnx", onTiles(options));
  options.inspect = [&](const std::string &phase, mlir::ModuleOp module) {
    if (phase == "normalise")
      for (const Feed &feed : feeds)
        expected.push_back(runIntegerGraph(module, {feed.at("input_ids"), feed.at("attention_mask")}).front());
  };
  CompiledModel model(folder + "/model.onnx", options);
  ASSERT_TRUE(model.ok() && tiles.ok());
  ASSERT_EQ(expected.size(), feeds.size());
  for (std::string cpu : levels)
    for (int threads : {1, 2}) {
      if (cpu == "amx" && !runsTiles())
        continue;
      Program program = (cpu == "amx" ? tiles : model).open(threads, cpu.c_str());
      for (size_t i = 0; i < feeds.size(); ++i)
        ASSERT_EQ(runFirst(program, feeds[i]).reals, expected[i].reals) << "feed " << i << ", " << cpu << ", " << threads << " threads";
    }
}

void checkSameBits(const CompiledModel &model, const std::vector<Feed> &feeds) {
  Program first = model.open(1);
  for (const Feed &feed : feeds) {
    numerics::Tensor expected = runFirst(first, feed);
    for (const char *cpu : levels)
      for (int threads : {1, 2, 3}) {
        Program program = model.open(threads, cpu);
        ASSERT_EQ(runFirst(program, feed).reals, expected.reals) << cpu << ", " << threads << " threads";
        // Not a bit depends on what else is in the batch.
        int64_t last = feed.at("input_ids").shape[0] - 1;
        ASSERT_EQ(runFirst(program, rows(feed, last, last + 1)).reals, rows({{"y", expected}}, last, last + 1).at("y").reals) << cpu;
      }
  }
}

TEST(IntegerOnly, TinyAccuracy) {
  std::string folder = committedModels() + "/tiny/classifier";
  Calibration calibration(folder + "/model.onnx", folder + "/calibration");
  CompiledModel model(folder + "/model.onnx", calibration.options());
  ASSERT_TRUE(model.ok());
  Feed all = readFeed(folder + "/test", {"input_ids", "attention_mask"});
  checkSameBits(model, {rows(all, 0, 37)});
  numerics::Tensor logits = runFirst(*std::make_unique<Program>(model.open(2)), all), stored = readData(folder + "/test/logits.npy");
  int64_t same = 0, classes = stored.shape[1];
  auto top = [&](const numerics::Tensor &x, int64_t row) {
    auto from = x.reals.begin() + row * classes;
    return std::max_element(from, from + classes) - from;
  };
  for (int64_t row = 0; row < stored.shape[0]; ++row)
    same += top(logits, row) == top(stored, row);
  EXPECT_GE(same, 386) << "of 400 texts have the class that float gives"; // 96.5 %
}

/// 10 log10 of signal to noise.
double sqnr(const numerics::Tensor &actual, const numerics::Tensor &expected) {
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < expected.size() && i < actual.size(); ++i) {
    double lost = actual.reals[i] - expected.reals[i];
    signal += expected.reals[i] * expected.reals[i];
    noise += lost * lost;
  }
  return actual.size() == expected.size() ? 10 * std::log10(signal / noise) : 0;
}

// Norms behind and before layers, with and without biases, causal, two stacks, images and sounds; by both
// exporters. Random weights, calibrated on two samples: 8 bits of activations and weights leave 31 to 41 dB on those.
TEST(IntegerOnly, Families) {
  const Shape text = {2, 7};
  Random random(5);
  auto ids = random.integers(text, 2, 40), ones = random.integers(text, 1, 1), none = random.integers(text, 0, 0);
  std::vector<std::pair<const char *, Feed>> models = {
      {"bert-torchscript", {{"input_ids", ids}, {"attention_mask", ones}, {"token_type_ids", none}}},
      {"clip-text-dynamo", {{"input_ids", ids}, {"attention_mask", ones}}},
      {"gpt2-torchscript", {{"input_ids", ids}, {"attention_mask", ones}}},
      {"bart-dynamo", {{"input_ids", ids}, {"attention_mask", ones}, {"decoder_input_ids", random.integers({2, 5}, 2, 40)}}},
      {"vit-dynamo", {{"pixel_values", random.reals({2, 3, 16, 16})}}},
      {"whisper-encoder-dynamo", {{"input_features", random.reals({2, 8, 24})}}}};
  for (auto &[name, feed] : models) {
    SCOPED_TRACE(name);
    std::string folder = committedModels() + "/families/" + name, path = folder + "/model.onnx";
    Calibration calibration(path, folder);
    CompileOptions options = calibration.options();
    options.levels = {"x86-64-v3"};
    CompileOptions inFloat; // within 1e-4 of torch: test/conformance
    inFloat.levels = options.levels;
    CompiledModel model(path, options), reference(path, inFloat);
    if (!model.ok() || !reference.ok())
      continue; // the failure has been added
    Program program = model.open(2), floats = reference.open(2);
    double db = sqnr(runFirst(program, feed), runFirst(floats, feed));
    EXPECT_GE(db, 20); // what is beyond the two samples of calibration is clipped
    std::cout << name << ": SQNR " << db << " dB\n";
    EXPECT_TRUE(disassemble(model.artifact()).floats.empty());
  }
}

/// Of embeddings: means over unmasked tokens.
double leastCosine(const numerics::Tensor &a, const numerics::Tensor &b, const numerics::Tensor &mask) {
  double least = 1;
  int64_t width = a.shape[2];
  for (int64_t n = 0; n < a.shape[0]; ++n) {
    std::vector<double> x(width), y(width);
    for (int64_t s = 0; s < a.shape[1]; ++s)
      for (int64_t c = 0; c < width && mask.integers[n * a.shape[1] + s]; ++c) {
        x[c] += a.reals[(n * a.shape[1] + s) * width + c];
        y[c] += b.reals[(n * a.shape[1] + s) * width + c];
      }
    double xy = 0, xx = 0, yy = 0;
    for (int64_t c = 0; c < width; ++c)
      xy += x[c] * y[c], xx += x[c] * x[c], yy += y[c] * y[c];
    least = std::min(least, xy / std::sqrt(xx * yy));
  }
  return least;
}

//===----------------------------------------------------------------------===//
// Programs without float instructions
//===----------------------------------------------------------------------===//

void checkInstructions(const CompiledModel &model, int64_t outputs) {
  Kernels found = disassemble(model.artifact());
  ASSERT_GT(found.instructions, 1000) << "no kernels were found in the artifact; is " << SQ_OBJDUMP << " there?";
  EXPECT_EQ(found.borders, outputs * int64_t(levels.size())) << "kernels that make floats of integers";
  EXPECT_TRUE(found.floats.empty()) << found.floats.size() << " float instructions, the first in " << found.floats.front();
}

// The test itself: a model in float has them.
TEST(IntegerOnly, FloatInstructionsAreFound) {
  CompiledModel model(committedModels() + "/tiny/classifier/model.onnx");
  ASSERT_TRUE(model.ok());
  EXPECT_GT(disassemble(model.artifact()).floats.size(), 1000u);
}

TEST(IntegerOnly, TinyInstructions) {
  std::string folder = committedModels() + "/tiny/classifier";
  Calibration calibration(folder + "/model.onnx", folder + "/calibration");
  CompiledModel model(folder + "/model.onnx", calibration.options());
  ASSERT_TRUE(model.ok());
  checkInstructions(model, 1);
}

TEST(IntegerOnly, MiniLm) {
  SQ_REQUIRE_MINILM();
  std::string data = largeModels() + "/minilm/calibration", path = miniLm() + "/model_opset17.onnx";
  SQ_REQUIRE_LARGE_MODELS(data);
  Calibration calibration(path, data, /*samples=*/64);
  CompiledModel model(path, calibration.options());
  ASSERT_TRUE(model.ok());
  checkInstructions(model, 1);
  checkSameBits(model, {randomFeed(1, 3, 19, 30522, true), randomFeed(2, 2, 128, 30522, true)});
  for (const char *name : {"reference_b1", "reference_b3"}) {
    std::string folder = committedModels() + "/minilm/" + name;
    Feed feed = readFeed(folder, {"input_ids", "attention_mask", "token_type_ids"});
    Program program = model.open(2);
    double cosine = leastCosine(runFirst(program, feed), readData(folder + "/last_hidden_state.npy"), feed.at("attention_mask"));
    EXPECT_GE(cosine, 0.99) << folder; // 0.997 on average over 1,000 texts, 0.993 at least
    std::cout << folder << ": cosine " << cosine << "\n";
  }
}

} // namespace
