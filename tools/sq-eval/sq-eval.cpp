//===-- sq-eval.cpp - how good an artifact is ---------------------------------===//

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/DataSet.h"
#include "lib/run/Flags.h"
#include "lib/run/Generate.h"
#include "lib/tensorio/File.h"
#include "lib/tensorio/Npy.h"
#include "tools/sq-eval/Metrics.h"

using namespace sq;

namespace {

const std::vector<Flag> flagTable = {
    {"metric", "METRIC", "what to measure, see above"},
    {"reference", "MODEL",
     "agreement, cosine, kl, retrieval, sqnr: compare with this artifact or model\n"
     "(default, not of retrieval: the data set's <output name>.npy)"},
    {"output", "NAME", "which output (default: 'logits' if there is one, else the first)"},
    {"batch-size", "N", "samples per run (default: 8, or what the model's ranges allow)"},
    {"threads", "N", "threads to use (default: all that affinity and cgroup allow)"},
    {"cpu", "LEVEL", "use no more than this CPU level (default: SQ_CPU, else the best one)"},
    {"device", "cpu|cuda[:N]|auto", kDeviceHelp},
    {"step", "N",
     "perplexity, of an artifact that keeps keys and values: give it N tokens at a\n"
     "time (default: all of a row)"},
    {"texts", "FILE.json", "retrieval: {\"query\": [...], \"document\": [...]}, a text per sample"},
    {"show", "N", "retrieval: print the nearest document of the first N queries (needs --texts)"},
};

constexpr const char *usageText =
    "Measures the quality of a model over a data set.\n\n"
    "Usage: sq-eval ARTIFACT|MODEL DIR --metric=METRIC [flags]\n\n"
    "  sq-eval classifier.so models/classifier/test --metric=accuracy\n"
    "  sq-eval minilm.so models/minilm/retrieval --metric=retrieval --texts=texts.json --show=3\n\n"
    "A MODEL (.onnx, .onnxtxt, .mlir, .mlirbc) is compiled in float first: the reference.\n"
    "DIR holds one <input name>.npy per input, first dimension = samples, or tokens.npy\n"
    "[rows, T+1] for language models. The first line of stdout is `METRIC value`.\n\n"
    "Metrics:\n"
    "  accuracy    share of samples whose argmax is that of labels.npy\n"
    "  agreement   share of rows (along the last dimension) with the reference's argmax\n"
    "  cosine      mean over rows of the cosine with the reference's row\n"
    "  kl          mean over rows of KL(reference || output) of their softmax, in nats\n"
    "  sqnr        10 log10(sum ref^2 / sum (x - ref)^2), in dB\n"
    "  retrieval   DIR/query and DIR/document: share of queries whose own document has the\n"
    "              largest dot product; embeddings are means over unmasked tokens, normalised;\n"
    "              with --reference also their mean cosines to the reference's\n"
    "  perplexity  exp of the mean negative log likelihood of tokens.npy's next tokens\n\n"
    "Exit codes: 0 done; 1 model or data were refused; 2 usage; 3 the machine lacks\n"
    "something; 70 a defect of sq.\n";

/// An artifact, or a model compiled to a temporary one.
class Model {
public:
  /// --device is for the artifact that is measured; a reference runs where it can.
  Status load(const std::string &path, const Flags &flags, bool isReference = false) {
    bool isModel = isModelName(path);
    if (isModel) {
      std::fprintf(stderr, "sq-eval: compiling '%s'\n", path.c_str());
      CompileResult result = temporary.compile(path);
      if (result.code != ExitCode::Done)
        return {result.code, result.message};
    }
    RunOptions options;
    options.cpu = flags.get("cpu");
    if (Status s = parseDevice(flags, options.device); !s.ok())
      return s;
    if (isModel || isReference)
      options.device = isModel ? "cpu" : "auto"; // a model is compiled for the CPU
    return module.load((isModel ? temporary.path() : path).c_str(), options);
  }

  Module module;

private:
  TemporaryArtifact temporary;
};

class Eval {
public:
  explicit Eval(const Flags &flags) : flags(flags) {}

