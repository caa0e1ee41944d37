#include "lib/calibration/Calibrate.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "llvm/Support/ThreadPool.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "lib/calibration/HostProgram.h"
#include "lib/calibration/Samples.h"
#include "lib/driver/ModelHash.h"
#include "lib/tensorio/File.h"
#include "passes/analysis/ObservedValues.h"
#include "passes/analysis/TokenInputs.h"

using namespace sq;
using namespace sq::calibration;

namespace {

using Clock = std::chrono::steady_clock;

/// A tensor that is observed: an input or an output of the compiled program.
struct Watched {
  std::string name;
  int64_t channels = 0;
  bool hasMoments = false;
  int input = -1, output = -1; // one of them
};

/// Elements of a tensor as floats; converted where they are none.
struct Elements {
  const float *data = nullptr;
  size_t count = 0;
  std::vector<float> converted;
};

class Calibration {
public:
  Calibration(const CalibrateOptions &options, Stats &stats)
      : options(options), stats(stats), momentRows(options.momentRows.value_or(options.data.empty() ? 0 : 32)) {}

  Status run() {
    if (Status s = compile(); !s.ok())
      return s;
    if (Status s = openData(); !s.ok())
      return s;
    planRuns();
    startStats();
    if (options.resume && exists(options.output))
      if (Status s = resume(); !s.ok())
        return s;
    if (Status s = limitMemory(); !s.ok())
      return s;
    if (Status s = runAll(); !s.ok())
      return s;
    if (stats.samples == 0)
      return Status::refused("every sample is left out, as each has NaN or infinite values; '" + options.output +
                             "' is not written");
    for (const auto &[name, tensor] : stats.tensors)
      if (options.note && tensor.maxAbs() == 0)
        options.note("'" + name + (tensor.isEmpty() ? "' had no elements in any sample" : "' was zero in all samples"));
    return writeStats(options.output, stats);
  }

private:
  void report(const char *phase, double left = 0) {
    if (options.progress)
      options.progress({phase, stats.position, total, since(start), left});
  }
  static double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

  Status compile() {
    report("compile");
    CompileOptions compile;
    if (Status s = chooseHost(options.shape, options.threads, compile); !s.ok())
      return s;
    compile.observe = true;
    compile.inspect = [&](const std::string &phase, mlir::ModuleOp ir) {
      auto main = ir.lookupSymbol<mlir::func::FuncOp>("main");
      if (!main)
        return;
      if (phase == "import") {
        stats.model = hashModel(ir);
        tables = tokenInputs(main);
        return;
      }
      for (const ObservedValue &value : observedValues(main))
        watched.push_back({value.name, value.channels, value.feedsLinear && momentRows});
    };
    if (Status s = compileHere(options.model, std::move(compile), artifact, module); !s.ok())
      return s;
    for (Watched &tensor : watched) {
      tensor.output = findPort(module.outputs(), kObservedPrefix + tensor.name);
      if (tensor.output < 0)
        tensor.input = findPort(module.inputs(), tensor.name);
    }
    if (watched.empty())
      return Status::refused("'" + options.model + "' computes nothing in floating point that could be quantised");
    if (Status s = session.create(module, options.threads); !s.ok())
      return s;
    sq_session_stats info;
    if (Status s = session.stats(info); !s.ok())
      return s;
    if (info.threads > 1)
      pool.emplace(llvm::hardware_concurrency(info.threads));
    threads = info.threads;
    return {};
  }

  Status openData() {
    if (options.data.empty()) {
      constexpr int64_t kMadeUp = 128; // sequences; spec integer-only.md section 13
      return makeSamples(options.samples ? options.samples : kMadeUp, options.seed, options.special, module.inputs(),
                         tables, samples);
    }
    std::vector<std::unique_ptr<Samples>> parts;
    for (const std::string &path : options.data)
      if (Status s = openSamples(path, module.inputs(), parts.emplace_back()); !s.ok())
        return s;
    samples = joinSamples(std::move(parts));
    return {};
  }

