#include "lib/run/SqRun.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "lib/run/Compare.h"
#include "lib/run/DataSet.h"
#include "lib/run/Flags.h"
#include "lib/run/Generate.h"
#include "lib/run/Memory.h"
#include "lib/run/Module.h"
#include "lib/run/Trace.h"
#include "lib/tensorio/File.h"
#include "lib/tensorio/Npy.h"
#include "lib/tensorio/TensorProto.h"

namespace sq {
namespace {

constexpr int64_t printedElements = 10;
constexpr int64_t maxThreads = 1024;

const std::vector<Flag> flagTable = {
    {"input", "NAME=VALUE",
     "an input: NAME=@file.npy, NAME=@file.pb (an ONNX TensorProto) or\n"
     "NAME=2x3xi64=1,2,3,4,5,6 (one value: for all elements); integers of a\n"
     "file are widened to the input's type where they fit", true},
    {"output", "NAME=@FILE.npy", "write an output to a file instead of printing it", true},
    {"expect", "NAME=@FILE", "compare an output with a .npy or .pb file; exit code 4 when it differs", true},
    {"rtol", "X", "relative tolerance of --expect and --test-data (floats: 1e-3, integers: 0)"},
    {"atol", "X",
     "absolute tolerance (floats: 1e-5, integers: 0); an element fails only\n"
     "when it exceeds both"},
    {"test-data", "DIR",
     "run DIR/input_0.pb ... and compare with DIR/output_0.pb ...; a folder\n"
     "of test_data_set_* runs each of them"},
    {"generate", "N",
     "continue token ids by N tokens, of which ids are printed, a line for each\n"
     "prompt; keys and values stay in memory (sq-compile --kv-cache)"},
    {"prompt", "IDS",
     "what --generate continues: 5,17,3 or @file.npy, [tokens] or [rows, tokens];\n"
     "several prompts are continued together", true},
    {"temperature", "X", "of --generate: sample from logits / X (default: 0, the largest)"},
    {"top-k", "K", "sample from the K largest logits (default: 0, all)"},
    {"top-p", "P", "sample from the fewest logits whose probabilities reach P (default: 1, all)"},
    {"seed", "N", "of the samples, which depend on it and the place alone (default: 0)"},
    {"stop", "ID", "a token that ends a sequence and is not printed"},
    {"capacity", "N", "tokens that a sequence may have (default: 0, memory grows)"},
    {"threads", "N", "threads to use (default: all that affinity and cgroup allow)"},
    {"cpu", "LEVEL",
     "use no more than this CPU level: x86-64, x86-64-v3, avx512, vnni, amx\n"
     "(default: the environment's SQ_CPU, else the best one)"},
    {"device", "cpu|cuda[:N]|auto", kDeviceHelp},
    {"cuda-graphs", "N", kCudaGraphsHelp},
    {"verify", nullptr, "check the hash of the weights too"},
    {"stats", nullptr,
     "print the memory: arena, outputs, mapped weights (of a device: all of\n"
     "its memory), and the anonymous memory that loading, the session and its\n"
     "first run added to the process"},
    {"profile", "FILE.json",
     "run once more and write what each thread or the device did when, with the\n"
     "ONNX nodes of every kernel: for https://ui.perfetto.dev or chrome://tracing"},
};

std::string usageText(const char *program, bool positional) {
  std::string name = program;
  name = name.substr(name.rfind('/') + 1);
  return "Runs a model compiled by sq-compile.\n\n"
         "Usage: " + name + (positional ? " ARTIFACT" : "") + " --input=NAME=VALUE ... [flags]\n\n"
         "Without --input, a model that needs inputs prints its signature. Outputs that are\n"
         "neither written nor compared are printed with their first elements.\n\n"
         "  " + name + (positional ? " minilm.so" : "") +
         " --input=input_ids=@ids.npy --input=attention_mask=1x47xi64=1 \\\n"
         "      --input=token_type_ids=1x47xi64=0 --output=last_hidden_state=@out.npy\n"
         "  " + name + (positional ? " lm.so" : "") + " --generate=64 --prompt=@ids.npy --temperature=0.8 --top-p=0.95 --seed=7\n\n"
         "Exit codes: 0 done; 1 the artifact or a tensor was refused; 2 usage; 3 the machine\n"
         "lacks something; 4 a comparison failed; 70 a defect of sq.\n";
}

bool endsWith(const std::string &text, const char *end) {
  size_t n = std::strlen(end);
  return text.size() >= n && text.compare(text.size() - n, n, end) == 0;
}

Status readTensorFile(const std::string &path, Tensor &tensor) {
  if (endsWith(path, ".npy"))
    return readNpy(path, tensor);
  if (endsWith(path, ".pb"))
    return readTensorProto(path, tensor);
  return Status::usage("'" + path + "' is neither a .npy nor a .pb file");
}

/// Takes `NAME=VALUE` apart. Names may contain '=', so the signature decides.
Status matchPort(const char *flag, const std::string &text, const Module &module,
                 const std::vector<Port> &ports, int &index, std::string &value) {
  index = -1;
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string &name = ports[i].name;
    bool better = index < 0 || name.size() > ports[index].name.size();
    if (better && text.compare(0, name.size(), name) == 0 && text[name.size()] == '=')
      index = static_cast<int>(i);
  }
  if (index < 0)
    return Status::usage(std::string("--") + flag + "=" + text.substr(0, 60) +
                         ": no such name; the artifact has\n" + module.signature());
  value = text.substr(ports[index].name.size() + 1);
  return {};
}

/// The path of `@path`.
Status filePath(const char *flag, const std::string &value, std::string &path) {
  if (value.size() < 2 || value[0] != '@')
    return Status::usage(std::string("--") + flag + ": expected NAME=@FILE, given '" + value + "'");
  path = value.substr(1);
  return {};
}

/// One invocation.
class Run {
public:
  explicit Run(const Flags &flags) : flags(flags) {}

