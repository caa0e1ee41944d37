//===-- Sensitivity.cpp - Fisher diagonals and Hutchinson traces
//--------------===//
//
// Layers are taken in groups whose gradients, and what is added up of them, fit
// the memory that is allowed: a group is a program of its own, run over all
// samples, so that a model of any size needs no more memory than its largest
// layer and its activations. A small model is one group.
//
//===--------------------------------------------------------------------------===//

#include "lib/sensitivity/Sensitivity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "llvm/Support/ThreadPool.h"

#include "lib/sensitivity/Hutchinson.h"
#include "lib/sensitivity/Targets.h"
#include "passes/GradientProgram.h"

using namespace sq;
using namespace sq::sensitivity;

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

class Work {
public:
  Work(const SensitivityOptions &options, Sensitivity &result)
      : options(options),
        result(result), runner{options.model, options.shape, options.threads},
        pool(llvm::hardware_concurrency(options.threads)) {}

  Status run() {
    if (options.loss != "cross-entropy" && options.loss != "mse" &&
        options.loss != "kl")
      return Status::usage("there is no loss '" + options.loss +
                           "'; cross-entropy, mse, kl");
    report("compile", 0, 0);
    ModelInfo info;
    if (Status s = describeModel(runner, gradients({}, false), info); !s.ok())
      return s;
    start(info);
    if (options.resume && exists(options.output))
      if (Status s = resume(); !s.ok())
        return s;
    if (options.loss == "kl") {
      if (!options.probes && !options.eigenvalueSteps)
        return Status::usage(
            "the gradient of kl is zero at the model's own output: only its "
            "Hessian says something, --probes=N");
    } else if (Status s = computeFisher(info); !s.ok()) {
      return s;
    }
    if (options.probes || options.eigenvalueSteps)
      if (Status s = computeHessian(info); !s.ok())
        return s;
    result.isComplete = true;
    return save();
  }

private:
  GradientOptions gradients(const std::vector<size_t> &group,
                            bool weightArguments) const {
    GradientOptions g;
    g.loss = options.loss;
    g.output = options.target;
    g.weightArguments = weightArguments;
    g.checkpoints = options.checkpoints;
    g.layers = options.layers;
    if (!group.empty())
      g.layers.clear();
    for (size_t i : group)
      g.layers.push_back(result.layers[i].name);
    return g;
  }

  void start(const ModelInfo &info) {
    result = {};
    result.model = info.hash;
    result.loss = options.loss;
    result.seed = options.seed;
    for (const Weight &weight : info.weights) {
      LayerSensitivity &layer = result.layers.emplace_back();
      layer.name = weight.name;
      layer.layers = weight.layers;
      layer.weight = weight.initializer;
      layer.rows = weight.rows;
      layer.columns = weight.columns;
    }
  }

  /// Takes over what an earlier run left behind.
  Status resume() {
    if (Status s = earlier.emplace().open(options.output); !s.ok())
      return s;
    const Sensitivity &head = earlier->head();
    bool isSame = head.model == result.model && head.loss == result.loss &&
                  head.seed == result.seed &&
                  head.layers.size() == result.layers.size();
    for (size_t i = 0; isSame && i < head.layers.size(); ++i)
      isSame = head.layers[i].name == result.layers[i].name &&
               head.layers[i].elements() == result.layers[i].elements();
    if (!isSame)
      return Status::refused(
          "'" + options.output +
          "' is of another model, or was made with another --loss, --seed, "
          "--layers or --shape; "
          "remove it, or leave --resume away to start again");
    result = head;
    resumed = true;
    if (options.note)
      options.note("goes on after " +
                   std::to_string(
                       result.layers.empty() ? 0 : result.layers[0].position) +
                   " samples");
    return {};
  }

  /// Of all samples, once a program says what its inputs are.
  Status openTargets(const std::vector<Port> &inputs, const ModelInfo &info) {
    if (targets)
      return {};
    targets.emplace();
    TargetOptions target{options.loss, options.target, options.sampleLabels,
                         options.loss == "kl", options.seed};
    if (Status s = targets->open(options.data, runner, target, inputs, info);
        !s.ok())
      return s;
    int64_t total = options.samples
                        ? std::min(options.samples, targets->count())
                        : targets->count();
    uint64_t hash = 0,
             before = 0; // of all samples, and of those of an earlier run
    for (int64_t i = 0; i < total; ++i) {
      if (Status s = targets->hash(i, hash); !s.ok())
        return s;
      if (i + 1 == result.samples)
        before = hash;
    }
    if (resumed && (before != result.dataHash || total < result.samples ||
                    targets->areSampled() != result.hasSampledLabels))
      return Status::refused("'" + options.output +
                             "' was made of other samples; remove it, or leave "
                             "--resume away to start again");
    result.samples = total;
    result.dataHash = hash;
    result.source = targets->description();
    result.hasSampledLabels = targets->areSampled();
    if (options.note && targets->areSampled() &&
        options.loss == "cross-entropy" && !options.sampleLabels)
      options.note(
          "'" + options.data +
          "' has no labels: they are sampled from the model's own output");
    return {};
  }