  /// Runs of neighbouring samples, in an order that does not depend on how they are sorted.
  void planRuns() {
    for (int64_t first = 0; first < samples->count();) {
      int64_t number = std::min(options.batch, samples->joinable(first));
      runs.emplace_back(first, number);
      first += number;
    }
    Random random(options.seed);
    if (options.seed)
      for (size_t i = runs.size(); i > 1; --i)
        std::swap(runs[i - 1], runs[random.below(i)]);
    total = options.samples ? std::min(options.samples, samples->count()) : samples->count();
  }

  void startStats() {
    stats.source = samples->description();
    stats.orderSeed = options.seed;
    stats.batch = options.batch;
    stats.momentRows = momentRows;
    stats.holdBack = options.holdBack;
    for (const Watched &tensor : watched) {
      TensorStats &kept = stats.tensors.emplace_back(tensor.name, TensorStats(tensor.channels)).second;
      if (!tensor.hasMoments)
        continue;
      kept.moments = Moments(tensor.channels);
      if (options.holdBack)
        kept.heldBack = Moments(tensor.channels);
    }
  }

  /// Those moments that are in memory beyond what is allowed move to files.
  Status limitMemory() {
    uint64_t used = 0;
    std::string folder = std::filesystem::absolute(options.output).parent_path().string();
    for (auto &[name, tensor] : stats.tensors)
      for (Moments *moments : {&tensor.moments, &tensor.heldBack}) {
        uint64_t more = Moments::storedElements(moments->channels()) * sizeof(float);
        if (used + more <= options.maxMemory)
          used += more;
        else if (Status s = moments->moveToFile(folder); !s.ok())
          return s;
      }
    return {};
  }

  /// Takes over what an earlier calibration of the same model with the same samples found.
  Status resume() {
    Stats earlier;
    if (Status s = readStats(options.output, earlier); !s.ok())
      return s;
    if (Status s = checkModel(earlier, options.output, stats.model); !s.ok())
      return s;
    bool isSame = earlier.tensors.size() == stats.tensors.size() && earlier.orderSeed == stats.orderSeed &&
                  earlier.batch == stats.batch && earlier.momentRows == stats.momentRows &&
                  earlier.holdBack == stats.holdBack;
    for (size_t i = 0; isSame && i < stats.tensors.size(); ++i)
      isSame = earlier.tensors[i].first == stats.tensors[i].first &&
               earlier.tensors[i].second.channels() == stats.tensors[i].second.channels() &&
             earlier.tensors[i].second.moments.channels() == stats.tensors[i].second.moments.channels();
    // The samples themselves, not their names: they are read again, which is cheap beside running them.
    uint64_t hash = 0;
    int64_t position = 0;
    size_t next = 0;
    for (std::vector<Tensor> inputs; isSame && position < earlier.position && next < runs.size(); ++next) {
      auto [first, number] = clipped(next, position);
      if (Status s = samples->read(first, number, inputs); !s.ok())
        return s;
      hash = hashOf(inputs, hash);
      position += number;
    }
    if (!isSame || position != earlier.position || hash != earlier.dataHash)
      return Status::refused("'" + options.output +
                             "' was made of other samples, or with another --seed, --batch, --moments, --hold-back or --shape; remove it, or "
                             "leave --resume away to start again");
    earlier.source = stats.source;
    stats = std::move(earlier);
    nextRun = next;
    if (options.note)
      options.note("goes on after " + std::to_string(position) + " samples");
    return {};
  }

  /// Run `index` when `position` samples were looked at: the last one may be cut short.
  std::pair<int64_t, int64_t> clipped(size_t index, int64_t position) const {
    auto [first, number] = runs[index];
    return {first, std::min(number, total - position)};
  }

  static uint64_t hashOf(const std::vector<Tensor> &inputs, uint64_t before) {
    for (const Tensor &input : inputs) {
      before = XXH3_64bits_withSeed(input.shape.data(), input.shape.size() * sizeof(int64_t), before);
      before = XXH3_64bits_withSeed(input.bytes.data(), input.bytes.size(), before);
    }
    return before;
  }