  Status execute() {
    std::string metric = flags.get("metric");
    if (Status s = flags.integer("batch-size", 1, INT32_MAX, batch); !s.ok())
      return s;
    if (Status s = flags.integer("threads", 1, 1024, threads); !s.ok())
      return s;
    if (Status s = flags.integer("show", 1, INT32_MAX, show); !s.ok())
      return s;
    using Measure = Status (Eval::*)(double &);
    Measure measure = metric == "accuracy"     ? &Eval::accuracy
                      : metric == "retrieval"  ? &Eval::retrieval
                      : metric == "perplexity" ? &Eval::perplexity
                      : metric == "agreement" || metric == "cosine" || metric == "kl" || metric == "sqnr"
                          ? &Eval::similarity
                          : nullptr;
    if (!measure)
      return Status::usage("--metric=" + metric +
                           ": expected accuracy, agreement, cosine, kl, retrieval, perplexity or sqnr");
    if (flags.has("show") != flags.has("texts"))
      return Status::usage("--show and --texts need each other");
    for (const char *only : {"texts", "show"})
      if (flags.has(only) && metric != "retrieval")
        return Status::usage(std::string("--") + only + " is only for --metric=retrieval");
    if (Status s = flags.integer("step", 1, INT32_MAX, step); !s.ok())
      return s;
    if (flags.has("step") && metric != "perplexity")
      return Status::usage("--step is only for --metric=perplexity");
    if (flags.has("reference") && measure != &Eval::similarity && measure != &Eval::retrieval)
      return Status::usage("--reference is only for agreement, cosine, kl, retrieval and sqnr");

    folder = flags.positional()[1];
    if (Status s = model.load(flags.positional()[0], flags); !s.ok())
      return s;
    if (Status s = chooseOutput(model.module, index); !s.ok())
      return s;
    double value = 0;
    if (Status s = (this->*measure)(value); !s.ok())
      return s;
    std::printf("%s %.9g\n%s", metric.c_str(), value, shown.c_str());
    return {};
  }

private:
  Status chooseOutput(const Module &module, int &chosen) const {
    std::string name = flags.get("output");
    chosen = findPort(module.outputs(), name.empty() ? "logits" : name);
    if (chosen < 0 && name.empty() && !module.outputs().empty())
      chosen = 0;
    if (chosen < 0)
      return Status::usage("--output=" + name + ": no such output; the model has\n" +
                           module.signature());
    return {};
  }

  Status accuracy(double &value) {
    DataSet data;
    Tensor labels;
    if (Status s = readDataSet(folder, model.module.inputs(), data); !s.ok())
      return s;
    if (Status s = readNpy(folder + "/labels.npy", labels); !s.ok())
      return s;
    if (isFloat(labels.dtype) || labels.shape != std::vector<int64_t>{data.samples})
      return Status::refused("'" + folder + "/labels.npy' is " + typeString(labels) +
                             ", expected an integer for each of the " +
                             std::to_string(data.samples) + " samples");
    int64_t right = 0;
    Status s = runDataSet(
        model.module, data, batch, threads, index,
        [&](int64_t first, int64_t skip, const Tensor &output) -> Status {
          if (output.shape.size() != 2 || output.shape[1] == 0)
            return Status::refused("output '" + output.name + "' is " + typeString(output) +
                                   ", expected [samples, classes]; choose one with --output");
          for (int64_t i = skip; i < output.shape[0]; ++i)
            right += argmax(output, i * output.shape[1], output.shape[1]) == labels.asInt(first + i);
          return {};
        });
    value = static_cast<double>(right) / data.samples;
    return s;
  }

  /// agreement, cosine, kl and sqnr.
  Status similarity(double &value) {
    DataSet data, referenceData;
    if (Status s = readDataSet(folder, model.module.inputs(), data); !s.ok())
      return s;
    Tensor stored;
    Model reference;
    Session session;
    int referenceIndex = 0;
    bool isRun = flags.has("reference");
    if (isRun) {
      if (Status s = reference.load(flags.get("reference"), flags, /*isReference=*/true); !s.ok())
        return s;
      if (Status s = chooseOutput(reference.module, referenceIndex); !s.ok())
        return s;
      if (Status s = readDataSet(folder, reference.module.inputs(), referenceData); !s.ok())
        return s;
      if (Status s = session.create(reference.module, threads); !s.ok())
        return s;
    } else {
      std::string path = folder + "/" + model.module.outputs()[index].name + ".npy";
      if (!exists(path))
        return Status::refused("there is no '" + path +
                               "' to compare with; give --reference=MODEL");
      if (Status s = readNpy(path, stored); !s.ok())
        return s;
      if (stored.shape.empty() || stored.shape[0] != data.samples)
        return Status::refused("'" + path + "' is " + typeString(stored) + ", expected " +
                               std::to_string(data.samples) + " samples");
    }
    std::string metric = flags.get("metric");
    Similarity sum(metric == "kl");
    Status s = runDataSet(model.module, data, batch, threads, index,
                          [&](int64_t first, int64_t skip, const Tensor &output) -> Status {
                            if (!isRun)
                              return sum.add(output, first, skip, stored);
                            if (Status s = runSamples(session, referenceData,
                                                      first, output.shape[0], referenceIndex, stored);
                                !s.ok())
                              return s;
                            return sum.add(output, 0, skip, stored);
                          });
    value = metric == "agreement" ? sum.agreement()
            : metric == "cosine"  ? sum.cosine()
            : metric == "kl"      ? sum.divergence()
                                  : sum.sqnr();
    return s;
  }

