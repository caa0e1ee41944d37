//===-- sq-reduce.cpp - the smallest model that still fails -------------------===//

#include <cmath>
#include <cstdio>

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include "lib/reduce/Reduce.h"
#include "lib/run/Flags.h"
#include "lib/run/Module.h"

using namespace sq;

namespace {

const std::vector<Flag> flagTable = {
    {"check", "CMD",
     "the question, run with sh: exit code 0 means that the candidate is still\n"
     "interesting; {} stands for its file (at the end where there is no {})"},
    {"o", "FILE", "the smallest model (also -o FILE); always a whole one, rewritten as it shrinks"},
    {"check-timeout", "SECONDS", "a check that takes longer is ended and the candidate not taken (default: 60)"},
    {"time-limit", "SECONDS", "stop after so long (default: when nothing more can go)"},
    {"max-steps", "N", "stop after N checks (default: 10000)"},
    {"progress", "auto|plain|json|none", "each success on stderr; auto: when it is a terminal"},
    {"verbose", nullptr, "show what the checks print, on stderr"},
};

constexpr const char *usageText =
    "Makes a failing model as small as it can be while it still fails.\n\n"
    "Usage: sq-reduce MODEL --check=CMD -o SMALL.onnx [flags]\n\n"
    "  sq-reduce model.onnx -o small.onnx \\\n"
    "      --check='sq-compile {} -o /dev/null 2>&1 | grep -q \"has no host kernel\"'\n"
    "  sq-reduce model.onnx -o small.onnx --check='./crashes.sh {}'\n\n"
    "CMD says what is interesting, as with llvm-reduce: it ends with 0 as long as the candidate\n"
    "shows the failure. Let it look for the very message: a smaller model may fail in another way.\n\n"
    "Outputs and nodes are removed, what the rest reads of them becomes an input; then nodes are\n"
    "bypassed, functions inlined, initializers made inputs or zero, optional inputs and\n"
    "attributes dropped, dims made smaller. Every candidate passes onnx's checker (unless MODEL\n"
    "does not), and has its external data in it. The same model and the same answers give the same result. Nodes\n"
    "inside of If, Loop and Scan are not reduced.\n\n"
    "MODEL is .onnx or .onnxtxt; MLIR is for upstream's mlir-reduce.\n\n"
    "Exit codes: 0 done, also when stopped by a limit; 1 the model was refused, or the check does\n"
    "not end with 0 on it; 2 usage; 3 the machine lacks something.\n";

Status execute(const Flags &flags) {
  reduce::Options options;
  for (Status s : {flags.number("check-timeout", 0.001, 1e6, options.checkTimeout),
                   flags.number("time-limit", 0.001, 1e9, options.timeLimit),
                   flags.integer("max-steps", 1, INT64_MAX, options.maxChecks)})
    if (!s.ok())
      return s;
  options.command = flags.get("check");
  options.output = flags.get("o");
  options.verbose = flags.has("verbose");
  if (options.command.empty())
    return Status::usage("--check=CMD is missing; --help explains");
  if (options.output.empty())
    return Status::usage("-o SMALL.onnx is missing; --help explains");
  options.note = [](const std::string &note) { llvm::errs() << "note: " << note << '\n'; };
  std::string style = flags.get("progress", "auto");
  if (style != "auto" && style != "plain" && style != "json" && style != "none")
    return Status::usage("--progress=" + style + " is none of auto, plain, json, none");
  bool json = style == "json";
  if (json || style == "plain" || (style == "auto" && llvm::sys::Process::StandardErrIsDisplayed()))
    options.progress = [json](const reduce::Progress &p) {
      if (json)
        llvm::errs() << llvm::formatv("{0}\n", llvm::json::Value(llvm::json::Object{{"checks", p.checks},
                                                                                   {"seconds", p.seconds},
                                                                                   {"nodes", p.nodes},
                                                                                   {"bytes", p.bytes},
                                                                                   {"step", p.step}}));
      else
        llvm::errs() << llvm::formatv("[{0,5} checks {1,7:f1} s] {2,5} nodes {3,10} bytes  {4}\n", p.checks, p.seconds,
                                      p.nodes, p.bytes, p.step.empty() ? "the model is interesting" : p.step);
    };

  onnx::ModelProto model;
  if (Status s = reduce::loadModel(flags.positional()[0], model); !s.ok())
    return s;
  reduce::Result result;
  if (Status s = reduce::reduceModel(model, options, result); !s.ok())
    return s;
  std::printf("%s: %lld of %lld nodes, %lld of %lld bytes, %lld checks, %.1f s%s%s\n", options.output.c_str(),
              static_cast<long long>(result.after.nodes), static_cast<long long>(result.before.nodes),
              static_cast<long long>(result.after.bytes), static_cast<long long>(result.before.bytes),
              static_cast<long long>(result.after.checks), result.after.seconds,
              result.stopped.empty() ? "" : "; stopped by ", result.stopped.c_str());
  return {};
}

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-reduce", usageText, argc, argv, code))
    return code;
  if (flags.positional().size() != 1)
    return report("sq-reduce", Status::usage("expected one MODEL; --help explains"));
  return report("sq-reduce", execute(flags));
}