  Status runAll() {
    Clock::time_point begin = Clock::now(), saved = begin;
    int64_t before = stats.position;
    report("calibrate");
    for (std::vector<Tensor> inputs; stats.position < total && nextRun < runs.size(); ++nextRun) {
      auto [first, number] = clipped(nextRun, stats.position);
      if (Status s = samples->read(first, number, inputs); !s.ok())
        return s;
      if (Status s = runSamples(first, number, inputs); !s.ok())
        return s;
      stats.dataHash = hashOf(inputs, stats.dataHash);
      stats.position += number;
      constexpr size_t kRunsAtOnce = 8;            // whose rows are multiplied
      constexpr size_t kMostWaiting = size_t(1) << 29; // bytes of rows
      double every = options.saveEvery > 0 ? std::max(options.saveEvery, 20 * saveSeconds) : 0;
      bool isToSave = since(saved) >= every && stats.position < total && stats.samples;
      if (isToSave || nextRun % kRunsAtOnce == 0 || waitingBytes() > kMostWaiting)
        flushMoments();
      double rate = since(begin) / (stats.position - before);
      report("calibrate", rate * (total - stats.position));
      if (isToSave) {
        stats.isComplete = false;
        Clock::time_point began = Clock::now();
        if (Status s = writeStats(options.output, stats); !s.ok())
          return s;
        saved = Clock::now();
        saveSeconds = since(began);
      }
    }
    flushMoments();
    stats.isComplete = true;
    return {};
  }

  Status runSamples(int64_t first, int64_t number, const std::vector<Tensor> &inputs) {
    std::string title = samples->title(first, number);
    if (Status s = checkIndices(module.inputs(), inputs, tables, title); !s.ok())
      return s;
    std::string reason = nanInput(inputs);
    if (reason.empty()) {
      session.bind(inputs);
      Status s = session.run();
      if (s.ok())
        s = observeAll(inputs, number, reason);
      if (!s.ok()) {
        s.message = title + ": " + s.message;
        return s;
      }
    }
    if (reason.empty()) {
      stats.samples += number;
      return {};
    }
    if (number == 1) {
      ++stats.leftOut;
      if (options.note)
        options.note("left out " + title + ": " + reason);
      return {};
    }
    std::vector<Tensor> single;
    for (int64_t i = 0; i < number; ++i) {
      if (Status s = samples->read(first + i, 1, single); !s.ok())
        return s;
      if (Status s = runSamples(first + i, 1, single); !s.ok())
        return s;
    }
    return {};
  }

