//===-- sq-sensitivity.cpp - how much a loss depends on each weight
//-----------===//

#include <cmath>
#include <cstdio>

#include "lib/run/Flags.h"
#include "lib/run/Module.h"
#include "lib/sensitivity/Sensitivity.h"

using namespace sq;
using namespace sq::sensitivity;

namespace {

const std::vector<Flag> flagTable = {
    {"o", "FILE", "the sensitivity file (also -o FILE); a whole one or none"},
    {"loss", "NAME",
     "cross-entropy (default; of a language model the mean over next tokens), "
     "mse, or for the\n"
     "Hessian alone kl (from the model's own output)"},
    {"output", "NAME",
     "the result that is judged (default: the first in floating point)"},
    {"samples", "N",
     "use the first N samples (default: all); a sample is one row, one "
     "sequence"},
    {"sample-labels", nullptr,
     "labels from the model's own softmax although the data has some; without "
     "labels that is\n"
     "done anyway (of mse: targets are the output plus N(0, 1))"},
    {"layer", "NAME",
     "only this linear layer; may be repeated (default: all with constant "
     "weights)",
     true},
    {"probes", "N",
     "traces of the Hessian by N probes at most (default: 0, none): 256 is "
     "plenty, as probing ends when\n"
     "all standard errors are small"},
    {"eigenvalues", "N",
     "the greatest eigenvalue of each layer's Hessian, by N steps of power "
     "iteration at most (default: none)"},
    {"products", "exact|difference",
     "how the Hessian is multiplied: exact (default), by differentiating the "
     "gradients; difference, by gradients at\n"
     "two places, which rounding makes less exact and takes twice the time, "
     "but half the memory"},
    {"hessian-samples", "N",
     "samples over which the Hessian is the mean (default: 128)"},
    {"tolerance", "X",
     "relative standard error of a trace at which probing ends (default: "
     "0.05)"},
    {"seed", "N", "of sampled labels and of probes (default: 1)"},
    {"max-memory", "SIZE",
     "of gradients and their sums (default: 4G); layers that do not fit take a "
     "pass of their own"},
    {"checkpoints", nullptr,
     "keep one activation where a block of the model ends, and compute the "
     "others again for the backward pass: less memory\n"
     "for long sequences, about a third more time"},
    {"resume", nullptr,
     "go on where the file stops, which is written every ten seconds; the "
     "result has the\n"
     "same bytes as that of one go. Starts when there is none"},
    {"merge", nullptr,
     "join files of one model and loss: sq-sensitivity --merge A B ... -o C"},
    {"shape", "NAME=LO..HI,...",
     "ranges of symbolic dims, as sq-compile --shape takes them"},
    {"threads", "N",
     "threads to use (default: all that affinity and cgroup allow)"},
    {"progress", "auto|plain|json|none",
     "gradients done and time left on stderr; auto: when it is a terminal"},
};

constexpr const char *usageText =
    "Measures how much a loss depends on each weight of a model's linear "
    "layers: the diagonal of\n"
    "the Fisher information (sums of squared gradients, one sample at a time), "
    "and the trace of each\n"
    "layer's Hessian. The gradients are sq's own, compiled as any program. "
    "Mixed precision and codebooks\n"
    "read the result.\n\n"
    "Usage: sq-sensitivity MODEL DIR -o FILE [flags]\n"
    "       sq-sensitivity --merge FILE FILE... -o FILE\n\n"
    "  sq-sensitivity lm/model.onnx lm/calibration -o lm.sensitivity "
    "--samples=32\n"
    "  sq-sensitivity model.onnx data -o model.sensitivity --probes=256 "
    "--resume\n\n"
    "DIR is a data set as sq-calibrate takes it: <input name>.npy per input "
    "and labels.npy (integers, one\n"
    "per row of logits; negative ones do not count), or tokens.npy [rows, T+1] "
    "of a language model, whose\n"
    "labels are its columns 1..T.\n\n"
    "Exit codes: 0 done; 1 model or data were refused (an op without a "
    "derivative is named); 2 usage;\n"
    "3 the machine lacks something; 70 a defect of sq.\n";


Status mergeFiles(const Flags &flags) {
  for (const char *other :
       {"loss", "output", "samples", "sample-labels", "layer", "probes",
        "eigenvalues", "products", "hessian-samples", "tolerance", "seed",
        "max-memory", "checkpoints", "resume", "shape", "threads"})
    if (flags.has(other))
      return Status::usage(std::string("--merge and --") + other +
                           " exclude each other");
  if (flags.positional().size() < 2)
    return Status::usage(
        "--merge takes two sensitivity files or more; --help explains");
  return mergeSensitivity(flags.positional(), flags.get("o"));
}

void print(const std::string &path, const Sensitivity &result) {
  std::printf("%s: %lld samples, mean loss %.6g, %zu layers\n", path.c_str(),
              static_cast<long long>(result.samples),
              result.samples ? result.lossSum / double(result.samples) : 0,
              result.layers.size());
  for (const LayerSensitivity &layer : result.layers) {
    if (layer.trace.probes)
      std::printf("  %s: trace %.4g +- %.2g of %llu probes\n",
                  layer.name.c_str(), layer.trace.mean,
                  layer.trace.standardError(),
                  static_cast<unsigned long long>(layer.trace.probes));
    if (layer.eigenvalueSteps)
      std::printf("  %s: greatest eigenvalue %.4g after %u steps, the last of "
                  "which changed it by %.2g %%\n",
                  layer.name.c_str(), layer.eigenvalue, layer.eigenvalueSteps,
                  100 * layer.eigenvalueChange);
  }
}

Status execute(const Flags &flags) {
  SensitivityOptions options;
  int64_t threads = 0, seed = 1;
  for (Status s :
       {flags.integer("samples", 1, INT64_MAX, options.samples),
        flags.integer("probes", 1, 1 << 20, options.probes),
        flags.integer("eigenvalues", 1, 10000, options.eigenvalueSteps),
        flags.integer("hessian-samples", 1, INT64_MAX, options.hessianSamples),
        flags.integer("seed", 0, INT64_MAX, seed),
        flags.number("tolerance", 1e-6, 1, options.tolerance),
        flags.integer("threads", 1, 1024, threads)})
    if (!s.ok())
      return s;
  if (Status s = progressFrom(flags, options.progress); !s.ok())
    return s;
  options.output = flags.get("o");
  if (options.output.empty())
    return Status::usage("-o FILE is missing; --help explains");
  if (flags.has("merge")) {
    if (Status s = mergeFiles(flags); !s.ok())
      return s;
    SensitivityFile merged;
    if (Status s = merged.open(options.output); !s.ok())
      return s;
    print(options.output, merged.head());
    return {};
  }
  if (flags.positional().size() != 2)
    return Status::usage(
        "expected a MODEL and a folder of data; --help explains");
  options.model = flags.positional()[0];
  options.data = flags.positional()[1];
  if (flags.has("loss"))
    options.loss = flags.get("loss");
  std::string products = flags.get("products", "exact");
  if (products != "exact" && products != "difference")
    return Status::usage("--products=" + products +
                         " is none of exact, difference");
  options.exactProducts = products == "exact";
  options.target = flags.get("output");
  options.layers = flags.all("layer");
  options.checkpoints = flags.has("checkpoints");
  options.sampleLabels = flags.has("sample-labels");
  options.seed = seed;
  if (Status s = flags.size("max-memory", options.maxMemory); !s.ok())
    return s;
  options.threads = static_cast<int>(threads);
  options.resume = flags.has("resume");
  options.shape = flags.get("shape");
  options.note = [](const std::string &note) {
    std::fprintf(stderr, "sq-sensitivity: %s\n", note.c_str());
  };
  Sensitivity result;
  if (Status s = computeSensitivity(options, result); !s.ok())
    return s;
  print(options.output, result);
  return {};
}

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-sensitivity", usageText, argc, argv, code))
    return code;
  return report("sq-sensitivity", execute(flags));
}