  /// Runs of the layers for which `isOpen`, as few as `bytes` an element let
  /// be, and then as equal as they can be; of one group all stand at one place.
  template <typename Open, typename Place>
  std::vector<std::vector<size_t>> plan(uint64_t bytes, Open isOpen,
                                        Place place) const {
    uint64_t low = 0, high = options.maxMemory; // of the least limit for as few
    auto fewest = planWithin(high, bytes, isOpen, place);
    while (high - low > (uint64_t(1) << 20)) {
      uint64_t middle = low + (high - low) / 2;
      auto groups = planWithin(middle, bytes, isOpen, place);
      if (groups.size() > fewest.size()) {
        low = middle;
      } else {
        high = middle;
        fewest = std::move(groups);
      }
    }
    return fewest;
  }

  template <typename Open, typename Place>
  std::vector<std::vector<size_t>> planWithin(uint64_t limit, uint64_t bytes,
                                              Open isOpen, Place place) const {
    std::vector<std::vector<size_t>> groups;
    uint64_t used = 0;
    for (size_t i = 0; i < result.layers.size(); ++i) {
      if (!isOpen(result.layers[i]))
        continue;
      uint64_t more = bytes * result.layers[i].elements();
      bool fits =
          !groups.empty() && used + more <= limit &&
          place(result.layers[groups.back().back()]) == place(result.layers[i]);
      if (!fits) {
        groups.emplace_back();
        used = 0;
      }
      groups.back().push_back(i);
      used += more;
    }
    return groups;
  }

  Status computeFisher(const ModelInfo &info) {
    // Of an earlier run, too: there may be more samples now.
    std::vector<std::vector<size_t>> groups = plan(
        2 * sizeof(float), [](const LayerSensitivity &) { return true; },
        [](const LayerSensitivity &l) { return l.position; });
    int64_t done = 0;
    Clock::time_point begin = Clock::now();
    for (size_t g = 0; g < groups.size(); ++g) {
      Runner program;
      if (Status s = program.compile(runner, gradients(groups[g], false));
          !s.ok())
        return s;
      if (Status s = openTargets(program.inputs(), info); !s.ok())
        return s;
      if (result.layers[groups[g][0]].position == result.samples)
        continue;
      std::vector<int> outputs;
      for (size_t i : groups[g]) {
        LayerSensitivity &layer = result.layers[i];
        outputs.push_back(
            findPort(program.outputs(), kGradientPrefix + layer.name));
        if (layer.position) {
          if (Status s = earlier->readFisher(i, layer.fisher); !s.ok())
            return s;
        } else {
          layer.fisher.assign(layer.elements(), 0);
        }
      }
      if (done == 0)
        begin = Clock::now();
      int64_t total = 0; // gradients that are still to be computed
      for (size_t later = g; later < groups.size(); ++later)
        total += result.samples - result.layers[groups[later][0]].position;
      total += done;
      for (int64_t i = result.layers[groups[g][0]].position; i < result.samples;
           ++i) {
        if (Status s = addSample(i, program, groups[g], outputs); !s.ok())
          return s;
        ++done;
        report("fisher", done, total, since(begin) / done * (total - done));
        if (i + 1 < result.samples)
          if (Status s = saveIfDue(); !s.ok())
            return s;
      }
      if (g + 1 == groups.size() && !options.probes && !options.eigenvalueSteps)
        return {}; // run() saves
      if (Status s = save(); !s.ok())
        return s;
      for (size_t i : groups[g])
        result.layers[i].fisher = std::vector<float>(); // in the file ({} would keep the memory)
    }
    return {};
  }

  Status runSample(int64_t index, Runner &program, double &loss) {
    if (Status s = targets->set(index, program); !s.ok())
      return s;
    if (Status s = program.run(); !s.ok())
      return {s.code, targets->title(index) + ": " + s.message};
    int64_t count;
    loss = *program.output(findPort(program.outputs(), kLoss), count);
    if (!std::isfinite(loss))
      return Status::refused(targets->title(index) + ": the loss is " +
                             std::to_string(loss) +
                             "; remove the sample, or find out with sq-diff "
                             "which node makes it so");
    return {};
  }