  /// Of inputs that are not observed, such as masks: these may hold infinities, but no NaN.
  std::string nanInput(const std::vector<Tensor> &inputs) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
      bool isWatched = std::any_of(watched.begin(), watched.end(), [&](const Watched &t) { return t.input == int(i); });
      if (!isFloat(inputs[i].dtype) || isWatched)
        continue;
      for (int64_t k = 0, end = inputs[i].numElements(); k < end; ++k)
        if (std::isnan(inputs[i].asDouble(k)))
          return "input '" + module.inputs()[i].name + "' holds NaN";
    }
    return "";
  }

  void forEachTensor(llvm::function_ref<void(size_t)> work) {
    if (!pool) {
      for (size_t i = 0; i < watched.size(); ++i)
        work(i);
      return;
    }
    // A tensor is one thread's: what comes out does not depend on how many there are. The large ones
    // come first, so that none of them is left for the end.
    std::atomic<size_t> next = 0;
    for (int t = 0; t < threads; ++t)
      pool->async([&] {
        for (size_t i; (i = next++) < bySize.size();)
          work(bySize[i]);
      });
    pool->wait();
  }

  /// Adds what the last run showed, or says why it does not count.
  Status observeAll(const std::vector<Tensor> &inputs, int64_t number, std::string &reason) {
    elements.resize(watched.size());
    seen.resize(watched.size());
    bySize.resize(watched.size());
    for (size_t i = 0; i < watched.size(); ++i) {
      elements[i].count = countOf(watched[i], inputs);
      bySize[i] = i;
    }
    llvm::sort(bySize, [&](size_t a, size_t b) { return elements[a].count > elements[b].count; });
    std::vector<Status> loaded(watched.size());
    forEachTensor([&](size_t i) {
      loaded[i] = load(watched[i], inputs, elements[i]);
      if (loaded[i].ok())
        seen[i] = observe(elements[i].data, elements[i].count, watched[i].channels);
    });
    for (Status &s : loaded)
      if (!s.ok())
        return std::move(s);
    for (size_t i = 0; i < watched.size(); ++i)
      if (!seen[i].isFinite) {
        bool isNan = std::any_of(elements[i].data, elements[i].data + elements[i].count, [](float x) { return x != x; });
        reason = (watched[i].input >= 0 ? "input '" : "tensor '") + watched[i].name + "' holds " +
                 (isNan ? "NaN" : "infinite values");
        return {};
      }
    // Multiples of the golden ratio are spread evenly.
    double phase = std::fmod(stats.samples * 0.6180339887498949, 1.0);
    forEachTensor([&](size_t i) {
      TensorStats &tensor = stats.tensors[i].second;
      tensor.add(elements[i].data, elements[i].count, seen[i]);
      bool isHeldBack = options.holdBack && nextRun % options.holdBack == size_t(options.holdBack) - 1;
      if (int64_t channels = tensor.moments.channels())
        (isHeldBack ? tensor.heldBack : tensor.moments).add(elements[i].data, elements[i].count / channels, momentRows * number, phase);
    });
    return {};
  }

  size_t waitingBytes() const {
    size_t bytes = 0;
    for (const auto &[name, tensor] : stats.tensors)
      bytes += tensor.moments.waitingBytes() + tensor.heldBack.waitingBytes();
    return bytes;
  }

  void flushMoments() {
    forEachTensor([&](size_t i) {
      stats.tensors[i].second.moments.flush();
      stats.tensors[i].second.heldBack.flush();
    });
  }

  size_t countOf(const Watched &tensor, const std::vector<Tensor> &inputs) const {
    if (tensor.input >= 0)
      return inputs[tensor.input].numElements();
    const DLTensor &view = session.view(tensor.output);
    size_t count = 1;
    for (int i = 0; i < view.ndim; ++i)
      count *= view.shape[i];
    return count;
  }

  Status load(const Watched &tensor, const std::vector<Tensor> &inputs, Elements &to) const {
    bool isInput = tensor.input >= 0;
    const DType type = isInput ? inputs[tensor.input].dtype : module.outputs()[tensor.output].dtype;
    if (type == DType::f32) {
      const DLTensor *view = isInput ? nullptr : &session.view(tensor.output);
      to.data = isInput ? reinterpret_cast<const float *>(inputs[tensor.input].bytes.data())
                        : reinterpret_cast<const float *>(static_cast<const char *>(view->data) + view->byte_offset);
      return {};
    }
    Tensor copy;
    if (!isInput)
      if (Status s = session.output(tensor.output, copy); !s.ok())
        return s;
    const Tensor *from = isInput ? &inputs[tensor.input] : &copy;
    to.converted.resize(to.count);
    for (size_t i = 0; i < to.count; ++i)
      to.converted[i] = static_cast<float>(from->asDouble(i));
    to.data = to.converted.data();
    return {};
  }

  const CalibrateOptions &options;
  Stats &stats;
  const int64_t momentRows;
  Clock::time_point start = Clock::now();
  double saveSeconds = 0; // that the last save took
  int64_t total = 0;
  TableRows tables;
  std::vector<Watched> watched;
  TemporaryArtifact artifact;
  Module module;
  Session session; // after the module: released before it
  int threads = 1;
  std::optional<llvm::DefaultThreadPool> pool;
  std::unique_ptr<Samples> samples;
  std::vector<std::pair<int64_t, int64_t>> runs; // first sample, number
  size_t nextRun = 0;
  std::vector<Elements> elements; // by watched tensor, of the last run
  std::vector<Observation> seen;
  std::vector<size_t> bySize;
};

} // namespace

Status calibration::calibrate(const CalibrateOptions &options, Stats &stats) {
  stats = {};
  return Calibration(options, stats).run();
}
