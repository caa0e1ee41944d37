//===-- sq-diff.cpp - where two builds of one model part ----------------------===//

#include <cmath>
#include <cstdio>
#include <optional>

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include "codegen/host/HostTarget.h"
#include "lib/diff/Suggest.h"
#include "lib/driver/Shapes.h"
#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/DataSet.h"
#include "lib/run/Flags.h"
#include "lib/tensorio/File.h"

using namespace sq;

namespace {

const std::vector<Flag> flagTable = {
    {"a", "FLAGS",
     "compile model A with these flags of sq-compile (--precision, --shape, --target=host...,\n"
     "--tile, --quant=int8 --calib=STATS, --plan; separated by spaces) and every intermediate\n"
     "kept; 'reference': run it in float64, the default for a model"},
    {"b", "FLAGS", "the same for B"},
    {"min-sqnr", "DB",
     "a node with less has parted (default: 60, an error of 0.1 %; with --emit-plan 20);\n"
     "when given, also a limit: exit code 4 where a node or output is below"},
    {"emit-plan", "FILE",
     "write for sq-compile --plan which linear layers of B, a model with --b=--quant=int8 ...,\n"
     "are to stay in float so that the results of all have at least --min-sqnr: those that lose\n"
     "most by themselves, a few at a time, each time compiled and measured again. What is\n"
     "printed is of that plan; exit code 4 where float does not bring a layer there"},
    {"max-abs", "X", "a node that differs by more has parted; a limit too"},
    {"samples", "N", "use the first N samples or test data sets (default: 8)"},
    {"batch-size", "N", "samples per run (default: 1, or what the model's inputs fix)"},
    {"top", "N", "print only the N worst nodes, worst first (default: all, in the model's order)"},
    {"json", nullptr, "print everything as one JSON object"},
    {"threads", "N", "threads to use (default: all that affinity and cgroup allow)"},
    {"cpu", "LEVEL", "use no more than this CPU level (default: SQ_CPU, else the best one)"},
    {"device", "cpu|cuda[:N]|auto", kDeviceHelp},
};

constexpr const char *usageText =
    "Shows where two programs for one model part, per node of the ONNX graph.\n\n"
    "Usage: sq-diff A B DIR [flags]\n\n"
    "A and B are each a MODEL (.onnx, .onnxtxt), which runs in float64 (slow, exact), or an\n"
    "ARTIFACT. Artifacts show what their nodes compute when they were compiled with\n"
    "sq-compile --keep-intermediates; of others only the outputs are compared. A is what B is\n"
    "measured against: sqnr = 10 log10(sum a^2 / sum (b - a)^2) over all samples.\n\n"
    "  sq-compile model.onnx --precision=bf16 --keep-intermediates -o bf16.so\n"
    "  sq-diff model.onnx bf16.so data\n"
    "  sq-diff model.onnx model.onnx data --b=--precision=bf16     # the same in one step\n"
    "  sq-diff model.onnx changed.onnx data                        # two models, no compiler\n"
    "  sq-diff model.onnx model.onnx data --b='--quant=int8 --calib=model.stats' --emit-plan=model.plan\n\n"
    "DIR holds one <input name>.npy per input, first dimension = samples, or tokens.npy for\n"
    "language models, or ONNX test data (test_data_set_*). The first line of stdout names the\n"
    "first node that parts; * marks all that do. A compiled program that keeps intermediates\n"
    "fuses less than one that does not, and holds all of them in memory.\n\n"
    "Exit codes: 0 done; 1 a program or the data were refused; 2 usage; 3 the machine lacks\n"
    "something; 4 a limit was exceeded; 70 a defect of sq.\n";

class DiffTool {
public:
  explicit DiffTool(const Flags &flags) : flags(flags) {}