  Status execute(const char *path) {
    int64_t threads = 0, cudaGraphs = 0;
    RunOptions options;
    options.cpu = flags.get("cpu");
    options.verifyWeights = flags.has("verify");
    for (Status s : {flags.number("rtol", 0, HUGE_VAL, tolerance.relative),
                     flags.number("atol", 0, HUGE_VAL, tolerance.absolute),
                     flags.integer("threads", 1, maxThreads, threads),
                     flags.integer("cuda-graphs", 0, kMaxCudaGraphs, cudaGraphs),
                     parseDevice(flags, options.device)})
      if (!s.ok())
        return s;
    std::string testData = flags.get("test-data");
    if (Status s = readGenerateFlags(); !s.ok())
      return s;
    for (const char *other : {"input", "output", "expect", "profile"})
      if (flags.has("test-data") && flags.has(other))
        return Status::usage(std::string("--test-data and --") + other + " exclude each other");

    anonymousAtStart = anonymousKiB();
    if (Status s = module.load(path, options); !s.ok())
      return s;
    anonymousOfLoad = anonymousKiB() - anonymousAtStart;
    // The tool's own buffers are not counted: inputs are read between the two
    // measured spans.
    std::vector<Tensor> inputs;
    std::vector<std::vector<int64_t>> prompts;
    if (flags.has("generate")) {
      if (Status s = readPrompts(prompts); !s.ok())
        return s;
    } else if (testData.empty())
      if (Status s = readInputs(inputs); !s.ok())
        return s;
    anonymousBeforeSession = anonymousKiB();
    if (Status s = session.create(module, static_cast<int>(threads), static_cast<int>(cudaGraphs)); !s.ok())
      return s;
    if (flags.has("generate"))
      return runGenerate(prompts);
    Status s = testData.empty() ? runOnce(inputs) : runTestData(testData);
    if (s.code != ExitCode::Done && s.code != ExitCode::Comparison)
      return s;
    if (flags.has("profile"))
      if (Status p = profile(inputs, path); !p.ok())
        return p;
    if (flags.has("stats"))
      printStats();
    return s;
  }

private:
  Status readInputs(std::vector<Tensor> &inputs) {
    const std::vector<Port> &ports = module.inputs();
    inputs.resize(ports.size());
    std::vector<bool> given(ports.size());
    for (const std::string &text : flags.all("input")) {
      int index;
      std::string value;
      if (Status s = matchPort("input", text, module, ports, index, value); !s.ok())
        return s;
      const std::string &name = ports[index].name;
      if (given[index])
        return Status::usage("--input=" + name + " is given twice");
      given[index] = true;
      Status s = value[0] == '@' ? readTensorFile(value.substr(1), inputs[index])
                                 : parseTensor(value, inputs[index]);
      if (!s.ok()) {
        s.message = "input '" + name + "': " + s.message;
        return s;
      }
      if (Status s = fitInput(ports[index], inputs[index]); !s.ok())
        return s;
    }
    std::string missing;
    for (size_t i = 0; i < ports.size(); ++i)
      if (!given[i])
        missing += " '" + ports[i].name + "'";
    if (!missing.empty())
      return Status::usage("no --input for" + missing + "; the artifact has\n" +
                           module.signature());
    return {};
  }