  Status addSample(int64_t index, Runner &program,
                   const std::vector<size_t> &group,
                   const std::vector<int> &outputs) {
    double loss;
    if (Status s = runSample(index, program, loss); !s.ok())
      return s;
    if (group.front() == 0)
      result.lossSum += loss;
    std::vector<char> wrong(group.size());
    for (size_t k = 0; k < group.size(); ++k) {
      int64_t count;
      const float *g = program.output(outputs[k], count);
      float *sums = result.layers[group[k]].fisher.data();
      forParts(count, [&, g, sums, k](int64_t from, int64_t to) {
        float most = 0;
        for (int64_t i = from; i < to; ++i) {
          float square = g[i] * g[i];
          sums[i] += square;
          most += square - square; // NaN after NaN or infinity
        }
        if (most != 0)
          wrong[k] = true;
      });
    }
    pool.wait();
    for (size_t k = 0; k < group.size(); ++k) {
      if (wrong[k])
        return Status::refused(
            targets->title(index) + ": the gradient of layer '" +
            result.layers[group[k]].name + "' holds NaN or infinite values");
      result.layers[group[k]].position = index + 1;
    }
    return {};
  }

  /// Queues `work` on parts of [0, count).
  template <typename F> void forParts(int64_t count, F work) {
    constexpr int64_t kPart = 1 << 18;
    for (int64_t from = 0; from < count; from += kPart)
      pool.async([=] { work(from, std::min(count, from + kPart)); });
  }

  /// What turns vectors into products with the Hessian, and sums of what
  /// samples give.
  struct Products {
    Runner program;
    std::vector<size_t> group;
    std::vector<int> outputs;
    std::vector<double> steps;            // of differences
    std::vector<std::vector<float>> sums; // by layer of the group

    /// The input of layer `k`: base + scale v; null: no base, no v.
    Status place(size_t k, const char *prefix, const float *base,
                 const float *v, double scale) {
      const Weight &weight = program.weights()[k];
      Tensor *tensor = program.input(prefix + weight.name);
      if (tensor->shape.empty())
        if (Status s =
                tensor->allocate(DType::f32, {weight.rows, weight.columns});
            !s.ok())
          return s;
      float *to = reinterpret_cast<float *>(tensor->bytes.data());
      for (int64_t i = 0, end = weight.elements(); i < end; ++i)
        to[i] = float((base ? base[i] : 0) + (v ? scale * v[i] : 0));
      return {};
    }
  };

  /// Adds `sign` times the outputs for all samples of the Hessian.
  Status addOutputs(Products &at, float sign) {
    for (int64_t i = 0; i < result.hessianSamples; ++i) {
      double loss;
      if (Status s = runSample(i, at.program, loss); !s.ok())
        return s;
      for (size_t k = 0; k < at.group.size(); ++k) {
        int64_t count;
        const float *g = at.program.output(at.outputs[k], count);
        float *sums = at.sums[k].data();
        forParts(count, [=](int64_t from, int64_t to) {
          for (int64_t e = from; e < to; ++e)
            sums[e] += sign * g[e];
        });
      }
      pool.wait();
      ++hessianDone;
      report("hessian", hessianDone, hessianTotal,
             since(hessianBegin) / hessianDone * (hessianTotal - hessianDone));
    }
    return {};
  }

  /// Leaves H v in at.sums, per layer, up to what other layers' vectors add,
  /// whose mean is zero; an empty one of `v` is zero. By differences: that of
  /// the gradients at w + step v and w - step v over 2 step.
  Status multiply(Products &at, const std::vector<std::vector<float>> &v) {
    for (auto &sums : at.sums)
      std::fill(sums.begin(), sums.end(), 0.0f);
    auto vector = [&](size_t k) {
      return v[k].empty() ? nullptr : v[k].data();
    };
    if (options.exactProducts) {
      for (size_t k = 0; k < at.group.size(); ++k)
        if (Status s = at.place(k, kVectorPrefix, nullptr, vector(k), 1);
            !s.ok())
          return s;
      if (Status s = addOutputs(at, 1); !s.ok())
        return s;
    }
    for (float sign : {1.0f, -1.0f}) {
      if (options.exactProducts)
        break;
      for (size_t k = 0; k < at.group.size(); ++k)
        if (Status s = at.place(k, kWeightPrefix,
                                at.program.weights()[k].values.data(),
                                vector(k), sign * at.steps[k]);
            !s.ok())
          return s;
      if (Status s = addOutputs(at, sign); !s.ok())
        return s;
    }
    for (size_t k = 0; k < at.group.size(); ++k) {
      double step = options.exactProducts ? 1 : 2 * at.steps[k];
      for (float &x : at.sums[k])
        x = float(x / (step * double(result.hessianSamples)));
    }
    return {};
  }

