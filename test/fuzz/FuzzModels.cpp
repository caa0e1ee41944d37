/// sq-fuzz-models: mutated models through importer and normalisation, each isolated. The same
/// seed and number give the same model, so that a finding can be repeated without its file.
#include "lib/init/InitSq.h"
#include "test/conformance/Isolated.h"
#include "test/fuzz/CheckModel.h"
#include "test/fuzz/Mutate.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <chrono>
#include <map>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace sq::test;

namespace {

llvm::cl::list<std::string> roots(llvm::cl::Positional, llvm::cl::OneOrMore,
                                  llvm::cl::desc("folders or files with seeds (*.onnx)"));
llvm::cl::opt<unsigned> seed("seed", llvm::cl::init(1), llvm::cl::desc("of the mutations; default 1"));
llvm::cl::opt<unsigned> from("from", llvm::cl::init(0), llvm::cl::desc("the first case; default 0"));
llvm::cl::opt<unsigned> count("count", llvm::cl::init(1000), llvm::cl::desc("of cases; default 1000"));
llvm::cl::opt<unsigned> minSeeds("minimum", llvm::cl::init(1), llvm::cl::desc("Fail with fewer seeds"));
llvm::cl::opt<int> seconds("seconds", llvm::cl::init(0), llvm::cl::desc("stop after so long; default 0: never"));
llvm::cl::opt<int> limit("time-limit", llvm::cl::init(10), llvm::cl::desc("seconds for one case; default 10"));
llvm::cl::opt<unsigned> memory("memory-limit", llvm::cl::init(4096),
                               llvm::cl::desc("MiB of address space of the process that runs the cases; 0: any "
                                              "(needed with sanitizers)"));
llvm::cl::opt<std::string> save("save", llvm::cl::value_desc("dir"), llvm::cl::desc("write findings there"));
llvm::cl::opt<bool> replay("replay", llvm::cl::desc("the seeds as they are"));
llvm::cl::opt<bool> showErrors("show-errors", llvm::cl::desc("print how often which error refused a model"));
llvm::cl::opt<bool> keepStderr("stderr", llvm::cl::desc("keep what crashing cases print"));

/// Larger seeds only slow it down.
constexpr uint64_t maxSeedSize = 64 << 10;

std::vector<std::string> readSeeds() {
  std::vector<std::string> seeds;
  for (const std::string &root : roots) {
    std::vector<std::string> paths;
    if (!llvm::sys::fs::is_directory(root))
      paths.push_back(root);
    std::error_code error;
    for (llvm::sys::fs::recursive_directory_iterator it(root, error), end; it != end && !error;
         it.increment(error))
      if (llvm::StringRef(it->path()).ends_with(".onnx"))
        paths.push_back(it->path());
    // A directory has no order; where it lies must not change which case is which.
    std::sort(paths.begin(), paths.end());
    for (const std::string &path : paths)
      if (auto buffer = llvm::MemoryBuffer::getFile(path, false, false))
        if ((*buffer)->getBufferSize() <= maxSeedSize)
          seeds.push_back((*buffer)->getBuffer().str());
  }
  return seeds;
}

std::string makeCase(const std::vector<std::string> &seeds, unsigned number) {
  if (replay)
    return seeds[number];
  std::seed_seq sequence{seed.getValue(), number};
  std::mt19937 random(sequence);
  std::string bytes = seeds[random() % seeds.size()];
  if (random() % 20 == 0) {
    mutateBytes(bytes, random);
    return bytes;
  }
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes))
    return bytes;
  for (int changes = 1 + random() % 4; changes; --changes)
    mutate(model, random);
  return model.SerializeAsString();
}

/// Without numbers and names, which would make every error one of its kind.
std::string kindOf(llvm::StringRef error) {
  std::string kind;
  for (char c : error.take_front(120))
    if (!llvm::isDigit(c))
      kind += c;
  return kind;
}

} // namespace

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv, "sq-fuzz-models: mutated models through sq\n");
  std::vector<std::string> seeds = readSeeds();
  if (seeds.size() < std::max(1u, minSeeds.getValue())) {
    llvm::errs() << "only " << seeds.size() << " seeds found\n";
    return 1;
  }
  if (replay)
    count = seeds.size();
  mlir::DialectRegistry registry;
  sq::registerDialects(registry);
  auto start = std::chrono::steady_clock::now();
  bool isChild = false;
  unsigned findings = 0, refused = 0, passed = 0;
  std::map<std::string, unsigned> errors;
  auto run = [&](size_t i) {
    if (!isChild) {
      isChild = true;
      if (memory) {
        rlimit bound{rlim_t(memory) << 20, rlim_t(memory) << 20};
        setrlimit(RLIMIT_AS, &bound);
      }
      if (!keepStderr)
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    }
    if (seconds && std::chrono::steady_clock::now() - start > std::chrono::seconds(seconds.getValue()))
      return Outcome{Verdict::Passed, ""};
    std::string error;
    std::string wrong = checkModel(makeCase(seeds, from + i), registry, &error);
    if (!wrong.empty())
      return Outcome{Verdict::Wrong, wrong};
    return error.empty() ? Outcome{Verdict::Passed, "ok"} : Outcome{Verdict::Refused, error};
  };
  auto report = [&](size_t i, const Outcome &outcome) {
    if (outcome.verdict == Verdict::Refused) {
      ++refused;
      ++errors[kindOf(outcome.message)];
      return;
    }
    if (outcome.verdict == Verdict::Passed) {
      passed += !outcome.message.empty();
      return;
    }
    ++findings;
    llvm::outs() << "case " << from + i << " of --seed=" << seed << ": " << outcome.message << "\n";
    if (!save.empty()) {
      std::error_code error;
      llvm::raw_fd_ostream(save + "/" + std::to_string(seed) + "-" + std::to_string(from + i) + ".onnx",
                           error)
          << makeCase(seeds, from + i);
    }
  };
  runIsolated(count, limit, run, report);
  if (showErrors) {
    std::vector<std::pair<unsigned, std::string>> sorted;
    for (auto &[kind, times] : errors)
      sorted.emplace_back(times, kind);
    std::sort(sorted.rbegin(), sorted.rend());
    for (auto &[times, kind] : sorted)
      llvm::outs() << times << "\t" << kind << "\n";
  }
  llvm::outs() << seeds.size() << " seeds, " << passed + refused + findings << " cases: " << passed
               << " normalised, " << refused << " refused, " << findings << " findings\n";
  return findings ? 1 : 0;
}