  Status runOnce(const std::vector<Tensor> &inputs) {
    // Wrong names are told before a long run, not after it.
    const std::vector<Port> &ports = module.outputs();
    struct File {
      int index;
      std::string path;
    };
    std::vector<File> writes;
    std::vector<Tensor> expected(ports.size());
    std::vector<bool> isExpected(ports.size());
    for (const char *flag : {"output", "expect"})
      for (const std::string &text : flags.all(flag)) {
        File file;
        std::string value;
        if (Status s = matchPort(flag, text, module, ports, file.index, value); !s.ok())
          return s;
        if (Status s = filePath(flag, value, file.path); !s.ok())
          return s;
        if (flag[0] == 'o') {
          if (!endsWith(file.path, ".npy"))
            return Status::usage("--output writes .npy files, given '" + file.path + "'");
          writes.push_back(std::move(file));
          continue;
        }
        if (Status s = readTensorFile(file.path, expected[file.index]); !s.ok())
          return s;
        isExpected[file.index] = true;
      }

    session.bind(inputs);
    if (Status s = run(); !s.ok())
      return s;
    bool passed = true;
    for (size_t i = 0; i < ports.size(); ++i) {
      Tensor output;
      if (Status s = session.output(static_cast<int>(i), output); !s.ok())
        return s;
      bool silent = isExpected[i];
      for (const File &file : writes)
        if (file.index == static_cast<int>(i)) {
          if (Status s = writeNpy(file.path, output); !s.ok())
            return s;
          silent = true;
        }
      if (isExpected[i])
        passed &= check(ports[i].name, output, expected[i]);
      if (!silent)
        std::printf("output[%zu] %s: %s\n", i, ports[i].name.c_str(),
                    formatTensor(output, printedElements).c_str());
    }
    return passed ? Status() : Status{ExitCode::Comparison, "an output differs from what was expected"};
  }

  Status readGenerateFlags() {
    for (const char *only : {"prompt", "temperature", "top-k", "top-p", "seed",
                             "stop", "capacity"})
      if (flags.has(only) && !flags.has("generate"))
        return Status::usage(std::string("--") + only +
                             " is only for --generate");
    if (!flags.has("generate"))
      return {};
    for (const char *other :
         {"input", "output", "expect", "test-data", "profile"})
      if (flags.has(other))
        return Status::usage(std::string("--generate and --") + other +
                             " exclude each other");
    if (!flags.has("prompt"))
      return Status::usage("--generate needs --prompt=IDS");
    int64_t seed = 0;
    generation.sampling.size = sizeof generation.sampling;
    for (Status s :
         {flags.integer("generate", 1, INT32_MAX, generation.tokens),
          flags.number("temperature", 0, 1e6, generation.sampling.temperature),
          flags.integer("top-k", 0, INT32_MAX, generation.sampling.top_k),
          flags.number("top-p", 0, 1, generation.sampling.top_p),
          flags.integer("seed", INT64_MIN, INT64_MAX, seed),
          flags.integer("stop", 0, INT64_MAX, generation.stop),
          flags.integer("capacity", 0, INT32_MAX, generation.capacity)})
      if (!s.ok())
        return s;
    generation.sampling.seed = static_cast<uint64_t>(seed);
    if (generation.sampling.temperature == 0)
      for (const char *only : {"top-k", "top-p", "seed"})
        if (flags.has(only))
          return Status::usage(std::string("--") + only +
                               " needs a --temperature above 0; without, the "
                               "largest logit is taken");
    return {};
  }