  /// Gradients that a product takes.
  int64_t costOf(int64_t products) const {
    return (options.exactProducts ? 1 : 2) * result.hessianSamples * products;
  }

  /// How far the layers of `group` are: all of one group have as many probes.
  bool isProbed(const std::vector<size_t> &group) const {
    std::vector<Trace> traces;
    for (size_t i : group)
      traces.push_back(result.layers[i].trace);
    return traces[0].probes >= uint64_t(options.probes) ||
           areConverged(traces, options.tolerance);
  }
  bool hasEigenvalues(const std::vector<size_t> &group) const {
    return !options.eigenvalueSteps ||
           std::all_of(group.begin(), group.end(), [&](size_t i) {
             return result.layers[i].eigenvalueSteps;
           });
  }

  /// Probes of an earlier run with other samples are of another Hessian.
  void settleHessianSamples() {
    int64_t samples = std::min(options.hessianSamples, result.samples);
    if (samples != result.hessianSamples)
      for (LayerSensitivity &layer : result.layers) {
        layer.trace = {};
        layer.eigenvalueSteps = 0;
        layer.eigenvalue = layer.eigenvalueChange = 0;
      }
    result.hessianSamples = samples;
  }

  Status computeHessian(const ModelInfo &info) {
    // Weights, what is bound of them, a vector, gradients and their sums; or a
    // vector, what is bound of it, gradients, products and their sums. Groups
    // do not depend on how far an earlier run got: what layers of a group add
    // to each other's probes should not, either.
    std::vector<std::vector<size_t>> groups = plan(
        5 * sizeof(float), [](const LayerSensitivity &) { return true; },
        [](const LayerSensitivity &) { return 0; });
    hessianBegin = Clock::now();
    for (const std::vector<size_t> &group : groups) {
      if (targets) {
        settleHessianSamples();
        if (isProbed(group) && hasEigenvalues(group))
          continue;
      }
      Products at;
      at.group = group;
      GradientOptions wanted = gradients(group, !options.exactProducts);
      wanted.products = options.exactProducts;
      if (Status s = at.program.compile(runner, wanted); !s.ok())
        return s;
      if (Status s = openTargets(at.program.inputs(), info); !s.ok())
        return s;
      settleHessianSamples();
      if (Status s = probe(at); !s.ok())
        return s;
      for (size_t k = 0; k < group.size() && options.eigenvalueSteps; ++k)
        if (Status s = findEigenvalue(at, k); !s.ok())
          return s;
    }
    if (options.note)
      for (const LayerSensitivity &layer : result.layers)
        if (layer.trace.mean < 0)
          options.note("'" + layer.name + "': its trace is negative, " +
                       std::to_string(layer.trace.mean) + " +- " +
                       std::to_string(layer.trace.standardError()) +
                       "; take its Fisher diagonal instead");
    return {};
  }

  Status probe(Products &at) {
    std::vector<std::vector<float>> v(at.group.size());
    for (size_t k = 0; k < at.group.size(); ++k) {
      const Weight &weight = at.program.weights()[k];
      if ((weight.values.empty() && !options.exactProducts) ||
          weight.name != result.layers[at.group[k]].name)
        return Status::refused("the weight of layer '" +
                               result.layers[at.group[k]].name +
                               "' is not a constant of f32");
      at.outputs.push_back(
          findPort(at.program.outputs(),
                   (options.exactProducts ? kProductPrefix : kGradientPrefix) +
                       weight.name));
      at.sums.emplace_back(weight.elements());
      v[k].resize(weight.elements());
      at.steps.push_back(
          differenceStep(weight.values.data(), weight.values.size()));
    }
    auto first = uint32_t(result.layers[at.group[0]].trace.probes);
    bool checks = first == 0 && !options.exactProducts;
    hessianTotal =
        hessianDone + costOf(options.probes - first + checks); // at most
    for (uint32_t probe = first; !isProbed(at.group); ++probe) {
      for (size_t k = 0; k < v.size(); ++k)
        rademacher(options.seed, uint32_t(at.group[k]), probe, v[k].data(),
                   v[k].size());
      if (Status s = multiply(at, v); !s.ok())
        return s;
      std::vector<double> found;
      for (size_t k = 0; k < v.size(); ++k) {
        LayerSensitivity &layer = result.layers[at.group[k]];
        found.push_back(dot(v[k].data(), at.sums[k].data(), v[k].size()));
        if (!std::isfinite(found.back()))
          return Status::refused("layer '" + layer.name +
                                 "': a product with its Hessian is not finite");
        layer.trace.add(found.back());
      }
      if (probe == 0 && checks)
        if (Status s = checkSteps(at, v, found); !s.ok())
          return s;
      if (Status s = saveIfDue(); !s.ok())
        return s;
    }
    return {};
  }

