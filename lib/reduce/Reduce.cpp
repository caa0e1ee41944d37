// Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", 2002) over outputs, nodes, tensors and attributes:
// ever smaller runs of neighbours are taken away, and stay away while the
// command still ends with 0. What an edit makes of a valid model must pass
// onnx's checker before the command sees it.

#include "lib/reduce/Reduce.h"

#include <chrono>
#include <numeric>
#include <unordered_set>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/xxhash.h"

#include "lib/reduce/Edits.h"
#include "lib/tensorio/File.h"

using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using namespace sq;
using namespace sq::reduce;

namespace {

/// A file that is gone at the end, also after a signal.
class CandidateFile {
public:
  Status create() {
    llvm::SmallString<128> name;
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("sq-reduce", "onnx", name))
      return Status::lacking("cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory");
    path = name.str().str();
    llvm::sys::RemoveFileOnSignal(path);
    return {};
  }
  ~CandidateFile() {
    if (path.empty())
      return;
    llvm::sys::fs::remove(path);
    llvm::sys::DontRemoveFileOnSignal(path);
  }
  std::string path;
};

class Reducer {
public:
  Reducer(ModelProto &model, const Options &options, Result &result)
      : current(model), options(options), result(result), start(std::chrono::steady_clock::now()) {}

  Status run() {
    if (Status s = file.create(); !s.ok())
      return s;
    // What is looked for may be a model that shape inference contradicts, or one that sq should
    // refuse: candidates are held to what the model itself keeps to.
    if (std::string why = whyInvalid(current, /*inferring=*/true); !why.empty()) {
      infers = false;
      checked = whyInvalid(current, /*inferring=*/false).empty();
      if (options.note)
        options.note(std::string("candidates are ") + (checked ? "checked without shape inference" : "not checked") +
                     ", as onnx's checker does not accept the model itself: " + why);
    }
    currentBytes = current.SerializeAsString();
    if (Status s = checkOriginal(); !s.ok())
      return s;
    tell(result.before, "");
    if (options.progress)
      options.progress(result.before);
    types = inferTypes(current);
    // What is cheap to test and removes most comes first; a later step may make an earlier one
    // possible again.
    for (size_t before = 0; before != currentBytes.size() && !isOver();) {
      before = currentBytes.size();
      edit("inlined functions", inlineFunctions);
      edit("dropped metadata", dropMetadata);
      edit("dropped types of values", dropValueInfo);
      edit("Constant nodes as initializers", constantsToInitializers);
      Types known = inferTypes(current);
      known.merge(types); // of operators that inference does not know: what the model said
      types = std::move(known);
      edit("weights as inputs", [](ModelProto &m) { return weightsToInputs(m); });
      reduceOutputs();
      reduceNodes();
      bypassNodes();
      reduceInitializers("an initializer as input", initializerToInput);
      reduceInitializers("a tensor of zeros", zeroInitializer);
      reduceOperands();
      reduceAttributes();
      reduceDims();
      edit("dropped what is unused", dropUnused);
    }
    if (Status s = save(); !s.ok())
      return s;
    tell(result.after, "");
    return failure;
  }

private:
  //===-- Testing -----------------------------------------------------------===//

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  bool isOver() {
    if (result.stopped.empty() && options.timeLimit > 0 && seconds() > options.timeLimit)
      result.stopped = "--time-limit";
    if (result.stopped.empty() && checks >= options.maxChecks)
      result.stopped = "--max-steps";
    return !failure.ok() || !result.stopped.empty();
  }

  Status ask(const std::string &bytes, Outcome &outcome) {
    if (Status s = writeFile(file.path, {{bytes.data(), bytes.size()}}); !s.ok())
      return s;
    ++checks;
    return runCheck(options.command, file.path, options.checkTimeout, options.verbose, outcome);
  }

  Status checkOriginal() {
    Outcome outcome;
    if (Status s = ask(currentBytes, outcome); !s.ok())
      return s;
    if (outcome.isInteresting())
      return save();
    std::string how = outcome.timedOut ? "takes longer than --check-timeout=" + std::to_string(int64_t(options.checkTimeout))
                      : outcome.code == 127 ? "was not found (exit code 127)"
                                            : "ends with " + std::to_string(outcome.code);
    return Status::refused("--check " + how + " on the model itself; it must end with 0 as long as a model is "
                           "interesting (--verbose shows what it prints)");
  }

  /// The output always holds the smallest model so far, and a whole one.
  Status save() { return writeFile(options.output, {{currentBytes.data(), currentBytes.size()}}); }

  void tell(Progress &progress, const std::string &step) const {
    progress = {checks, seconds(), current.graph().node_size(), static_cast<int64_t>(currentBytes.size()), step};
  }

  /// Takes `candidate` in place of the model when it is valid and interesting.
  bool accept(ModelProto candidate, const std::string &step) {
    std::string bytes = candidate.SerializeAsString();
    if (bytes == currentBytes)
      return true;
    if (isOver() || !rejected.insert(llvm::xxh3_64bits(llvm::StringRef(bytes))).second)
      return false;
    if (checked && !whyInvalid(candidate, infers).empty())
      return false;
    Outcome outcome;
    failure = ask(bytes, outcome);
    if (!failure.ok() || !outcome.isInteresting())
      return false;
    current = std::move(candidate);
    currentBytes = std::move(bytes);
    failure = save();
    if (options.progress) {
      Progress progress;
      tell(progress, step);
      options.progress(progress);
    }
    return failure.ok();
  }