  Status execute() {
    int64_t samples = 8, batch = 0, top = 0;
    double maxAbs = 0;
    for (Status s : {flags.number("min-sqnr", -1000, 1000, limits.minSqnr), flags.number("max-abs", 0, HUGE_VAL, maxAbs),
                     flags.integer("samples", 1, INT32_MAX, samples), flags.integer("batch-size", 1, INT32_MAX, batch),
                     flags.integer("top", 1, INT32_MAX, top), flags.integer("threads", 1, 1024, threads),
                     parseDevice(flags, run.device)})
      if (!s.ok())
        return s;
    if (flags.has("max-abs"))
      limits.maxAbs = maxAbs;
    if (flags.has("emit-plan") && !flags.has("min-sqnr"))
      limits.minSqnr = kPlanSqnr;
    run.cpu = flags.get("cpu");

    const std::vector<std::string> &files = flags.positional();
    if (Status s = open(files[0], "a", a); !s.ok())
      return s;
    if (Status s = flags.has("emit-plan") ? suggest(files, samples, batch) : compare(files, samples, batch); !s.ok())
      return s;
    if (result.nodes.empty() && result.outputs.empty())
      return Status::refused("A and B have no output of the same name; are they builds of one model?");
    tellWhatIsMissing(files);
    if (flags.has("json"))
      diff::printJson(result, limits, *a, *b, llvm::outs());
    else
      diff::printText(result, limits, top, llvm::outs());
    llvm::outs().flush();
    if (flags.has("emit-plan"))
      return layersBelow ? Status{ExitCode::Comparison, std::to_string(layersBelow) +
                                                            " layers are below the limit, and none in front of them is left "
                                                            "to make float"}
                         : Status();
    bool limited = flags.has("min-sqnr") || flags.has("max-abs");
    if (const diff::Row *row = result.firstParting(limits); row && limited)
      return {ExitCode::Comparison, "'" + row->name + "' exceeds the limits"};
    return {};
  }

private:
  /// Where a plan is asked for without a limit: an error of 10 %.
  static constexpr double kPlanSqnr = 20;

  Status compare(const std::vector<std::string> &files, int64_t samples, int64_t batch) {
    result = {};
    if (Status s = open(files[1], "b", b); !s.ok())
      return s;
    if (Status s = checkInputs(); !s.ok())
      return s;
    return runAll(files[2], samples, batch);
  }

  /// Leaves more and more of B's layers in float, until all are within the limit.
  Status suggest(const std::vector<std::string> &files, int64_t samples, int64_t batch) {
    CompileOptions given;
    if (!isModelName(files[1]) || !flags.has("b") || flags.get("b") == "reference")
      return Status::usage("--emit-plan changes how B is quantised: B is to be a model, with --b='--quant=int8 --calib=STATS'");
    if (Status s = parseCompileFlags("b", given); !s.ok())
      return s;
    if (given.quant.empty())
      return Status::usage("--emit-plan needs --b='--quant=int8 --calib=STATS'");
    std::string text;
    if (!given.plan.empty())
      if (Status s = readText(given.plan, text); !s.ok())
        return s;
    if (!text.empty() && text.back() != '\n')
      text += '\n';
    text += "# suggested by sq-diff: at least " + llvm::formatv("{0}", llvm::format("%g", limits.minSqnr)).str() + " dB\n";
    llvm::SmallString<128> file;
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("sq", "plan", file))
      return Status::lacking("cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory");
    llvm::FileRemover remover(file);
    planFile = file.str().str();
    for (int round = 1;; ++round) {
      if (Status s = writeFile(planFile, {{text.data(), text.size()}}); !s.ok())
        return s;
      if (Status s = compare(files, samples, batch); !s.ok())
        return s;
      std::vector<diff::MeasuredLayer> measured = diff::measureLayers(layers, result);
      layersBelow = diff::countBelow(measured, limits.minSqnr);
      std::vector<size_t> next = diff::nextToFloat(measured, limits.minSqnr);
      std::fprintf(stderr, "sq-diff: round %d: %zu of %zu layers below %g dB; %zu more to float\n", round, layersBelow,
                   measured.size(), limits.minSqnr, next.size());
      if (next.empty())
        break;
      for (size_t i : next)
        text += planLine(measured[i].name, LayerPrecision::F32, reasonFor(measured[i]));
    }
    return writeFile(flags.get("emit-plan"), {{text.data(), text.size()}});
  }

