#include "test/conformance/Case.h"

#include "lib/reference/Reference.h"
#include "test/support/Compare.h"
#include "test/support/ImportedModel.h"
#include "test/support/Program.h"
#include "test/support/TensorFiles.h"

#include <algorithm>
#include <filesystem>
#include <optional>

using namespace sq;
using numerics::Tensor;
namespace fs = std::filesystem;

namespace {

struct DataSet {
  std::vector<Tensor> inputs, outputs;
};

using Tensors = std::vector<Tensor>;

llvm::Expected<Tensors> readAll(const fs::path &folder, const std::string &kind) {
  Tensors tensors;
  for (int i = 0;; ++i) {
    fs::path path = folder / (kind + "_" + std::to_string(i) + ".pb");
    if (!fs::exists(path))
      return tensors;
    llvm::Expected<Tensor> tensor = test::readTensorProto(path.string());
    if (!tensor)
      return tensor.takeError();
    tensors.push_back(std::move(*tensor));
  }
}

llvm::Expected<std::vector<DataSet>> readDataSets(const test::Case &testCase) {
  std::vector<DataSet> sets;
  for (int i = 0;; ++i) {
    fs::path folder = fs::path(testCase.directory) / ("test_data_set_" + std::to_string(i));
    if (!fs::exists(folder))
      break;
    llvm::Expected<Tensors> inputs = readAll(folder, "input");
    if (!inputs)
      return inputs.takeError();
    llvm::Expected<Tensors> outputs = readAll(folder, "output");
    if (!outputs)
      return outputs.takeError();
    sets.push_back({std::move(*inputs), std::move(*outputs)});
  }
  if (sets.empty())
    return llvm::createStringError("no data sets");
  return sets;
}

/// Random operators cannot match the stored values, only types and shapes.
bool isRandom(llvm::StringRef name) {
  return name.starts_with("test_bernoulli") || name.starts_with("test_random") ||
         name.starts_with("test_multinomial") ||
         (name.starts_with("test_training_dropout") && !name.contains("zero_ratio"));
}

/// The test data of onnx 1.12 hold bf16 as u16 of the same bits.
void reinterpretBF16(Tensor &stored, numerics::DType wanted) {
  if (stored.dtype != numerics::DType::U16 || wanted != numerics::DType::BF16)
    return;
  stored.dtype = wanted;
  for (int64_t bits : stored.integers)
    stored.reals.push_back(numerics::decodeBF16(uint16_t(bits)));
  stored.integers.clear();
}

/// Their input "like" has shape [1] in the data and [3, 4] in the model (onnx 1.12).
bool contradictsItsModel(llvm::StringRef name, const DataSet &set) {
  return name.starts_with("test_castlike_") && name.contains("BFLOAT16") &&
         set.inputs.size() == 2 && set.inputs[0].rank() == 2 &&
         set.inputs[1].shape == numerics::Shape{1};
}

/// The imaginary parts of an inverse DFT that are 0 hold the rounding of numpy's f32
/// FFT in the data: up to 2e-7 of values up to 50.
double roundingOfData(llvm::StringRef name) {
  return name.starts_with("test_dft_inverse") ? 4e-7 : 0;
}

/// Empty when `actual` is right.
std::string firstMismatch(const test::Case &testCase, const Tensors &actual, Tensors expected,
                          test::Tolerance tolerance) {
  if (actual.size() != expected.size())
    return std::to_string(actual.size()) + " outputs, expected " + std::to_string(expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    reinterpretBF16(expected[i], actual[i].dtype);
    if (isRandom(testCase.name)) { // only type and shape can be as stored
      expected[i].reals = actual[i].reals;
      expected[i].integers = actual[i].integers;
    }
    // onnx 1.12 made its bf16 data by cutting f32, the standard rounds: one
    // unit of the last place, 2^-7, between the two.
    bool isBF16 = actual[i].dtype == numerics::DType::BF16;
    std::string difference =
        test::mismatch(actual[i], expected[i], isBF16 ? 1.0 / 128 : tolerance.rtol,
                       std::max(tolerance.atol, roundingOfData(testCase.name)));
    if (!difference.empty())
      return "output " + std::to_string(i) + ": " + difference;
  }
  return "";
}

/// Reads the data sets; what is wrong with them, or empty.
std::string dataSets(const test::Case &testCase, std::vector<DataSet> &result) {
  llvm::Expected<std::vector<DataSet>> sets = readDataSets(testCase);
  if (!sets)
    return llvm::toString(sets.takeError());
  for (const DataSet &set : *sets)
    if (contradictsItsModel(testCase.name, set))
      return "the data contradict the model";
  result = std::move(*sets);
  return "";
}

/// The verdict of run(inputs) on all data sets; `inputTypes` are the model's.
template <typename Run>
test::Outcome compareAll(const test::Case &testCase,
                         const std::vector<std::optional<numerics::DType>> &inputTypes, test::Tolerance tolerance,
                         Run run) {
  using test::Verdict;
  std::vector<DataSet> sets;
  if (std::string wrong = dataSets(testCase, sets); !wrong.empty())
    return {Verdict::Refused, wrong};
  for (DataSet &set : sets) {
    for (size_t i = 0; i < std::min(set.inputs.size(), inputTypes.size()); ++i)
      if (inputTypes[i])
        reinterpretBF16(set.inputs[i], *inputTypes[i]);
    llvm::Expected<Tensors> actual = run(set.inputs);
    if (!actual)
      return {Verdict::Wrong, "the run failed: " + llvm::toString(actual.takeError())};
    std::string difference = firstMismatch(testCase, *actual, set.outputs, tolerance);
    if (!difference.empty())
      return {Verdict::Wrong, difference};
  }
  return {Verdict::Passed, ""};
}

} // namespace

