#include "lib/probe/Probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/Threading.h"

#include "lib/calibration/HostProgram.h"
#include "lib/numerics/Divergence.h"
#include "passes/analysis/TokenInputs.h"
#include "runtime/core/cores.h"

using namespace sq;
using namespace sq::probe;

static constexpr int64_t kRows = 4096; // after which there are enough of them
static constexpr int64_t kLeastSamples = 8;
static constexpr int64_t kFewSamples = 12;      // nothing of them is held back
static constexpr int64_t kMostFloats = 1 << 25; // of outputs that are kept, by
                                                // known and held back
// Programs that are there at once: bytes of their artifacts, if there is more
// than one, and their number, for each is compiled in some 300 MB.
static constexpr uint64_t kMostBytes = 512 << 20;
static constexpr int kMostAtOnce = 8;
static constexpr char kMask[] = "attention_mask";

Status Probe::open(const ProbeOptions &given) {
  options = given;
  if (Status s =
          chooseHost(/*shape=*/"", options.compile.threads, options.compile);
      !s.ok())
    return s;
  options.compile.floatTables = true; // what is no choice is no loss of one
  CompileOptions compile = options.compile;
  compile.stats = compile.plan = compile.planText = "";
  compile.sensitivity = "";
  compile.inspect = [&](const std::string &phase, mlir::ModuleOp ir) {
    if (auto main = ir.lookupSymbol<mlir::func::FuncOp>("main");
        main && phase == "import")
      tables = tokenInputs(main);
  };
  TemporaryArtifact artifact;
  Module model;
  if (Status s = compileHere(options.model, compile, artifact, model); !s.ok())
    return s;
  const std::vector<Port> &outputs = model.outputs();
  int index = findPort(outputs, "logits");
  for (size_t i = 0; index < 0 && i < outputs.size(); ++i)
    if (outputs[i].dtype == DType::f32 && !outputs[i].dims.empty())
      index = int(i);
  if (index < 0 || outputs[index].dtype != DType::f32)
    return Status::refused(
        "'" + options.model +
        "' has no output of f32 by which a loss could be measured");
  output = outputs[index].name;
  isKl = options.loss == Loss::Kl ||
         (options.loss == Loss::Auto &&
          llvm::StringRef(output).contains_insensitive("logits"));
  std::unique_ptr<calibration::Samples> opened;
  if (Status s = calibration::openSamples(options.data, model.inputs(), opened);
      !s.ok())
    return s;
  source = opened->description();
  samples = std::move(opened);
  const int64_t count = samples->count(),
                wanted = std::max<int64_t>(options.samples, 1),
                least = count < kFewSamples ? 0 : count / 3; // held back
  if (count == 0)
    return Status::refused("'" + options.data +
                           "' has no samples to measure losses by");
  // Every so-manieth, in an order that is spread, too, as not all of them may
  // be needed.
  std::vector<Run> runs;
  const int64_t most = std::min(least ? 2 * wanted : wanted, count);
  for (int64_t step = 4; step-- > 0;)
    for (int64_t i = step; i < most; i += 4)
      runs.push_back({i * count / most, 1, {}, {}});
  uint64_t size = 0;
  if (llvm::sys::fs::file_size(artifact.path(), size))
    size = kMostBytes;
  cores = options.threads > 0 ? options.threads : allowedCores();
  atOnce = int(std::clamp<uint64_t>(kMostBytes / std::max<uint64_t>(size, 1), 1,
                                    std::min(cores, kMostAtOnce)));
  struct Part {
    std::vector<Run> &runs;
    int64_t most;
    int64_t rows = 0, floats = 0;

    bool takes(int64_t values) const {
      return int64_t(runs.size()) < most && floats + values <= kMostFloats &&
             (rows < kRows || int64_t(runs.size()) < kLeastSamples);
    }
  };
  Part parts[] = {{known, std::min(wanted, count - least)},
                  {heldBack, least ? wanted : 0}};
  Part *part = parts;
  Status status = runAll(
      model, runs, options.threads,
      [&](size_t number, const Output &y, const std::vector<Tensor> &inputs) {
        if (part == parts && !part->takes(y.count))
          ++part; // never back: one part does not depend on the other's limits
        if (!part->takes(y.count))
          return false;
        Run &run = part->runs.emplace_back(runs[number]);
        run.output.assign(y.values, y.values + y.count);
        for (size_t i = 0; i < inputs.size(); ++i)
          if (run.counts.empty() && model.inputs()[i].name == kMask &&
              inputs[i].numElements() * y.width == y.count)
            for (int64_t k = 0; k < inputs[i].numElements(); ++k)
              run.counts.push_back(inputs[i].asDouble(k) != 0);
        part->rows += y.count / std::max<int64_t>(y.width, 1);
        part->floats += y.count;
        return true;
      });
  if (!status.ok())
    return status;
  for (const Part &one : parts)
    for (const Run &run : one.runs)
      for (float value : run.output)
        if (!std::isfinite(value))
          return Status::refused(samples->title(run.first, 1) +
                                 ": the float model's output '" + output +
                                 "' is not finite");
  if (known.empty())
    return Status::refused("one sample of '" + options.data +
                           "' has too large an output to measure losses by");
  return {};
}

