/// A language model with its keys and values handed from step to step.
#include "lib/numerics/Layout.h"
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

/// `model_with_past.onnx`: input_ids, position_ids, past_key_values.N.key and .value
/// -> logits, present.N.key and .value, in this order.
class Decoder {
public:
  Decoder(const std::string &folder, int64_t batch, int threads)
      : model(folder + "/model_with_past.onnx"), batch(batch) {
    if (!model.ok())
      return;
    program.emplace(model.open(threads));
    reset();
  }
  bool ok() const { return program.has_value(); }

  void reset() {
    // [batch, heads, 0, size]; the model says heads and size, tiny and large differ.
    past.assign(program->numInputs() - 2, Tensor{DType::F32, {batch, 2, 0, headSize()}, {}, {}});
    position = 0;
  }
  /// Logits [batch, count, vocabulary] of the next `count` tokens, row major.
  Tensor step(const std::vector<int64_t> &tokens) {
    int64_t count = tokens.size() / batch;
    Tensor ids{DType::I64, {batch, count}, {}, tokens}, positions = ids;
    for (int64_t i = 0; i < batch * count; ++i)
      positions.integers[i] = position + i % count;
    std::vector<Tensor> inputs = {ids, positions};
    inputs.insert(inputs.end(), past.begin(), past.end());
    llvm::Expected<std::vector<Tensor>> outputs = program->run(inputs);
    if (!outputs) {
      ADD_FAILURE() << llvm::toString(outputs.takeError());
      return {};
    }
    past.assign(outputs->begin() + 1, outputs->end());
    position += count;
    return outputs->front();
  }

private:
  int64_t headSize() const { return program->numInputs() - 2 == 4 ? 24 : 64; }

  CompiledModel model;
  int64_t batch;
  std::optional<Program> program;
  std::vector<Tensor> past;
  int64_t position = 0;
};

int64_t argmax(const Tensor &logits, int64_t row, int64_t vocabulary) {
  auto first = logits.reals.begin() + row * vocabulary;
  return std::max_element(first, first + vocabulary) - first;
}

class LanguageModel : public testing::TestWithParam<const char *> {
protected:
  std::string folder = largeModels() + "/" + GetParam();
};

/// Rows 0 and 1 of the validation data, 16 tokens one by one and then in pieces of
/// 1, 5 and 10, against the logits that the whole rows give in float64.
TEST_P(LanguageModel, StepsGiveTheLogitsOfTheWhole) {
  SQ_REQUIRE_LARGE_MODELS(folder + "/model_with_past.onnx");
  Tensor tokens = readData(folder + "/validation/tokens.npy");
  Tensor expected = readData(folder + "/reference_logits.npy");
  ASSERT_EQ(expected.shape.size(), 3u);
  Decoder decoder(folder, 2, 2);
  ASSERT_TRUE(decoder.ok());
  int64_t length = tokens.shape[1], vocabulary = expected.shape[2];
  for (const std::vector<int64_t> &pieces :
       {std::vector<int64_t>(16, 1), std::vector<int64_t>{1, 5, 10}, std::vector<int64_t>{16}}) {
    decoder.reset();
    int64_t at = 0;
    for (int64_t count : pieces) {
      std::vector<int64_t> next;
      for (int64_t row : {0, 1})
        for (int64_t i = at; i < at + count; ++i)
          next.push_back(tokens.integers[row * length + i]);
      Tensor logits = decoder.step(next);
      Tensor part = numerics::slice(expected, {at}, {at + count}, {1}, {1});
      ASSERT_EQ(logits.shape, (std::vector<int64_t>{2, count, vocabulary}));
      EXPECT_LE(maxDifference(logits, numerics::cast(part, logits.dtype)), 1e-4) << "at " << at;
      at += count;
    }
  }
}

/// The stored continuation: a prompt in one step, then each token from the last.
TEST_P(LanguageModel, GreedyContinuation) {
  SQ_REQUIRE_LARGE_MODELS(folder + "/model_with_past.onnx");
  Tensor greedy = readData(folder + "/greedy.npy");
  constexpr int64_t prompt = 24;
  Decoder decoder(folder, 1, 1);
  ASSERT_TRUE(decoder.ok());
  std::vector<int64_t> tokens(greedy.integers.begin(), greedy.integers.begin() + prompt);
  Tensor logits = decoder.step(tokens);
  int64_t wrong = 0;
  for (int64_t i = prompt; i < greedy.size(); ++i) {
    ASSERT_FALSE(logits.reals.empty());
    int64_t token = argmax(logits, logits.shape[1] - 1, logits.shape[2]);
    wrong += token != greedy.integers[i];
    logits = decoder.step({greedy.integers[i]});
  }
  EXPECT_EQ(wrong, 0) << "of " << greedy.size() - prompt << " tokens";
}

INSTANTIATE_TEST_SUITE_P(All, LanguageModel, testing::Values("tiny/lm", "lm"),
                         [](const testing::TestParamInfo<const char *> &info) {
                           return std::string(info.param) == "lm" ? "large" : "tiny";
                         });

} // namespace