std::vector<test::Case> test::findCases(const std::string &root) {
  std::vector<Case> cases;
  std::error_code code;
  for (const fs::directory_entry &entry : fs::directory_iterator(root, code))
    if (fs::exists(entry.path() / "model.onnx"))
      cases.push_back({entry.path().filename().string(), entry.path().string()});
  std::sort(cases.begin(), cases.end(),
            [](const Case &a, const Case &b) { return a.name < b.name; });
  return cases;
}

test::Outcome test::runCompiled(const Case &testCase, const std::string &artifact, RunOn where,
                                Tolerance tolerance) {
  CompileOptions options;
  options.output = artifact;
  options.levels = {"x86-64-v3"};
  if (where != RunOn::Host)
    options.cuda = {"sm_80"};
  options.emulateCuda = where == RunOn::Emulator;
  options.threads = 1;
  CompileResult result = compileFile(testCase.directory + "/model.onnx", options);
  if (result.code == ExitCode::Refused)
    return {Verdict::Refused, result.message};
  if (result.code != ExitCode::Done) // a defect, caught in time
    return {Verdict::Crashed, result.message};
  if (where == RunOn::Assembly) {
    std::vector<DataSet> unused; // but what the host refuses is refused here too
    std::string wrong = dataSets(testCase, unused);
    return {wrong.empty() ? Verdict::Passed : Verdict::Refused, wrong};
  }
  llvm::Expected<Program> program = Program::load(artifact);
  if (!program)
    return {Verdict::Wrong, "the artifact does not load: " + llvm::toString(program.takeError())};
  std::vector<std::optional<numerics::DType>> inputTypes;
  for (int32_t i = 0; i < program->numInputs(); ++i)
    inputTypes.push_back(program->inputType(i));
  return compareAll(testCase, inputTypes, tolerance,
                    [&](const Tensors &inputs) { return program->run(inputs); });
}

test::Outcome test::runReference(const Case &testCase, Tolerance tolerance) {
  llvm::Expected<ImportedModel> model = ImportedModel::import(testCase.directory + "/model.onnx");
  if (!model)
    return {Verdict::Refused, llvm::toString(model.takeError())};
  std::vector<std::optional<numerics::DType>> inputTypes;
  for (const reference::Argument &argument : reference::inputsOf(model->module()))
    inputTypes.push_back(argument.dtype);
  Outcome outcome = compareAll(testCase, inputTypes, tolerance, [&](const Tensors &inputs) {
    llvm::Expected<Tensors> outputs = reference::run(model->module(), inputs);
    // The oracle does not round its results; the stored ones are rounded.
    if (outputs)
      for (Tensor &tensor : *outputs)
        for (double &value : tensor.reals)
          value = numerics::roundTo(value, tensor.dtype);
    return outputs;
  });
  if (outcome.message.find("unknown to the reference") != std::string::npos)
    outcome.verdict = Verdict::Refused;
  return outcome;
}
