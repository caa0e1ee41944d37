/// sq-reference: runs a model in float64 with lib/numerics, for tests.
#include "lib/reference/Reference.h"
#include "test/support/ImportedModel.h"
#include "test/support/TensorFiles.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace sq;
using numerics::Tensor;

namespace {

llvm::cl::OptionCategory category("sq-reference options");
llvm::cl::opt<std::string> modelPath(llvm::cl::Positional, llvm::cl::Required,
                                     llvm::cl::desc("MODEL"), llvm::cl::cat(category));
llvm::cl::list<std::string> inputFiles("input", llvm::cl::value_desc("name=@file.npy"),
                                       llvm::cl::desc("An input; integers may be narrower"),
                                       llvm::cl::cat(category));
llvm::cl::list<std::string> outputFiles("output", llvm::cl::value_desc("name=@file.npy"),
                                        llvm::cl::desc("Where to write an output, in float64"),
                                        llvm::cl::cat(category));

[[noreturn]] void fail(const llvm::Twine &message) {
  llvm::errs() << "sq-reference: " << message << "\n";
  std::exit(1);
}

template <typename T> T check(llvm::Expected<T> value) {
  if (!value)
    fail(llvm::toString(value.takeError()));
  return std::move(*value);
}

/// name=@path pairs by name.
std::map<std::string, std::string> parse(const llvm::cl::list<std::string> &options) {
  std::map<std::string, std::string> files;
  for (const std::string &option : options) {
    auto [name, path] = llvm::StringRef(option).split("=@");
    if (path.empty())
      fail("\"" + option + "\" is not of the form name=@file.npy");
    files[name.str()] = path.str();
  }
  return files;
}

} // namespace

int main(int argc, char **argv) {
  llvm::cl::HideUnrelatedOptions(category);
  llvm::cl::ParseCommandLineOptions(argc, argv, "Runs a model in float64.\n");
  test::ImportedModel model = check(test::ImportedModel::import(modelPath));

  std::map<std::string, std::string> given = parse(inputFiles), wanted = parse(outputFiles);
  std::vector<Tensor> inputs;
  for (const reference::Argument &argument : reference::inputsOf(model.module())) {
    auto file = given.find(argument.name);
    if (file == given.end())
      fail("input \"" + argument.name + "\" is missing; give --input=" + argument.name + "=@file.npy");
    Tensor tensor = check(test::readNpy(file->second));
    inputs.push_back(argument.dtype ? numerics::cast(tensor, *argument.dtype) : tensor);
    given.erase(file);
  }
  if (!given.empty())
    fail("the model has no input \"" + given.begin()->first + "\"");

  std::vector<Tensor> outputs = check(reference::run(model.module(), inputs));
  for (auto [argument, tensor] : llvm::zip_equal(reference::outputsOf(model.module()), outputs)) {
    llvm::outs() << argument.name << ": " << numerics::name(tensor.dtype)
                 << numerics::format(tensor.shape) << "\n";
    auto file = wanted.find(argument.name);
    if (file == wanted.end())
      continue;
    if (llvm::Error error = test::writeNpy(file->second, tensor))
      fail(llvm::toString(std::move(error)));
    wanted.erase(file);
  }
  if (!wanted.empty())
    fail("the model has no output \"" + wanted.begin()->first + "\"");
  return 0;
}