  /// Of the block of layer `k` of the group: the other weights stay as they
  /// are.
  Status findEigenvalue(Products &at, size_t k) {
    LayerSensitivity &layer = result.layers[at.group[k]];
    if (layer.eigenvalueSteps)
      return {};
    const Weight &weight = at.program.weights()[k];
    // ||v|| is 1, so that a step is as long as those of probes.
    std::vector<double> steps = at.steps;
    at.steps.assign(steps.size(),
                    steps[k] * std::sqrt(double(weight.elements())));
    std::vector<std::vector<float>> directions(at.group.size());
    auto product = [&](const std::vector<float> &v, std::vector<float> &hv) {
      directions[k] = v;
      Status s = multiply(at, directions);
      hv = at.sums[k];
      return s;
    };
    hessianTotal = hessianDone + costOf(options.eigenvalueSteps);
    Eigenvalue top;
    constexpr double kChange = 1e-2; // differences of f32 allow no less
    Status found = powerIteration(
        weight.elements(), options.seed, uint32_t(at.group[k]), kChange,
        uint32_t(options.eigenvalueSteps), product, top);
    at.steps = steps;
    if (!found.ok())
      return found;
    if (!std::isfinite(top.value))
      return Status::refused("layer '" + layer.name +
                             "': a product with its Hessian is not finite");
    layer.eigenvalue = top.value;
    layer.eigenvalueChange = top.change;
    layer.eigenvalueSteps = top.steps;
    return saveIfDue();
  }

  /// With half the step, the first product should be the same within 5 %
  /// (section 4, item 2).
  Status checkSteps(Products &at, const std::vector<std::vector<float>> &v,
                    const std::vector<double> &found) {
    std::vector<double> steps = at.steps;
    for (double &step : at.steps)
      step /= 2;
    Status halved = multiply(at, v);
    at.steps = steps;
    if (!halved.ok())
      return halved;
    for (size_t k = 0; k < v.size(); ++k) {
      double again = dot(v[k].data(), at.sums[k].data(), v[k].size());
      if (options.note &&
          std::abs(again - found[k]) > 0.05 * std::abs(found[k]))
        options.note("'" + result.layers[at.group[k]].name +
                     "': half the step changes v^T H v from " +
                     std::to_string(found[k]) + " to " + std::to_string(again) +
                     "; its trace is not to be relied on");
    }
    return {};
  }

  void report(const char *phase, int64_t done, int64_t total, double left = 0) {
    if (options.progress)
      options.progress({phase, done, total, since(begin), left});
  }

  Status saveIfDue() {
    if (since(saved) < std::max(options.saveEvery, 20 * saveSeconds))
      return {};
    return save();
  }

  Status save() {
    Clock::time_point start = Clock::now();
    if (Status s = writeSensitivity(options.output, result,
                                    earlier ? &*earlier : nullptr);
        !s.ok())
      return s;
    // The file that was replaced stays open for as long as it is needed; now it
    // is the new one.
    if (Status s = earlier.emplace().open(options.output); !s.ok())
      return s;
    saved = Clock::now();
    saveSeconds = since(start);
    return {};
  }

  const SensitivityOptions &options;
  Sensitivity &result;
  RunnerOptions runner;
  llvm::DefaultThreadPool pool;
  std::optional<Targets> targets;
  std::optional<SensitivityFile> earlier; // what was saved last
  bool resumed = false;
  Clock::time_point begin = Clock::now(), saved = begin, hessianBegin;
  double saveSeconds = 0;
  int64_t hessianDone = 0, hessianTotal = 0; // gradients
};

} // namespace

Status sensitivity::computeSensitivity(const SensitivityOptions &options,
                                       Sensitivity &result) {
  return Work(options, result).run();
}
