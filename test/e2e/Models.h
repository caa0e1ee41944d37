/// Where the models of the end-to-end tests lie, and one model with the means
/// to run it compiled and in the oracle.
#ifndef SQ_TEST_E2E_MODELS_H
#define SQ_TEST_E2E_MODELS_H

#include "test/support/Program.h"

#include <map>
#include <string>

namespace sq::test {

/// $SQ_MODELS, else ../shared/models beside the checkout: the larger models.
std::string largeModels();
/// $SQ_MINILM, else .deps/minilm: MiniLM's graphs beside its weights.
std::string miniLm();
/// test/models.
std::string committedModels();

bool exists(const std::string &path);

/// Skips the test, with what would make it run, when `path` is not there.
#define SQ_REQUIRE_FILE(path, remedy)                                                              \
  if (!::sq::test::exists(path))                                                                   \
  GTEST_SKIP() << "no " << (path) << "; " << (remedy)
#define SQ_REQUIRE_LARGE_MODELS(path) SQ_REQUIRE_FILE(path, "set SQ_MODELS to the larger models")
#define SQ_REQUIRE_MINILM()                                                                        \
  SQ_REQUIRE_FILE(::sq::test::miniLm() + "/model.safetensors",                                     \
                  "run tools/scripts/fetch-minilm.sh")

using Feed = std::map<std::string, numerics::Tensor>;

/// Reads <folder>/<name>.npy for each name. A failure ends the program: the
/// data belongs to the test.
Feed readFeed(const std::string &folder, const std::vector<std::string> &names);
numerics::Tensor readData(const std::string &path);
/// Rows [from, to) of every tensor.
Feed rows(const Feed &feed, int64_t from, int64_t to);

/// A model compiled once, for any number of runs.
class CompiledModel {
public:
  /// Compiles `path`; check ok() before use, it adds a test failure when not.
  explicit CompiledModel(const std::string &path, CompileOptions options = {});

  bool ok() const { return compiled; }
  const std::string &artifact() const { return options.output; }
  /// One session; a failure is the test's. `cpu` caps the level.
  Program open(int threads = 1, const char *cpu = nullptr) const;

private:
  TemporaryDirectory directory;
  CompileOptions options;
  bool compiled = false;
};

/// `options` for AMX alone, with emulated instructions where this CPU has none or `emulate` says so (an artifact holds them
/// for its level, which beside VNNI's is never taken).
CompileOptions onTiles(CompileOptions options = {}, bool emulate = false);
/// Whether what onTiles compiles runs here.
bool runsTiles();

/// Runs and gives the first output, widening integers to the signature's type
/// (data sets store them narrow); a failure to run is the test's and gives {}.
numerics::Tensor runFirst(Program &program, const Feed &feed);
/// The same in float64, for the model file at `path`.
numerics::Tensor referenceFirst(const std::string &path, const Feed &feed);

} // namespace sq::test

#endif