  Status readPrompts(std::vector<std::vector<int64_t>> &prompts) {
    for (const std::string &text : flags.all("prompt")) {
      if (text.empty() || text[0] != '@') {
        std::vector<int64_t> &prompt = prompts.emplace_back();
        for (const std::string &part : split(text, ','))
          if (!parseInteger(part, 0, INT64_MAX, prompt.emplace_back()))
            return Status::usage(
                "--prompt=" + text.substr(0, 60) +
                ": expected token ids, such as 5,17,3, or @FILE.npy");
        continue;
      }
      Tensor ids;
      if (Status s = readNpy(text.substr(1), ids); !s.ok())
        return s;
      if (isFloat(ids.dtype) || ids.shape.empty() || ids.shape.size() > 2)
        return Status::refused(
            "'" + text.substr(1) + "' is " + typeString(ids) +
            ", expected integers [tokens] or [rows, tokens]");
      int64_t columns = ids.shape.back(),
              rows = ids.shape.size() == 2 ? ids.shape[0] : 1;
      for (int64_t r = 0; r < rows; ++r) {
        std::vector<int64_t> &prompt = prompts.emplace_back();
        for (int64_t c = 0; c < columns; ++c)
          prompt.push_back(ids.asInt(r * columns + c));
      }
    }
    return {};
  }

  Status runGenerate(const std::vector<std::vector<int64_t>> &prompts) {
    std::vector<std::vector<int64_t>> sequences;
    GenerateStats stats;
    bool recomputes = false;
    if (Status s = generate(module, session, prompts, generation, sequences,
                            stats, recomputes);
        !s.ok())
      return s;
    anonymousOfSession = anonymousKiB() - anonymousBeforeSession;
    if (recomputes)
      std::fprintf(stderr, "note: this model keeps no keys and values; each "
                           "token computed its whole sequence\n");
    for (const std::vector<int64_t> &tokens : sequences) {
      for (size_t i = 0; i < tokens.size(); ++i)
        std::printf(i ? " %" PRId64 : "%" PRId64, tokens[i]);
      std::printf("\n");
    }
    if (!flags.has("stats"))
      return {};
    printStats();
    std::printf("stats.prompt_tokens %" PRId64 "\n", stats.promptTokens);
    std::printf("stats.prompt_tokens_per_second %.1f\n",
                stats.promptTokens / std::max(stats.promptSeconds, 1e-9));
    std::printf("stats.tokens_per_second %.1f\n",
                stats.tokens / std::max(stats.seconds, 1e-9));
    if (!recomputes) {
      std::printf("stats.cache_reserved_kib %" PRId64 "\n",
                  (stats.stateBytes + 1023) / 1024);
      std::printf("stats.cache_copied_bytes %" PRId64 "\n", stats.copiedBytes);
    }
    return {};
  }

  Status runTestData(const std::string &folder) {
    std::vector<std::string> sets = testDataSets(folder);
    if (sets.empty())
      return Status::refused("'" + folder + "' holds neither input_0.pb, output_0.pb nor test_data_set_0");
    bool passed = true;
    for (const std::string &set : sets)
      if (Status s = runTestSet(set, passed); !s.ok())
        return s;
    return passed ? Status() : Status{ExitCode::Comparison, "an output differs from the test data"};
  }

  Status runTestSet(const std::string &set, bool &passed) {
    std::vector<Tensor> inputs;
    if (Status s = readTestInputs(set, module.inputs(), inputs); !s.ok())
      return s;
    session.bind(inputs);
    if (Status s = run(); !s.ok())
      return s;
    int compared = 0;
    for (size_t i = 0; i < module.outputs().size(); ++i) {
      std::string path = set + "/output_" + std::to_string(i) + ".pb";
      if (!exists(path))
        continue;
      Tensor expected, output;
      if (Status s = readTensorProto(path, expected); !s.ok())
        return s;
      if (Status s = session.output(static_cast<int>(i), output); !s.ok())
        return s;
      passed &= check(set + " " + module.outputs()[i].name, output, expected);
      ++compared;
    }
    if (!compared)
      return Status::refused("'" + set + "' holds no output_0.pb to compare with");
    return {};
  }