  void edit(const char *step, llvm::function_ref<bool(ModelProto &)> change) {
    ModelProto candidate = current;
    if (!isOver() && change(candidate))
      accept(std::move(candidate), step);
  }

  /// Delta debugging: `test` says whether the model with only these of `count`
  /// items is taken. Later neighbours go first: what nothing reads is free to go.
  void minimise(int count, llvm::function_ref<bool(const std::vector<bool> &)> test) {
    std::vector<int> items(count);
    std::iota(items.begin(), items.end(), 0);
    for (int size = count; size >= 1; size /= 2)
      for (int end = items.size(); end > 0 && !isOver();) {
        int begin = std::max(0, end - size);
        std::vector<bool> kept(count);
        for (int i = 0; i < static_cast<int>(items.size()); ++i)
          kept[items[i]] = i < begin || i >= end;
        if (test(kept))
          items.erase(items.begin() + begin, items.begin() + end);
        end = begin;
      }
  }

  //===-- What is removed ---------------------------------------------------===//

  static bool weightsToInputs(ModelProto &model) {
    constexpr size_t kLarge = 1024; // bytes; smaller ones may be shapes and axes
    std::vector<std::string> names;
    for (const auto &tensor : model.graph().initializer())
      if (tensor.ByteSizeLong() > kLarge)
        names.push_back(tensor.name());
    for (const std::string &name : names)
      initializerToInput(model, name);
    return !names.empty();
  }

  void reduceOutputs() {
    const ModelProto base = current;
    minimise(base.graph().output_size(), [&](const std::vector<bool> &kept) {
      ModelProto candidate = base;
      auto *outputs = candidate.mutable_graph()->mutable_output();
      outputs->Clear();
      for (int i = 0; i < base.graph().output_size(); ++i)
        if (kept[i])
          *outputs->Add() = base.graph().output(i);
      prune(candidate);
      return outputs->size() > 0 && accept(std::move(candidate), "fewer outputs");
    });
  }

  void reduceNodes() {
    const ModelProto base = current;
    minimise(base.graph().node_size(), [&](const std::vector<bool> &kept) {
      ModelProto candidate = base;
      return keepNodes(candidate, kept, types) && accept(std::move(candidate), "fewer nodes");
    });
  }

  void bypassNodes() {
    for (int i = current.graph().node_size(); i-- > 0 && !isOver();) {
      if (i >= current.graph().node_size())
        continue; // more than one node has gone
      ModelProto candidate = current;
      if (int input = bypassOf(current, i, types); input >= 0 && bypass(candidate, i, input))
        accept(std::move(candidate), "bypassed a node");
    }
  }

  void reduceInitializers(const char *step, bool (*change)(ModelProto &, const std::string &)) {
    const ModelProto base = current;
    minimise(base.graph().initializer_size(), [&](const std::vector<bool> &kept) {
      ModelProto candidate = base;
      for (int i = 0; i < base.graph().initializer_size(); ++i)
        if (!kept[i])
          change(candidate, base.graph().initializer(i).name());
      return accept(std::move(candidate), step);
    });
  }

  /// Optional inputs that are given, the last of a node first.
  void reduceOperands() {
    for (int i = current.graph().node_size(); i-- > 0;)
      for (int k = i < current.graph().node_size() ? current.graph().node(i).input_size() : 0; k-- > 0 && !isOver();) {
        if (i >= current.graph().node_size() || k >= current.graph().node(i).input_size())
          break;
        ModelProto candidate = current;
        NodeProto &node = *candidate.mutable_graph()->mutable_node(i);
        node.set_input(k, "");
        while (node.input_size() && node.input(node.input_size() - 1).empty())
          node.mutable_input()->RemoveLast();
        prune(candidate);
        accept(std::move(candidate), "dropped an input of a node");
      }
  }

  void reduceAttributes() {
    const ModelProto base = current;
    std::vector<std::pair<int, int>> attributes;
    for (int i = 0; i < base.graph().node_size(); ++i)
      for (int k = 0; k < base.graph().node(i).attribute_size(); ++k)
        attributes.push_back({i, k});
    minimise(attributes.size(), [&](const std::vector<bool> &kept) {
      ModelProto candidate = base;
      for (int i = attributes.size(); i-- > 0;)
        if (!kept[i])
          candidate.mutable_graph()->mutable_node(attributes[i].first)->mutable_attribute()->DeleteSubrange(
              attributes[i].second, 1);
      return accept(std::move(candidate), "dropped attributes");
    });
  }

  void reduceDims() {
    for (int64_t from : dimsOf(current))
      for (int64_t to : {int64_t{1}, int64_t{2}, int64_t{4}, from / 4, from / 2}) {
        if (to >= from || to < 1 || isOver())
          continue;
        ModelProto candidate = current;
        if (!shrinkDim(candidate, from, to) || !accept(std::move(candidate), "smaller dims"))
          continue;
        types = inferTypes(current);
        break;
      }
  }

  ModelProto &current;
  std::string currentBytes;
  Types types;
  bool checked = true, infers = true; // candidates by onnx's checker; with its shape inference
  const Options &options;
  Result &result;
  const std::chrono::steady_clock::time_point start;
  CandidateFile file;
  std::unordered_set<uint64_t> rejected; // and accepted: hashes of all that were tried
  int64_t checks = 0;
  Status failure; // of the machine
};

} // namespace

Status reduce::reduceModel(ModelProto &model, const Options &options, Result &result) {
  return Reducer(model, options, result).run();
}