std::string Probe::metric() const {
  std::string text = llvm::formatv(
      "direct: {0} the float output '{1}', {2}, {3} samples of {4}",
      isKl ? "KL to" : "squared difference to", output,
      isKl ? "nats a row" : "as a share of its squares", known.size(), source);
  if (!heldBack.empty())
    text += llvm::formatv(", plans by {0} others", heldBack.size());
  return text;
}

Status Probe::read(const Run &run, std::vector<Tensor> &inputs) const {
  std::lock_guard<std::mutex> lock(reading);
  return samples->read(run.first, run.number, inputs);
}

Status
Probe::runAll(const Module &module, llvm::ArrayRef<Run> runs, int threads,
              llvm::function_ref<bool(size_t number, const Output &output,
                                      const std::vector<Tensor> &inputs)>
                  take) const {
  int index = findPort(module.outputs(), output);
  if (index < 0)
    return Status::refused("the model with few bits has no output '" + output +
                           "'");
  Session session;
  if (Status s = session.create(module, threads); !s.ok())
    return s;
  std::vector<Tensor> inputs;
  for (auto [number, run] : llvm::enumerate(runs)) {
    if (Status s = read(run, inputs); !s.ok())
      return s;
    if (Status s =
            calibration::checkIndices(module.inputs(), inputs, tables,
                                      samples->title(run.first, run.number));
        !s.ok())
      return s;
    session.bind(inputs);
    if (Status s = session.run(); !s.ok())
      return s;
    const DLTensor &view = session.view(index);
    Output y;
    y.values = reinterpret_cast<const float *>(
        static_cast<const char *>(view.data) + view.byte_offset);
    for (int i = 0; i < view.ndim; ++i)
      y.count *= view.shape[i];
    y.width = view.ndim ? view.shape[view.ndim - 1] : 1;
    if (!take(number, y, inputs))
      return {};
  }
  return {};
}

Status Probe::measureOne(const std::string &plan, llvm::ArrayRef<Run> runs,
                         int threads, std::vector<double> &losses) const {
  CompileOptions compile = options.compile;
  compile.planText = plan;
  compile.threads = threads;
  TemporaryArtifact artifact;
  Module model;
  if (Status s = compileHere(options.model, compile, artifact, model); !s.ok())
    return s;
  losses.assign(runs.size(), 0);
  int64_t rows = 0;
  bool isSame = true;
  Status status =
      runAll(model, runs, threads,
             [&](size_t number, const Output &y, const std::vector<Tensor> &) {
               const Run &run = runs[number];
               isSame &= y.count == int64_t(run.output.size());
               int64_t width = y.width;
               for (int64_t r = 0, end = width && isSame ? y.count / width : 0;
                    r < end; ++r) {
                 if (!run.counts.empty() && !run.counts[r])
                   continue;
                 const float *reference = run.output.data() + r * width,
                             *got = y.values + r * width;
                 losses[number] +=
                     isKl ? numerics::klDivergence(reference, got, width)
                          : numerics::relativeSquares(reference, got, width);
                 ++rows;
               }
               return isSame;
             });
  if (!status.ok())
    return status;
  if (!isSame || rows == 0)
    return Status::refused("'" + output +
                           "' has another shape with few bits, or no rows");
  bool isFinite = true;
  for (double &loss : losses) {
    loss *= double(runs.size()) / double(rows);
    isFinite &= std::isfinite(loss);
  }
  return isFinite ? Status()
                  : Status::refused("with the plan\n" + plan + "the output '" +
                                    output + "' is not finite");
}

Status Probe::measureAll(const std::vector<std::string> &plans,
                         llvm::ArrayRef<Run> runs,
                         const std::function<void(size_t)> &starts,
                         std::vector<std::vector<double>> &losses) const {
  losses.assign(plans.size(), {});
  std::mutex mutex;
  size_t next = 0, failed = plans.size(); // the first that did
  Status problem;
  int workers = std::min<int>(atOnce, plans.size());
  int threads = workers > 1 ? std::max(cores / workers, 1) : options.threads;
  auto work = [&] {
    for (;;) {
      size_t i = 0;
      {
        std::lock_guard<std::mutex> lock(mutex);
        if (next == plans.size() || failed < plans.size())
          return;
        i = next++;
        starts(i);
      }
      Status status = measureOne(plans[i], runs, threads, losses[i]);
      std::lock_guard<std::mutex> lock(mutex);
      if (!status.ok() && i < failed) {
        failed = i;
        problem = status;
      }
    }
  };
  if (workers <= 1) {
    work();
    return problem;
  }
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(workers));
  for (int i = 0; i < workers; ++i)
    pool.async(work);
  pool.wait();
  return problem;
}

Status Probe::measure(const std::vector<std::string> &plans,
                      const std::function<void(size_t)> &starts,
                      std::vector<double> &losses) const {
  std::vector<std::vector<double>> bySample;
  if (Status s = measureAll(plans, known, starts, bySample); !s.ok())
    return s;
  losses.clear();
  for (const std::vector<double> &all : bySample) // a rounding below 0
    losses.push_back(std::max(std::accumulate(all.begin(), all.end(), 0.0) /
                                  double(all.size()),
                              0.0));
  return {};
}

Status Probe::measureHeldBack(const std::vector<std::string> &plans,
                              const std::function<void(size_t)> &starts,
                              std::vector<std::vector<double>> &losses) const {
  return measureAll(plans, heldBack.empty() ? known : heldBack, starts, losses);
}
