/// sq-conformance: runs the ONNX node tests through the compiler and the
/// runtime. Lists name the cases that are refused, each with its reason: every other
/// case must pass, and every listed one must be refused for that reason.
#include "test/conformance/Case.h"
#include "test/support/Program.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <fcntl.h>
#include <fstream>
#include <map>
#include <set>
#include <unistd.h>

using namespace sq::test;

namespace {

llvm::cl::OptionCategory category("sq-conformance options");
llvm::cl::opt<std::string> root("root", llvm::cl::init(SQ_NODE_TESTS), llvm::cl::value_desc("dir"),
                                llvm::cl::desc("Folder with the cases; default " SQ_NODE_TESTS),
                                llvm::cl::cat(category));
llvm::cl::opt<std::string> shard("shard", llvm::cl::init("0/1"), llvm::cl::value_desc("i/n"),
                                 llvm::cl::desc("Only every n-th case, from the i-th; default 0/1"),
                                 llvm::cl::cat(category));
llvm::cl::list<std::string> refusedFiles(
    "refused", llvm::cl::value_desc("file"), llvm::cl::cat(category),
    llvm::cl::desc("List of the cases that are refused, `name: reason` in each line; may be repeated"));
llvm::cl::opt<bool> update("update", llvm::cl::cat(category),
                           llvm::cl::desc("Rewrite the last list with what is refused now, and in no other list"));
llvm::cl::opt<unsigned> minimum("minimum", llvm::cl::init(0), llvm::cl::value_desc("count"),
                                llvm::cl::desc("Fail when fewer cases are found; default 0"),
                                llvm::cl::cat(category));
llvm::cl::opt<std::string> filter("filter", llvm::cl::value_desc("text"),
                                  llvm::cl::desc("Only cases whose name contains the text"),
                                  llvm::cl::cat(category));
llvm::cl::list<Verdict> show(
    "show", llvm::cl::CommaSeparated, llvm::cl::cat(category),
    llvm::cl::desc("Print the cases with this outcome; wrong and crashed ones always are"),
    llvm::cl::values(clEnumValN(Verdict::Passed, "passed", "the outputs are right"),
                     clEnumValN(Verdict::Refused, "refused", "not supported, with the reason")));
llvm::cl::opt<bool> reference("reference",
                              llvm::cl::desc("Check the float64 oracle instead of the compiler"),
                              llvm::cl::cat(category));
llvm::cl::opt<RunOn> target("target", llvm::cl::init(RunOn::Host), llvm::cl::cat(category),
                            llvm::cl::desc("What to compile for; default host"),
                            llvm::cl::values(clEnumValN(RunOn::Host, "host", "x86-64-v3"),
                                             clEnumValN(RunOn::Assembly, "cuda", "sm_80, compiled and assembled only"),
                                             clEnumValN(RunOn::Emulator, "emulator",
                                                        "sm_80 in the emulator, whose libcuda.so.1 must be in LD_LIBRARY_PATH")));
llvm::cl::opt<unsigned> sample("sample", llvm::cl::init(0), llvm::cl::value_desc("count"), llvm::cl::cat(category),
                               llvm::cl::desc("Only so many cases of the list, always the same random ones"));
llvm::cl::opt<int> limit("time-limit", llvm::cl::init(60), llvm::cl::value_desc("seconds"),
                         llvm::cl::desc("For one case; default 60"), llvm::cl::cat(category));
llvm::cl::opt<double> relative("rtol", llvm::cl::init(Tolerance().rtol), llvm::cl::value_desc("ratio"),
                           llvm::cl::desc("How far floats may be from the stored ones, relatively; default 1e-3"),
                           llvm::cl::cat(category));
llvm::cl::opt<double> absolute("atol", llvm::cl::init(Tolerance().atol), llvm::cl::value_desc("number"),
                           llvm::cl::desc("and beside that absolutely; default 1e-7"), llvm::cl::cat(category));
llvm::cl::opt<bool> verbose("verbose", llvm::cl::desc("Keep what compiler and runtime print"),
                            llvm::cl::cat(category));

const char *name(Verdict verdict) {
  static const char *const names[] = {"passed", "refused", "wrong", "crashed"};
  return names[static_cast<int>(verdict)];
}

/// By name of the case.
using Reasons = std::map<std::string, std::string>;

void readList(const std::string &path, Reasons &reasons) {
  std::ifstream file(path);
  if (!file) {
    llvm::errs() << "cannot read " << path << "\n";
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') {
      auto [name, reason] = llvm::StringRef(line).split(": ");
      reasons[name.str()] = reason.str();
    }
}

void writeList(const std::string &path, const Reasons &reasons) {
  std::ofstream file(path);
  file << "# The cases that are refused, and why; written by sq-conformance --update.\n";
  for (const auto &[name, reason] : reasons)
    file << name << ": " << reason << "\n";
  if (!file.flush()) {
    llvm::errs() << "cannot write " << path << "\n";
    std::exit(2);
  }
}

/// The first line of a message without the place in a file that it begins with.
std::string reasonOf(llvm::StringRef message) {
  llvm::StringRef line = message.take_until([](char c) { return c == '\n'; });
  llvm::Regex place("^\"[^\"]*\":[0-9]+:[0-9]+: ");
  return place.sub("", line).substr(0, 200);
}

std::vector<Case> select(const std::vector<Case> &all) {
  unsigned index, count;
  auto [first, second] = llvm::StringRef(shard).split('/');
  if (first.getAsInteger(10, index) || second.getAsInteger(10, count) || index >= count) {
    llvm::errs() << "--shard=" << shard << ": expected i/n with i < n\n";
    std::exit(2);
  }
  std::vector<Case> selected;
  for (size_t i = 0; i < all.size(); ++i)
    if (i % count == index && all[i].name.find(filter) != std::string::npos)
      selected.push_back(all[i]);
  return selected;
}

} // namespace