  static std::string reasonFor(const diff::MeasuredLayer &layer) {
    std::string own = layer.own ? llvm::formatv("{0:f1} dB expected of it alone", *layer.own).str() : "";
    std::string all = layer.sqnr ? llvm::formatv("{0:f1} dB measured", *layer.sqnr).str() : "";
    return own + (own.empty() || all.empty() ? "" : ", ") + all;
  }

  static Status readText(const std::string &path, std::string &text) {
    InputFile file;
    if (Status s = file.open(path); !s.ok())
      return s;
    text.resize(file.size());
    return file.read(0, text.data(), text.size());
  }

  Status open(const std::string &path, const char *flag, std::unique_ptr<diff::Side> &side) {
    bool compiles = flags.has(flag) && flags.get(flag) != "reference";
    if (!isModelName(path)) {
      if (flags.has(flag))
        return Status::usage(std::string("--") + flag + " is for a model; '" + path + "' is compiled already");
      return diff::openArtifact(path, run, threads, side);
    }
    if (!compiles)
      return diff::openReference(path, side);
    CompileOptions options;
    if (Status s = parseCompileFlags(flag, options); !s.ok())
      return s;
    if (&side == &b && !planFile.empty()) {
      options.plan = planFile;
      options.inspect = [&](const std::string &phase, mlir::ModuleOp module) {
        if (phase == "normalise")
          layers = layerDecisions(*module.getOps<mlir::func::FuncOp>().begin());
      };
    }
    std::fprintf(stderr, "sq-diff: compiling '%s'\n", path.c_str());
    RunOptions host = run;
    host.device = "cpu";
    return diff::openCompiled(path, std::move(options), host, threads, side);
  }

  /// The flags of sq-compile that change what is computed.
  Status parseCompileFlags(const char *flag, CompileOptions &options) {
    for (const std::string &text : split(flags.get(flag), ' ')) {
      auto [name, value] = llvm::StringRef(text).split('=');
      std::string where = std::string("--") + flag + ": ";
      if (text.empty())
        continue;
      if (name == "--precision" && (value == "f32" || value == "bf16")) {
        options.precision = value.str();
      } else if (name == "--tile") {
        Tiles tiles;
        if (std::string wrong = parseTiles(value, tiles); !wrong.empty())
          return Status::usage(where + text + ": " + wrong);
        options.tile = value.str();
      } else if (name == "--shape") {
        for (const std::string &range : split(value.str(), ','))
          if (std::string wrong = parseShape(range, options.shape); !wrong.empty())
            return Status::usage(where + wrong);
      } else if (name == "--target" && (value == "host" || (value.consume_front("host:") && findHostTarget(value)))) {
        if (value != "host")
          options.levels = {value.str()};
      } else if (name == "--quant" && value == "int8") {
        options.quant = value.str();
      } else if (name == "--calib" && !value.empty()) {
        if (isDirectory(value.str()))
          return Status::usage(where + text + ": give the file that sq-calibrate writes; a folder would be run on again "
                               "and again");
        options.stats = value.str();
      } else if (name == "--plan" && !value.empty()) {
        options.plan = value.str();
      } else {
        return Status::usage(where + "'" + text + "' is none of --precision=f32|bf16, --shape=NAME=LO..HI, "
                             "--target=host[:LEVEL], --tile=NAME=N, --quant=int8, --calib=STATS, --plan=FILE, nor is it "
                             "'reference'");
      }
    }
    if (options.quant.empty() != options.stats.empty())
      return Status::usage(std::string("--") + flag + ": --quant=int8 and --calib=STATS come together");
    if (!options.plan.empty() && options.quant.empty())
      return Status::usage(std::string("--") + flag + ": --plan is for --quant=int8");
    return {};
  }

  /// Both must take the same inputs; their order may differ.
  Status checkInputs() {
    order.clear();
    for (const Port &port : b->inputs()) {
      int index = findPort(a->inputs(), port.name);
      if (index < 0)
        return Status::refused("B has the input '" + port.name + "', A has not");
      order.push_back(index);
    }
    if (a->inputs().size() != b->inputs().size())
      return Status::refused("A has " + std::to_string(a->inputs().size()) + " inputs, B has " +
                             std::to_string(b->inputs().size()));
    return {};
  }

