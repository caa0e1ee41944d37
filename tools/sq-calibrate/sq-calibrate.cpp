//===-- sq-calibrate.cpp - what the activations of a model are like -----------===//

#include <cstdio>

#include "lib/calibration/Calibrate.h"
#include "lib/run/Flags.h"
#include "lib/run/Module.h"

using namespace sq;
using namespace sq::calibration;

namespace {

const std::vector<Flag> flagTable = {
    {"o", "STATS", "the stats file (also -o STATS); a whole one or none"},
    {"samples", "N", "use so many samples (default: all; of made-up ones 128)"},
    {"batch", "N",
     "samples a run (default: 1); the moving average counts runs. Samples of\n"
     "different files or archives are never joined"},
    {"seed", "N",
     "of the order of the runs and of made-up samples (default: 1); 0: samples in\n"
     "the order in which they lie"},
    {"synthetic", "N", "make up N samples instead of reading data; see above"},
    {"special-tokens", "FIRST,LAST",
     "ids in front of and behind each made-up sequence, as the tokenizer puts them\n"
     "(101,102 of BERT): ranges of real text are met better"},
    {"moments", "N",
     "rows of a sample (default: 32, made-up ones 0: none), evenly spread, whose products are summed\n"
     "for each input of linear layers: what weights are rounded by"},
    {"hold-back", "N",
     "keep the rows of every Nth run apart (N from 2 on; default: 0, of none): by these sq-compile\n"
     "--weights compares what it fitted to the others"},
    {"max-memory", "SIZE",
     "of second moments (default: 3G); what does not fit is added up in files beside STATS\n"
     "that have no name, and whose pages the system may write out"},
    {"resume", nullptr,
     "go on where the stats file stops, which is written every ten seconds; the\n"
     "result has the same bytes as that of one go. Starts when there is none"},
    {"merge", nullptr, "join stats files of one model: sq-calibrate --merge A B ... -o C"},
    {"shape", "NAME=LO..HI,...", "ranges of symbolic dims, as sq-compile --shape takes them"},
    {"threads", "N", "threads to use (default: all that affinity and cgroup allow)"},
    {"progress", "auto|plain|json|none", "samples done and time left on stderr; auto: when it is a terminal"},
};

constexpr const char *usageText =
    "Runs a model in float over calibration data and keeps what its activations are like:\n"
    "ranges, moving averages, histograms, ranges and means per channel, and second moments of what\n"
    "linear layers read. sq-compile --calib takes the result, sq-inspect shows it.\n\n"
    "Usage: sq-calibrate MODEL DIR... -o STATS [flags]\n"
    "       sq-calibrate MODEL --synthetic=N -o STATS [flags]\n"
    "       sq-calibrate --merge STATS STATS... -o STATS\n\n"
    "  sq-calibrate model.onnx models/minilm/calibration -o model.stats\n"
    "  sq-calibrate model.onnx big-data -o model.stats --resume\n"
    "  sq-calibrate --merge first.stats second.stats -o model.stats\n\n"
    "DIR is a folder with one <input name>.npy per input, first dimension = samples (or tokens.npy\n"
    "[rows, T+1] for language models, whose pasts are empty then), a folder of .npz files or one\n"
    "FILE.npz with such arrays (numpy.savez), or ONNX test data (test_data_set_*/input_0.pb ..., a\n"
    "folder a sample). Only the samples of one run are in memory. All positions count, padded ones too.\n\n"
    "A sample with a NaN or an infinite value in an input or an observed tensor is named and left\n"
    "out. The same model, data, --batch and --seed give the same bytes, whatever --threads is.\n\n"
    "Without data, --synthetic makes inputs up: integers that index a table (token ids) are\n"
    "uniform over all its rows, special ones among them (see --special-tokens); token types are\n"
    "0, positions count, masks are ones, lengths are 8 to 128 (every fourth sample 128); floats\n"
    "are N(0, 1). The stats file says so. Inputs found by matching stored statistics of batch normalisation (Q-ASR) need\n"
    "gradients, which sq does not have yet.\n\n"
    "Exit codes: 0 done; 1 model or data were refused, or every sample was left out; 2 usage;\n"
    "3 the machine lacks something; 70 a defect of sq.\n";

std::string countText(int64_t count, const char *what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

Status mergeFiles(const Flags &flags, Stats &stats) {
  const std::vector<std::string> &paths = flags.positional();
  for (const char *other : {"samples", "batch", "seed", "synthetic", "special-tokens", "moments", "hold-back", "max-memory", "resume", "shape", "threads"})
    if (flags.has(other))
      return Status::usage(std::string("--merge and --") + other + " exclude each other");
  if (paths.size() < 2)
    return Status::usage("--merge takes two stats files or more; --help explains");
  for (const std::string &path : paths) {
    Stats next;
    bool isFirst = &path == &paths.front();
    if (Status s = readStats(path, isFirst ? stats : next); !s.ok())
      return s;
    if (!isFirst)
      if (Status s = merge(stats, paths.front(), next, path); !s.ok())
        return s;
  }
  return writeStats(flags.get("o"), stats);
}

Status execute(const Flags &flags) {
  CalibrateOptions options;
  int64_t threads = 0, seed = 1, synthetic = 0, moments = 0, holdBack = 0;
  for (Status s : {flags.integer("samples", 1, INT64_MAX, options.samples), flags.integer("batch", 1, INT32_MAX, options.batch),
                   flags.integer("seed", 0, INT64_MAX, seed), flags.integer("synthetic", 1, INT64_MAX, synthetic),
                   flags.integer("threads", 1, 1024, threads), flags.integer("moments", 0, INT32_MAX, moments),
                   flags.integer("hold-back", 2, INT32_MAX, holdBack)})
    if (!s.ok())
      return s;
  if (Status s = progressFrom(flags, options.progress); !s.ok())
    return s;
  options.output = flags.get("o");
  if (options.output.empty())
    return Status::usage("-o STATS is missing; --help explains");
  Stats stats;
  if (flags.has("merge")) {
    if (Status s = mergeFiles(flags, stats); !s.ok())
      return s;
  } else {
    if (flags.positional().empty())
      return Status::usage("expected a MODEL; --help explains");
    options.model = flags.positional()[0];
    options.data.assign(flags.positional().begin() + 1, flags.positional().end());
    if (options.data.empty() != flags.has("synthetic"))
      return Status::usage(options.data.empty() ? "expected folders of data after MODEL, or --synthetic=N"
                                                : "data and --synthetic exclude each other");
    if (synthetic && options.samples)
      return Status::usage("--synthetic=N says how many samples; --samples is for data");
    if (synthetic)
      options.samples = synthetic;
    if (flags.has("special-tokens")) {
      std::string text = flags.get("special-tokens");
      bool areIds = true;
      for (const std::string &id : split(text, ','))
        areIds &= parseInteger(id, 0, INT64_MAX, options.special.emplace_back());
      if (!areIds || options.special.size() != 2 || !synthetic)
        return Status::usage("--special-tokens=" + text + ": expected two ids, FIRST,LAST, and --synthetic=N");
    }
    options.threads = static_cast<int>(threads);
    options.seed = seed;
    if (flags.has("moments"))
      options.momentRows = moments;
    options.holdBack = holdBack;
    if (Status s = flags.size("max-memory", options.maxMemory); !s.ok())
      return s;
    options.resume = flags.has("resume");
    options.shape = flags.get("shape");
    options.note = [](const std::string &note) { std::fprintf(stderr, "sq-calibrate: %s\n", note.c_str()); };
    if (Status s = calibrate(options, stats); !s.ok())
      return s;
  }
  std::printf("%s: %s, %lld left out, %s\n", options.output.c_str(), countText(stats.samples, "sample").c_str(),
              static_cast<long long>(stats.leftOut), countText(stats.tensors.size(), "tensor").c_str());
  return {};
}

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-calibrate", usageText, argc, argv, code))
    return code;
  return report("sq-calibrate", execute(flags));
}