  /// Logits of `rows` [count, T+1] from a state, `step` tokens at a time.
  Status runCached(Session &session, LmState &state, const Tensor &rows,
                   int64_t most, Tensor &logits) {
    int64_t count = rows.shape[0], length = rows.shape[1] - 1;
    if (Status s = state.create(model.module, count, length); !s.ok())
      return s;
    int64_t columns = std::min({step ? step : length, length, most});
    std::vector<int64_t> tokens;
    for (int64_t at = 0; at < length; at += columns) {
      columns = std::min(columns, length - at);
      tokens.clear();
      for (int64_t r = 0; r < count; ++r)
        for (int64_t t = at; t < at + columns; ++t)
          tokens.push_back(rows.asInt(r * (length + 1) + t));
      DLTensor part{};
      if (Status s = fromRuntime(sq_lm_append(session.get(), state.get(),
                                              tokens.data(), columns, nullptr,
                                              SQ_LM_ALL, &part));
          !s.ok())
        return s;
      int64_t vocabulary = part.shape[2];
      if (at == 0)
        if (Status s = logits.allocate(DType::f32, {count, length, vocabulary});
            !s.ok())
          return s;
      for (int64_t r = 0; r < count; ++r)
        std::memcpy(logits.bytes.data() + 4 * (r * length + at) * vocabulary,
                    static_cast<const float *>(part.data) +
                        r * columns * vocabulary,
                    4 * columns * vocabulary);
    }
    return {};
  }

  /// The same for an artifact that keeps keys and values, through its states.
  Status cachedPerplexity(const sq_lm_info &info, double &value) {
    Tensor tokens;
    if (Status s = readNpy(folder + "/tokens.npy", tokens); !s.ok())
      return s;
    if (isFloat(tokens.dtype) || tokens.shape.size() != 2 ||
        tokens.shape[0] == 0 || tokens.shape[1] < 2)
      return Status::refused("'" + folder + "/tokens.npy' is " +
                             typeString(tokens) +
                             ", expected integers [rows, tokens + 1]");
    Session session;
    if (Status s = session.create(model.module, threads); !s.ok())
      return s;
    Perplexity sum;
    LmState state;
    int64_t each = batch ? batch : 8;
    for (int64_t done = 0; done < tokens.shape[0]; done += each) {
      Tensor rows, logits;
      if (Status s =
              slice(tokens, done, std::min(each, tokens.shape[0] - done), rows);
          !s.ok())
        return s;
      if (Status s = runCached(session, state, rows, info.max_tokens, logits);
          !s.ok())
        return s;
      if (Status s = sum.add(logits, done, 0, tokens); !s.ok())
        return s;
    }
    value = sum.value();
    return {};
  }

  Status perplexity(double &value) {
    sq_lm_info info;
    if (Status s = lmInfo(model.module, info); !s.ok())
      return s;
    if (info.caches)
      return cachedPerplexity(info, value);
    if (step)
      return Status::refused("--step needs an artifact that keeps keys and "
                             "values (sq-compile --kv-cache)");
    DataSet data;
    if (Status s = readDataSet(folder, model.module.inputs(), data); !s.ok())
      return s;
    if (!data.hasTokens)
      return Status::refused("'" + folder + "' holds no tokens.npy");
    Perplexity sum;
    Status s = runDataSet(model.module, data, batch, threads, index,
                          [&](int64_t first, int64_t skip, const Tensor &output) {
                            return sum.add(output, first, skip, data.tokens);
                          });
    value = sum.value();
    return s;
  }

  Status embed(const Module &module, int index, const std::string &folder, std::vector<double> &embeddings,
               int64_t &hidden) const {
    DataSet data;
    if (Status s = readDataSet(folder, module.inputs(), data); !s.ok())
      return s;
    Tensor read;
    const Tensor *mask = nullptr;
    int port = findPort(module.inputs(), "attention_mask");
    if (port >= 0) {
      mask = &data.inputs[port];
    } else if (std::string path = folder + "/attention_mask.npy"; exists(path)) {
      if (Status s = readNpy(path, read); !s.ok())
        return s;
      mask = &read;
      if (read.shape.size() != 2 || read.shape[0] != data.samples)
        return Status::refused("'" + path + "' is " + typeString(read) + ", expected [" +
                               std::to_string(data.samples) + ", tokens]");
    }
    return runDataSet(module, data, batch, threads, index,
                      [&](int64_t first, int64_t skip, const Tensor &output) {
                        return appendEmbeddings(output, first, skip, mask, embeddings, hidden);
                      });
  }