  Status runAll(const std::string &folder, int64_t samples, int64_t batch) {
    std::vector<std::string> sets = testDataSets(folder);
    if (!sets.empty()) {
      if (flags.has("batch-size"))
        return Status::usage("--batch-size is not for ONNX test data, whose sets are run one by one");
      for (int64_t i = 0; i < samples && i < static_cast<int64_t>(sets.size()); ++i) {
        std::vector<Tensor> inputs;
        if (Status s = readTestInputs(sets[i], a->inputs(), inputs); !s.ok())
          return s;
        if (Status s = runOnce(std::move(inputs)); !s.ok())
          return s;
      }
      return {};
    }
    DataSet data;
    if (Status s = readDataSet(folder, a->inputs(), data); !s.ok())
      return s;
    if (batch == 0)
      batch = fixedBatch();
    if (data.samples < batch)
      return Status::refused("'" + folder + "' holds " + std::to_string(data.samples) + " samples, a run takes " +
                             std::to_string(batch));
    // A rest that does not fill a batch would need another shape: it is left out.
    int64_t used = std::max(std::min(samples, data.samples) / batch, int64_t{1}) * batch;
    for (int64_t first = 0; first < used; first += batch) {
      std::vector<Tensor> inputs(data.inputs.size());
      for (size_t i = 0; i < inputs.size(); ++i)
        if (Status s = slice(data.inputs[i], first, batch, inputs[i]); !s.ok())
          return s;
      if (Status s = runOnce(std::move(inputs)); !s.ok())
        return s;
    }
    return {};
  }

  /// What an artifact takes as its first dimension at least; float64 takes all.
  int64_t fixedBatch() const {
    int64_t batch = 1;
    for (const auto *side : {&a, &b})
      for (const Port &port : (*side)->inputs())
        if (!port.dims.empty())
          batch = std::max(batch, port.dims[0].min);
    return batch;
  }

  Status runOnce(std::vector<Tensor> inputs) {
    std::vector<diff::Value> fromA, fromB;
    if (Status s = a->run(inputs, fromA); !s.ok())
      return {s.code, "A: " + s.message};
    std::vector<Tensor> reordered(inputs.size());
    for (size_t i = 0; i < order.size(); ++i) {
      reordered[i] = std::move(inputs[order[i]]);
      if (Status s = fitInput(b->inputs()[i], reordered[i]); !s.ok())
        return {s.code, "B: " + s.message};
    }
    if (Status s = b->run(reordered, fromB); !s.ok())
      return {s.code, "B: " + s.message};
    result.add(fromA, fromB);
    return {};
  }

  void tellWhatIsMissing(const std::vector<std::string> &files) const {
    for (auto [side, file] : {std::pair(&a, &files[0]), std::pair(&b, &files[1])})
      if (!(*side)->hasNodes())
        std::fprintf(stderr,
                     "note: '%s' shows its outputs only; compile it with --keep-intermediates to compare nodes\n",
                     file->c_str());
    auto tell = [](const char *who, const std::vector<std::string> &names) {
      if (!names.empty())
        std::fprintf(stderr, "note: %zu only in %s, '%s' first\n", names.size(), who, names.front().c_str());
    };
    if (a->hasNodes() && b->hasNodes()) {
      tell("A", result.onlyA);
      tell("B", result.onlyB);
    }
  }

  const Flags &flags;
  diff::Limits limits;
  RunOptions run;
  int64_t threads = 0;
  std::unique_ptr<diff::Side> a, b;
  std::vector<int> order; // of B's inputs, in A
  std::string planFile;   // of B, while one is looked for
  std::vector<LayerDecision> layers; // of B's last compile
  size_t layersBelow = 0;
  diff::Result result;
};

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-diff", usageText, argc, argv, code))
    return code;
  if (flags.positional().size() != 3)
    return report("sq-diff", Status::usage("expected A B DIR; --help explains"));
  return report("sq-diff", DiffTool(flags).execute());
}
