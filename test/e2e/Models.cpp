#include "test/e2e/Models.h"

#include "codegen/host/HostTarget.h"
#include "lib/numerics/Layout.h"
#include "lib/reference/Reference.h"
#include "test/support/ImportedModel.h"
#include "test/support/TensorFiles.h"

#include "llvm/TargetParser/Host.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

using namespace sq;
using numerics::Tensor;

namespace {

std::string fromEnvironment(const char *name, const std::string &otherwise) {
  const char *value = std::getenv(name);
  return value && *value ? value : otherwise;
}

} // namespace

std::string test::largeModels() {
  return fromEnvironment("SQ_MODELS", SQ_SOURCE_DIR "/../shared/models");
}
std::string test::miniLm() { return fromEnvironment("SQ_MINILM", SQ_SOURCE_DIR "/.deps/minilm"); }
std::string test::committedModels() { return SQ_SOURCE_DIR "/test/models"; }
bool test::exists(const std::string &path) { return std::filesystem::exists(path); }

CompileOptions test::onTiles(CompileOptions options, bool emulate) {
  options.levels = {"amx"};
  options.emulateAmx = emulate || bestHostLevel() != "amx";
  return options;
}

bool test::runsTiles() {
  // What is around the tiles is code for VNNI, and BF16 converts.
  std::string best = bestHostLevel();
  return best == "amx" || (best == "vnni" && llvm::sys::getHostCPUFeatures().lookup("avx512bf16"));
}

Tensor test::readData(const std::string &path) {
  return llvm::cantFail(readNpy(path), path.c_str());
}

test::Feed test::readFeed(const std::string &folder, const std::vector<std::string> &names) {
  Feed feed;
  for (const std::string &name : names)
    feed[name] = readData(folder + "/" + name + ".npy");
  return feed;
}

test::Feed test::rows(const Feed &feed, int64_t from, int64_t to) {
  Feed part;
  for (const auto &[name, tensor] : feed)
    part[name] = numerics::slice(tensor, {from}, {to}, {0}, {1});
  return part;
}

test::CompiledModel::CompiledModel(const std::string &path, CompileOptions given)
    : options(std::move(given)) {
  options.output = directory.file("model.so");
  CompileResult result = compileFile(path, options);
  compiled = result.code == ExitCode::Done;
  EXPECT_TRUE(compiled) << path << ": " << result.message;
}

test::Program test::CompiledModel::open(int threads, const char *cpu) const {
  return llvm::cantFail(Program::load(artifact(), threads, cpu), "cannot load the artifact");
}

Tensor test::runFirst(Program &program, const Feed &feed) {
  std::vector<Tensor> inputs;
  for (int32_t i = 0; i < program.numInputs(); ++i) {
    auto found = feed.find(program.inputName(i));
    if (found == feed.end()) {
      ADD_FAILURE() << "the test gives no input " << program.inputName(i);
      return {};
    }
    inputs.push_back(numerics::cast(found->second, program.inputType(i)));
  }
  llvm::Expected<std::vector<Tensor>> outputs = program.run(inputs);
  if (!outputs) {
    ADD_FAILURE() << llvm::toString(outputs.takeError());
    return {};
  }
  return std::move(outputs->front());
}

Tensor test::referenceFirst(const std::string &path, const Feed &feed) {
  llvm::Expected<ImportedModel> model = ImportedModel::import(path);
  if (!model) {
    ADD_FAILURE() << llvm::toString(model.takeError());
    return {};
  }
  std::vector<Tensor> inputs;
  for (const reference::Argument &argument : reference::inputsOf(model->module()))
    inputs.push_back(numerics::cast(feed.at(argument.name), argument.dtype.value()));
  llvm::Expected<std::vector<Tensor>> outputs = reference::run(model->module(), inputs);
  if (!outputs) {
    ADD_FAILURE() << llvm::toString(outputs.takeError());
    return {};
  }
  return std::move(outputs->front());
}
