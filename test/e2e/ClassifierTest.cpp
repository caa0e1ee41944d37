/// Text classifiers: the tiny one of the repository and the larger one.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace sq;
using namespace sq::test;
using numerics::Tensor;

namespace {

const std::vector<std::string> inputs = {"input_ids", "attention_mask"};

struct Score {
  int64_t right = 0;
  double worst = 0; // difference of logits
};

/// All rows of <folder>/test in batches of `batch`; the last one is what is left.
Score evaluate(Program &program, const std::string &folder, int64_t batch) {
  Feed all = readFeed(folder, inputs);
  Tensor labels = readData(folder + "/labels.npy"), stored = readData(folder + "/logits.npy");
  int64_t count = labels.size(), classes = stored.shape[1];
  Score score;
  for (int64_t from = 0; from < count; from += batch) {
    int64_t to = std::min(from + batch, count);
    Tensor logits = runFirst(program, rows(all, from, to));
    Tensor expected = rows({{"logits", stored}}, from, to).at("logits");
    score.worst = std::max(score.worst, maxDifference(logits, expected));
    for (int64_t row = from; row < to && !logits.reals.empty(); ++row) {
      auto first = logits.reals.begin() + (row - from) * classes;
      score.right += std::max_element(first, first + classes) - first == labels.integers[row];
    }
  }
  return score;
}

TEST(Classifier, Tiny) {
  std::string folder = committedModels() + "/tiny/classifier";
  CompiledModel model(folder + "/model.onnx");
  ASSERT_TRUE(model.ok());
  for (const char *cpu : {"x86-64-v3", static_cast<const char *>(nullptr)})
    for (int64_t batch : {1, 7, 400}) { // 7 does not divide 400
      Program program = model.open(cpu ? 1 : 2, cpu);
      Score score = evaluate(program, folder + "/test", batch);
      EXPECT_EQ(score.right, 356) << "of 400, batch " << batch; // accuracy 0.89
      EXPECT_LE(score.worst, 1e-4) << "batch " << batch;
    }
}

/// Not a bit depends on the threads, on the run, or on which texts are in a batch.
TEST(Classifier, TinySameBits) {
  std::string folder = committedModels() + "/tiny/classifier";
  CompiledModel model(folder + "/model.onnx");
  ASSERT_TRUE(model.ok());
  Feed all = rows(readFeed(folder + "/test", inputs), 0, 37);
  for (const char *cpu : {"x86-64-v3", static_cast<const char *>(nullptr)}) {
    Program single = model.open(1, cpu);
    Tensor expected = runFirst(single, all);
    ASSERT_EQ(expected.shape[0], 37);
    for (int threads : {1, 2, 3, 7}) {
      Program program = model.open(threads, cpu);
      for (int64_t batch : {37, 11, 1})
        for (int64_t from = 0; from < 37; from += batch) {
          int64_t to = std::min<int64_t>(from + batch, 37);
          Tensor part = runFirst(program, rows(all, from, to));
          ASSERT_EQ(part.reals, rows({{"logits", expected}}, from, to).at("logits").reals)
              << threads << " threads, texts " << from << " to " << to;
        }
    }
  }
}

TEST(Classifier, TinyOracle) {
  std::string folder = committedModels() + "/tiny/classifier";
  Tensor logits = referenceFirst(folder + "/model.onnx", readFeed(folder + "/test", inputs));
  // Stored as float32.
  EXPECT_LE(maxDifference(logits, readData(folder + "/test/logits.npy")), 1e-6);
}

TEST(Classifier, AllRowsOfTheLargerOne) {
  std::string folder = largeModels() + "/classifier";
  SQ_REQUIRE_LARGE_MODELS(folder + "/model.onnx");
  CompiledModel model(folder + "/model.onnx");
  ASSERT_TRUE(model.ok());
  Program program = model.open(2);
  Score score = evaluate(program, folder + "/test", 48);
  EXPECT_EQ(score.right, 1570) << "of 2000: accuracy 0.785";
  EXPECT_LE(score.worst, 1e-4);
}

} // namespace
