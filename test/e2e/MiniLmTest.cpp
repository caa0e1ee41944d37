/// all-MiniLM-L6-v2 from end to end: both opsets, many shapes, one artifact.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Shape;
using numerics::Tensor;

namespace {

const std::vector<std::string> inputs = {"input_ids", "attention_mask", "token_type_ids"};

// Six layers of float32 against float64: onnxruntime differs by 3e-6, and a
// wrong sum or mask is larger than 1e-3.
constexpr double tolerance = 2e-5;

/// Random tokens; each row but the first ends in padding.
Feed randomFeed(unsigned seed, int64_t batch, int64_t sequence) {
  Random random(seed);
  Shape shape{batch, sequence};
  Tensor ids = random.integers(shape, 0, 30521), mask = random.integers(shape, 1, 1);
  for (int64_t row = 1; row < batch; ++row)
    for (int64_t i = random.integer(1, sequence); i < sequence; ++i)
      mask.integers[row * sequence + i] = 0;
  return {{"input_ids", ids},
          {"attention_mask", mask},
          {"token_type_ids", random.integers(shape, 0, 1)}};
}

void checkReference(Program &program, const std::string &folder) {
  Tensor actual = runFirst(program, readFeed(folder, inputs));
  double difference = maxDifference(actual, readData(folder + "/last_hidden_state.npy"));
  EXPECT_LE(difference, tolerance) << folder;
  std::cout << folder << ": " << difference << "\n";
}

void checkModel(const std::string &file) {
  SQ_REQUIRE_MINILM();
  std::string path = miniLm() + "/" + file;
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  Program program = model.open(2);
  checkReference(program, committedModels() + "/minilm/reference_b1");
  checkReference(program, committedModels() + "/minilm/reference_b3");
  std::string large = largeModels() + "/minilm/reference_b8";
  if (exists(large))
    checkReference(program, large);
  else
    std::cout << "without the 8x128 reference: no " << large << "; set SQ_MODELS\n";

  // The lowest level as well: its kernels are other code.
  Program lowest = model.open(1, "x86-64-v3");
  for (auto [batch, sequence] : {std::pair(1, 1), std::pair(5, 33), std::pair(1, 512)}) {
    Feed feed = randomFeed(100 * batch + sequence, batch, sequence);
    Tensor expected = referenceFirst(path, feed);
    for (Program *each : {&program, &lowest}) {
      const char *level = each == &lowest ? " at x86-64-v3" : "";
      double difference = maxDifference(runFirst(*each, feed), expected);
      EXPECT_LE(difference, tolerance) << batch << "x" << sequence << level;
      std::cout << batch << "x" << sequence << level << ": " << difference << "\n";
    }
  }
}

TEST(MiniLm, Opset14) { checkModel("model_opset14.onnx"); }
TEST(MiniLm, Opset17) { checkModel("model_opset17.onnx"); }

// The oracle itself, without the compiler. The stored references are float32:
// rounding alone makes 6e-8 of values up to 10.
TEST(MiniLm, Oracle) {
  SQ_REQUIRE_MINILM();
  for (const char *file : {"model_opset14.onnx", "model_opset17.onnx"})
    for (const char *name : {"reference_b1", "reference_b3"}) {
      std::string folder = committedModels() + "/minilm/" + name;
      Tensor y = referenceFirst(miniLm() + "/" + file, readFeed(folder, inputs));
      EXPECT_LE(maxDifference(y, readData(folder + "/last_hidden_state.npy")), 1e-6)
          << file << ", " << name;
    }
}

/// One normalised vector a row: the mean over the tokens that the mask keeps.
std::vector<std::vector<double>> embed(Program &program, const Feed &all) {
  std::vector<std::vector<double>> vectors;
  const Tensor &mask = all.at("attention_mask");
  for (int64_t from = 0, count = mask.shape[0]; from < count; from += 20) {
    int64_t to = std::min(from + 20, count);
    Tensor hidden = runFirst(program, rows(all, from, to));
    if (hidden.rank() != 3)
      return {};
    int64_t sequence = hidden.shape[1], width = hidden.shape[2];
    for (int64_t row = from; row < to; ++row) {
      std::vector<double> mean(width, 0);
      double norm = 0;
      for (int64_t token = 0; token < sequence; ++token)
        if (mask.integers[row * sequence + token])
          for (int64_t i = 0; i < width; ++i)
            mean[i] += hidden.reals[((row - from) * sequence + token) * width + i];
      for (double value : mean)
        norm += value * value;
      for (double &value : mean)
        value /= std::sqrt(norm);
      vectors.push_back(std::move(mean));
    }
  }
  return vectors;
}

/// Queries whose own document is the nearest.
int64_t countRetrieved(Program &program, const std::string &folder) {
  auto queries = embed(program, readFeed(folder + "/query", inputs));
  auto documents = embed(program, readFeed(folder + "/document", inputs));
  int64_t right = 0;
  for (size_t q = 0; q < queries.size(); ++q) {
    size_t best = 0;
    double highest = -2;
    for (size_t d = 0; d < documents.size(); ++d) {
      double product = 0;
      for (size_t i = 0; i < queries[q].size(); ++i)
        product += queries[q][i] * documents[d][i];
      if (product > highest) {
        highest = product;
        best = d;
      }
    }
    right += best == q;
  }
  return right;
}

TEST(MiniLm, Retrieval) {
  SQ_REQUIRE_MINILM();
  std::string folder = largeModels() + "/minilm/retrieval";
  SQ_REQUIRE_LARGE_MODELS(folder);
  CompiledModel model(miniLm() + "/model_opset17.onnx");
  ASSERT_TRUE(model.ok());
  Program program = model.open(2);
  EXPECT_EQ(countRetrieved(program, folder), 441) << "of 500: accuracy@1 0.882";
}

TEST(MiniLm, SequenceAboveItsRangeIsRefused) {
  SQ_REQUIRE_MINILM();
  CompileOptions options;
  options.levels = {"x86-64-v3"};
  options.shape["sequence"] = {1, 64};
  CompiledModel model(miniLm() + "/model_opset17.onnx", options);
  ASSERT_TRUE(model.ok());
  Program program = model.open();
  Tensor longer = Tensor::zeros(DType::I64, {1, 65});
  llvm::Expected<std::vector<Tensor>> result = program.run({longer, longer, longer});
  ASSERT_FALSE(bool(result));
  std::string message = llvm::toString(result.takeError());
  for (const char *part : {"input_ids", "sequence", "65", "64"})
    EXPECT_NE(message.find(part), std::string::npos) << "no \"" << part << "\" in: " << message;
  // The session is as good as before.
  Feed feed = randomFeed(7, 1, 64);
  EXPECT_EQ(runFirst(program, feed).shape, (Shape{1, 64, 384}));
}

} // namespace
