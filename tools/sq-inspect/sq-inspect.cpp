//===-- sq-inspect.cpp - what a model or artifact is and costs ----------------===//

#include <cstdio>
#include <optional>

#include "llvm/Support/raw_ostream.h"

#include "lib/driver/CheckedFile.h"
#include "lib/driver/TemporaryArtifact.h"
#include "lib/inspect/Inspect.h"
#include "lib/run/Flags.h"
#include "lib/run/Module.h"

using namespace sq;

namespace {

const std::vector<Flag> flagTable = {
    {"dim", "NAME=N",
     "the size of a symbolic dim at which formulas are evaluated; of a dim without a\n"
     "name: INPUT:AXIS=N (default: 1 for a first dim, 128 for others, or what comes\n"
     "nearest in their ranges)", true},
    {"shape", "NAME=LO..HI", "a model's dims as sq-compile --shape takes them, separated by commas"},
    {"bits", "N", "of a stats file: choose thresholds for integers of so many bits (default: 8)"},
    {"threads", "N", "threads of the estimate (default: all that affinity and cgroup allow)"},
    {"json", nullptr, "print everything as one JSON object"},
    {"html", "FILE", "write everything as a report for a browser, one file without scripts"},
};

constexpr const char *usageText =
    "Shows what a model or an artifact is, what it costs, and what would be refused.\n\n"
    "Usage: sq-inspect MODEL|ARTIFACT|STATS|SENSITIVITY [flags]\n\n"
    "  sq-inspect model.onnx --dim=batch=1 --dim=sequence=128\n"
    "  sq-inspect model.onnx --html=model.html\n"
    "  sq-inspect model.so --json\n\n"
    "Of a MODEL (.onnx, .onnxtxt, .mlir, .mlirbc): inputs and outputs, opset, parameters,\n"
    "operators with those that sq refuses and why, all at once, and the kernels that it would\n"
    "compile with their operations and bytes as formulas of the symbolic dims. Weights are not\n"
    "read and nothing is compiled. Of an ARTIFACT: what its manifest says; its code is checked\n"
    "by hash and not executed. Of STATS (sq-calibrate): extremes of each tensor, their moving\n"
    "averages, and the thresholds that each method would choose for symmetric integers. Of\n"
    "SENSITIVITY (sq-sensitivity): mean squared gradients of each layer, the trace of its Hessian\n"
    "with the standard error and the number of probes, and its greatest eigenvalue.\n\n"
    "The time is that of a roofline: a kernel takes what its operations need at the peak of\n"
    "this machine or what its operands need from memory, whichever is more. Both are measured\n"
    "on the way, in less than 0.1 s. Caches can make a program faster than that, all else makes\n"
    "it slower; sq-bench measures.\n\n"
    "Exit codes: 0 done, also when the model has operators that sq refuses (see \"accepted\" of\n"
    "--json); 1 the file cannot be read; 2 usage; 3 the machine lacks something; 70 a defect of sq.\n";

/// --dim=NAME=N in place of what is typical.
Status chooseDims(const Flags &flags, const inspect::Program &program, DimChoice &dims) {
  dims = typicalDims(program.inputs);
  for (const std::string &text : flags.all("dim")) {
    size_t equal = text.rfind('=');
    std::string name = text.substr(0, equal);
    int64_t size = 0;
    if (equal == std::string::npos || !parseInteger(text.substr(equal + 1), 0, INT64_MAX, size))
      return Status::usage("--dim=" + text + ": expected NAME=N");
    std::string known;
    bool found = false;
    for (auto &[symbol, value] : dims.dims) {
      known += (known.empty() ? "" : ", ") + symbol;
      if (symbol != name)
        continue;
      found = true;
      value = size;
    }
    if (!found)
      return Status::usage("--dim=" + text + ": no such dim; '" + program.path + "' has " +
                           (known.empty() ? "fixed shapes only" : known));
  }
  return {};
}

/// Refuses flags that are for what is compiled.
Status checkFlags(const Flags &flags, const std::string &path, const char *what) {
  for (const char *other : {"dim", "shape", "html"})
    if (flags.has(other))
      return Status::usage(std::string("--") + other + " is for models and artifacts; '" + path + "' is a " + what);
  return {};
}

Status inspectSensitivity(const Flags &flags, const std::string &path) {
  if (Status s = checkFlags(flags, path, "sensitivity file"); !s.ok())
    return s;
  sensitivity::SensitivityFile file;
  if (Status s = file.open(path); !s.ok())
    return s;
  std::string text; // all or nothing: an array may be damaged
  llvm::raw_string_ostream os(text);
  if (Status s = flags.has("json") ? inspect::printSensitivityJson(file, os) : inspect::printSensitivity(path, file, os);
      !s.ok())
    return s;
  llvm::outs() << text;
  llvm::outs().flush();
  return {};
}

Status inspectStats(const Flags &flags, const std::string &path, int64_t bits) {
  if (Status s = checkFlags(flags, path, "stats file"); !s.ok())
    return s;
  calibration::Stats stats;
  if (Status s = calibration::readStats(path, stats); !s.ok())
    return s;
  if (flags.has("json"))
    inspect::printStatsJson(stats, bits, llvm::outs());
  else
    inspect::printStats(path, stats, bits, llvm::outs());
  llvm::outs().flush();
  return {};
}

Status execute(const Flags &flags) {
  int64_t threads = 0, bits = 8;
  for (Status s : {flags.integer("threads", 1, 1024, threads), flags.integer("bits", 2, 16, bits)})
    if (!s.ok())
      return s;
  if (calibration::isStatsFile(flags.positional()[0]))
    return inspectStats(flags, flags.positional()[0], bits);
  if (flags.has("bits"))
    return Status::usage("--bits is for stats files");
  if (sensitivity::isSensitivityFile(flags.positional()[0]))
    return inspectSensitivity(flags, flags.positional()[0]);
  DimRanges ranges;
  if (flags.has("shape"))
    for (const std::string &text : split(flags.get("shape"), ','))
      if (std::string wrong = parseShape(text, ranges); !wrong.empty())
        return Status::usage(wrong);
  const std::string &path = flags.positional()[0];
  inspect::Model model;
  inspect::Artifact artifact;
  bool isModel = isModelName(path);
  if (!isModel && flags.has("shape"))
    return Status::usage("--shape is for models; the shapes of '" + path + "' are fixed");
  if (Status s = isModel ? inspect::readModel(path, ranges, model) : inspect::readArtifact(path, artifact); !s.ok())
    return s;

  const inspect::Program &program = isModel ? static_cast<const inspect::Program &>(model) : artifact;
  DimChoice dims;
  if (Status s = chooseDims(flags, program, dims); !s.ok())
    return s;
  std::optional<inspect::Estimate> estimate;
  if (!program.kernels.empty())
    estimate = inspect::estimate(program.kernels, dims, threads);
  inspect::View view{isModel ? &model : nullptr, isModel ? nullptr : &artifact, dims, estimate ? &*estimate : nullptr};
  if (flags.has("html")) {
    std::string file = flags.get("html");
    llvm::Error error = writeChecked(file, WriteMode::Replace, [&](llvm::raw_ostream &os) {
      printHtml(view, os);
      return llvm::Error::success();
    });
    if (error)
      return Status::lacking("cannot write '" + file + "': " + llvm::toString(std::move(error)));
  }
  if (flags.has("json"))
    printJson(view, llvm::outs());
  else if (!flags.has("html"))
    printText(view, llvm::outs());
  llvm::outs().flush();
  return {};
}

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-inspect", usageText, argc, argv, code))
    return code;
  if (flags.positional().size() != 1)
    return report("sq-inspect", Status::usage("expected one MODEL, ARTIFACT, STATS or SENSITIVITY; --help explains"));
  return report("sq-inspect", execute(flags));
}
