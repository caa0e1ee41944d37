/// Tiny transformers as real exporters write them: every spelling of one model
/// gives the float64 output of the torch model. What they are raised to is
/// tested in test/passes/raise-exporters-*.test.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

using namespace sq;
using namespace sq::test;

namespace {

struct Exported {
  const char *family, *file;
};
void PrintTo(const Exported &e, std::ostream *out) { *out << e.family << "/" << e.file; }

const std::map<std::string, std::vector<std::string>> inputs = {
    {"encoder", {"input_ids", "attention_mask", "token_type_ids"}},
    {"gpt2", {"input_ids"}},
    {"llama", {"input_ids", "position_ids"}},
};

class Exporters : public testing::TestWithParam<Exported> {};

TEST_P(Exporters, AgreesWithTorchInDouble) {
  std::string folder = committedModels() + "/exporters/" + GetParam().family;
  CompiledModel model(folder + "/" + GetParam().file + ".onnx");
  ASSERT_TRUE(model.ok());
  Feed feed = readFeed(folder, inputs.at(GetParam().family));
  // Two layers of f32 on activations up to 30: 1e-5 is 3 units in the last place
  // of the largest; onnxruntime differs by as much.
  for (const char *cpu : {"x86-64-v3", static_cast<const char *>(nullptr)}) {
    Program program = model.open(2, cpu);
    EXPECT_EQ(mismatch(runFirst(program, feed), readData(folder + "/output.npy"), 1e-5, 1e-5), "");
  }
  // The second row alone, in a session of its own.
  Program program = model.open();
  numerics::Tensor expected = rows({{"output", readData(folder + "/output.npy")}}, 1, 2).at("output");
  EXPECT_EQ(mismatch(runFirst(program, rows(feed, 1, 2)), expected, 1e-5, 1e-5), "");
}

const Exported all[] = {
    {"encoder", "torchscript14"}, {"encoder", "torchscript17-sdpa"}, {"encoder", "dynamo18"},
    {"encoder", "dynamo20-sdpa"}, {"encoder", "ort"},                {"encoder", "ort-session"},
    {"gpt2", "torchscript14"},    {"gpt2", "torchscript17-sdpa"},    {"gpt2", "dynamo18"},
    {"gpt2", "dynamo20-sdpa"},    {"gpt2", "ort"},                   {"gpt2", "ort-session"},
    {"llama", "torchscript14"},   {"llama", "torchscript17-sdpa"},   {"llama", "dynamo18"},
    {"llama", "dynamo20-sdpa"},   {"llama", "ort"},
};
INSTANTIATE_TEST_SUITE_P(All, Exporters, testing::ValuesIn(all),
                         [](const testing::TestParamInfo<Exported> &info) {
                           std::string name = std::string(info.param.family) + "_" + info.param.file;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