  bool check(const std::string &what, const Tensor &output, const Tensor &expected) {
    Comparison c = compare(output, expected, tolerance);
    std::printf("%s: %s %s\n", what.c_str(), c.passed ? "PASSED" : "FAILED", c.text.c_str());
    return c.passed;
  }

  /// Runs what is bound; measures the memory after the first time.
  Status run() {
    Status s = session.run();
    if (!ran)
      anonymousOfSession = anonymousKiB() - anonymousBeforeSession;
    ran = true;
    return s;
  }

  /// Traces a second run: the first one has mapped the weights and the arena.
  Status profile(const std::vector<Tensor> &inputs, const char *path) {
    sq_session_stats stats;
    Trace trace;
    if (Status s = session.stats(stats); !s.ok())
      return s;
    if (Status s = trace.start(session, stats.threads); !s.ok())
      return s;
    if (Status s = session.run(); !s.ok())
      return s;
    if (Status s = trace.stop(session); !s.ok())
      return s;
    std::string title = std::string(path ? path : "sq") + " (" +
                        (module.onDevice() ? sq_module_device(module.get())
                                           : sq_module_cpu_level(module.get())) + ")";
    return trace.write(flags.get("profile"), title, kernelsFor(module, inputs, stats.threads));
  }

  void printStats() {
    sq_session_stats stats;
    if (!session.stats(stats).ok())
      return;
    auto kib = [](int64_t bytes) { return (bytes + 1023) / 1024; };
    if (module.onDevice())
      std::printf("stats.device %s\n", sq_module_device(module.get()));
    std::printf("stats.%s %s\n", module.onDevice() ? "variant" : "cpu_level",
                sq_module_cpu_level(module.get()));
    std::printf("stats.threads %d\n", stats.threads);
    std::printf("stats.arena_kib %" PRId64 "\n", kib(stats.arena_bytes));
    std::printf("stats.outputs_kib %" PRId64 "\n", kib(stats.output_bytes));
    int64_t weights = sq_module_weight_bytes(module.get());
    if (module.onDevice())
      std::printf("stats.device_kib %" PRId64 "\n", kib(stats.device_bytes + weights));
    else
      std::printf("stats.weights_mapped_kib %" PRId64 "\n", kib(weights));
    if (anonymousAtStart < 0)
      std::printf("stats.anonymous_added_kib unknown\n"); // no /proc/self/smaps_rollup
    else
      std::printf("stats.anonymous_added_kib %" PRId64 "\n", anonymousOfLoad + anonymousOfSession);
  }

  const Flags &flags;
  Tolerance tolerance;
  GenerateOptions generation;
  Module module;
  Session session; // after the module: released before it
  int64_t anonymousAtStart = -1, anonymousOfLoad = 0;
  int64_t anonymousBeforeSession = 0, anonymousOfSession = 0;
  bool ran = false;
};

} // namespace
} // namespace sq

extern "C" int sq_run_main(int argc, char **argv, const char *artifact) {
  using namespace sq;
  const char *program = argc > 0 ? argv[0] : "sq-run";
  std::string name = program;
  name = name.substr(name.rfind('/') + 1);
  Flags flags(flagTable);
  int code;
  if (flags.start(name.c_str(), usageText(program, !artifact).c_str(), argc, argv, code))
    return code;
  size_t expected = artifact ? 0 : 1;
  if (flags.positional().size() != expected)
    return report(name.c_str(),
                  Status::usage(artifact ? "takes no positional argument; --help explains"
                                         : "expected one artifact; --help explains"));
  const char *path = artifact ? (*artifact ? artifact : nullptr) : flags.positional()[0].c_str();
  // The buffer of stdout must not count as the model's memory.
  static char buffer[1 << 14];
  std::setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  Status status = Run(flags).execute(path);
  bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
  if (status.ok() && !written)
    status = Status::lacking("cannot write to stdout");
  return report(name.c_str(), status);
}