  /// Adds the mean cosine of embeddings to those of the reference model to what is printed.
  Status compareEmbeddings(const std::string &which, const std::vector<double> &embeddings, int64_t hidden,
                           const Model &reference, int referenceIndex) {
    std::vector<double> expected;
    int64_t expectedHidden = 0;
    if (Status s = embed(reference.module, referenceIndex, folder + "/" + which, expected, expectedHidden); !s.ok())
      return s;
    if (expected.size() != embeddings.size() || hidden != expectedHidden)
      return Status::refused("the reference's embeddings have " + std::to_string(expectedHidden) + " elements, those compared " +
                             std::to_string(hidden));
    double sum = 0; // they are normalised
    for (size_t i = 0; i < expected.size(); ++i)
      sum += expected[i] * embeddings[i];
    char line[64];
    std::snprintf(line, sizeof line, "cosine %s %.9g\n", which.c_str(), sum * hidden / expected.size());
    shown += line;
    return {};
  }

  Status retrieval(double &value) {
    std::vector<std::string> queryTexts, documentTexts;
    if (flags.has("texts"))
      if (Status s = readTexts(queryTexts, documentTexts); !s.ok())
        return s;
    std::vector<double> queries, documents;
    int64_t hidden = 0, documentHidden = 0;
    if (Status s = embed(model.module, index, folder + "/query", queries, hidden); !s.ok())
      return s;
    if (Status s = embed(model.module, index, folder + "/document", documents, documentHidden); !s.ok())
      return s;
    if (flags.has("reference")) {
      Model reference;
      int referenceIndex = 0;
      if (Status s = reference.load(flags.get("reference"), flags, /*isReference=*/true); !s.ok())
        return s;
      if (Status s = chooseOutput(reference.module, referenceIndex); !s.ok())
        return s;
      if (Status s = compareEmbeddings("query", queries, hidden, reference, referenceIndex); !s.ok())
        return s;
      if (Status s = compareEmbeddings("document", documents, documentHidden, reference, referenceIndex); !s.ok())
        return s;
    }
    if (queries.size() != documents.size() || hidden != documentHidden)
      return Status::refused("'" + folder + "' has " + std::to_string(queries.size() / hidden) +
                             " queries and " +
                             std::to_string(documents.size() / documentHidden) +
                             " documents, expected a document per query");
    std::vector<int64_t> found = nearest(queries, documents, hidden);
    int64_t count = static_cast<int64_t>(found.size()), right = 0;
    for (int64_t q = 0; q < count; ++q)
      right += found[q] == q;
    value = static_cast<double>(right) / count;
    if (!flags.has("texts"))
      return {};
    if (static_cast<int64_t>(queryTexts.size()) != count ||
        static_cast<int64_t>(documentTexts.size()) != count)
      return Status::refused("'" + flags.get("texts") + "' has " +
                             std::to_string(queryTexts.size()) + " queries and " +
                             std::to_string(documentTexts.size()) + " documents, expected " +
                             std::to_string(count) + " each");
    for (int64_t q = 0; q < count && q < show; ++q)
      shown += "\nquery:    " + queryTexts[q] + "\ndocument: " + documentTexts[found[q]] +
               (found[q] == q ? "\n" : "\n          (not its own: " + documentTexts[q] + ")\n");
    return {};
  }

  Status readTexts(std::vector<std::string> &queries, std::vector<std::string> &documents) {
    std::string path = flags.get("texts");
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (!buffer)
      return Status::refused("cannot read '" + path + "': " + buffer.getError().message());
    llvm::Expected<llvm::json::Value> json = llvm::json::parse((*buffer)->getBuffer());
    if (!json)
      return Status::refused("'" + path + "' is not JSON: " + llvm::toString(json.takeError()));
    llvm::json::Path::Root root;
    llvm::json::ObjectMapper map(*json, root);
    if (!map || !map.map("query", queries) || !map.map("document", documents))
      return Status::refused("'" + path + "' is not {\"query\": [texts], \"document\": [texts]}");
    return {};
  }

  const Flags &flags;
  Model model;
  std::string folder;
  int64_t batch = 0, threads = 0, show = 0, step = 0;
  int index = 0;
  std::string shown;
};

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-eval", usageText, argc, argv, code))
    return code;
  if (flags.positional().size() != 2 || !flags.has("metric"))
    return report("sq-eval", Status::usage("expected ARTIFACT DIR --metric=METRIC; --help explains"));
  return report("sq-eval", Eval(flags).execute());
}