int main(int argc, char **argv) {
  llvm::cl::HideUnrelatedOptions(category);
  llvm::cl::ParseCommandLineOptions(argc, argv, "Runs the ONNX node tests.\n");
  std::vector<Case> all = findCases(root), cases = select(all);
  if (update && (refusedFiles.empty() || cases.size() != all.size())) {
    llvm::errs() << "--update needs --refused=FILE and all cases\n";
    return 2;
  }
  Reasons listed;
  for (size_t i = 0; i + (update ? 1 : 0) < refusedFiles.size(); ++i)
    readList(refusedFiles[i], listed);

  if (sample) {
    // Those not listed, with the smallest hashes of their names.
    auto hash = [](const Case &c) { return llvm::xxh3_64bits(c.name); };
    llvm::erase_if(cases, [&](const Case &c) { return listed.count(c.name); });
    llvm::sort(cases, [&](const Case &a, const Case &b) { return hash(a) < hash(b); });
    cases.resize(std::min<size_t>(cases.size(), sample));
  }

  TemporaryDirectory directory;
  auto run = [&](size_t i) {
    // In the child: refusals are expected, and hundreds of them hide the rest.
    if (!verbose)
      dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    Tolerance tolerance = {relative, absolute};
    return reference ? runReference(cases[i], tolerance)
                     : runCompiled(cases[i], directory.file("case.so"), target, tolerance);
  };
  std::set<std::string> broken;
  Reasons refused;
  size_t counts[4] = {};
  runIsolated(cases.size(), limit, run, [&](size_t i, const Outcome &outcome) {
    const std::string &test = cases[i].name;
    ++counts[static_cast<int>(outcome.verdict)];
    std::string note, reason = reasonOf(outcome.message);
    auto known = listed.find(test);
    if (outcome.verdict == Verdict::Wrong || outcome.verdict == Verdict::Crashed) {
      note = " ";
    } else if (outcome.verdict == Verdict::Refused && known == listed.end()) {
      refused[test] = reason;
      if (!refusedFiles.empty() && !update)
        note = ", but not listed as refused";
    } else if (outcome.verdict == Verdict::Refused && known->second != reason) {
      note = ", but listed as refused for another reason";
    } else if (outcome.verdict == Verdict::Passed && known != listed.end()) {
      note = ", but listed as refused";
    }
    if (!note.empty())
      broken.insert(test);
    if (!note.empty() || llvm::is_contained(show, outcome.verdict))
      llvm::outs() << name(outcome.verdict) << llvm::StringRef(note).rtrim() << ": " << test
                   << (outcome.message.empty() ? "" : ": ") << outcome.message << "\n";
  });

  llvm::outs() << cases.size() << " of " << all.size() << " cases";
  for (Verdict verdict : {Verdict::Passed, Verdict::Refused, Verdict::Wrong, Verdict::Crashed})
    llvm::outs() << ", " << counts[static_cast<int>(verdict)] << " " << name(verdict);
  llvm::outs() << "\n";

  bool failed = !broken.empty();
  if (failed)
    llvm::outs() << "repeat one with: " << argv[0] << " --root=" << root
                 << (reference ? " --reference" : "") << " --verbose --filter=" << *broken.begin()
                 << "\n";
  if (all.size() < minimum) {
    llvm::outs() << all.size() << " cases found in " << root << ", expected at least " << minimum
                 << "; install libonnx-testdata or give --root\n";
    failed = true;
  }
  // A name that no longer exists would otherwise hide a lost case.
  for (const auto &entry : listed)
    if (filter.empty() && llvm::none_of(all, [&](const Case &c) { return c.name == entry.first; })) {
      llvm::outs() << "listed but not found: " << entry.first << "\n";
      failed = true;
    }
  if (update)
    writeList(refusedFiles[refusedFiles.size() - 1], refused);
  return failed ? 1 : 0;
}
