//===-- sq-bench.cpp - how fast an artifact is --------------------------------===//
//
// One row per shape and thread count. Every run is timed by itself, so that
// median and percentile are of runs, not of means. The inputs do not matter to
// the speed of a dense model but must be valid: small token ids, masks of ones.
//
//===--------------------------------------------------------------------------===//

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "lib/run/Flags.h"
#include "lib/run/Memory.h"
#include "lib/run/Module.h"
#include "tools/sq-bench/Roofline.h"

using namespace sq;

namespace {

const std::vector<Flag> flagTable = {
    {"dim", "NAME=N[,N...]",
     "the size of a symbolic dim; of a dim without a name: INPUT:AXIS=N. A list\n"
     "makes a row per combination", true},
    {"threads", "N[,N...]",
     "thread counts (default: all that affinity and cgroup allow); a device has\n"
     "no such choice"},
    {"min-time", "TIME", "measure at least so long per row: 500ms, 2s (default: 1s)"},
    {"warmup", "N", "runs before measuring (default: 2)"},
    {"per-kernel", nullptr,
     "also what each kernel takes, in a second, profiled span of min-time, beside\n"
     "what this machine can do, which is measured too"},
    {"cpu", "LEVEL", "use no more than this CPU level (default: SQ_CPU, else the best one)"},
    {"device", "cpu|cuda[:N]|auto", kDeviceHelp},
    {"cuda-graphs", "N", kCudaGraphsHelp},
    {"json", nullptr,
     "an object a line: shape, threads, median_ms, min_ms, p90_ms, items/s, tokens/s,\n"
     "peak_memory_mib, on a device also device and device_memory_mib; with --per-kernel\n"
     "also machine (threads, level, gflop/s, read_gb/s, triad_gb/s) and kernels, a list\n"
     "of launches: name, calls, ms, percent, flops, bytes_read, bytes_written, gflop/s,\n"
     "percent_of_peak, gb/s, percent_of_bandwidth, nodes (null: unknown)"},
};

constexpr const char *usageText =
    "Measures the speed of a model compiled by sq-compile.\n\n"
    "Usage: sq-bench ARTIFACT --dim=NAME=N ... [flags]\n\n"
    "  sq-bench minilm.so --dim=batch=1,8 --dim=sequence=128 --threads=1,2\n\n"
    "Inputs are made up with a fixed seed: integers below 100, ones where the name\n"
    "contains 'mask', zeros where it contains 'type', floats in [-1, 1]. items/s counts\n"
    "the first dim of the first input, tokens/s the elements of the first integer input\n"
    "of rank 2. Peak memory is the largest resident size while the row was measured,\n"
    "mapped weights included.\n\n"
    "Per kernel: calls and median ms per run, kernels of equal work in one row; floating-point\n"
    "operations (a multiply-add is two) per second and as a share of the machine's\n"
    "multiply-adds from registers; bytes, every operand counted once, per second and as a\n"
    "share of the memory's bandwidth (more than 100 %: from a cache); the ONNX nodes.\n"
    "On a device times include the copies of inputs and outputs, kernels are timed by the\n"
    "device, and what it could do is not measured: shares are left out.\n\n"
    "Exit codes: 0 done; 1 the artifact or a shape was refused; 2 usage; 3 the machine\n"
    "lacks something; 70 a defect of sq.\n";

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

/// Values of one dim, in the order of the command line.
struct Sweep {
  std::string name;
  std::vector<int64_t> sizes;
};

Status parseSweeps(const Flags &flags, const Module &module, std::vector<Sweep> &sweeps) {
  for (const std::string &text : flags.all("dim")) {
    size_t equal = text.rfind('=');
    Sweep sweep;
    sweep.name = text.substr(0, equal);
    for (const std::string &part :
         split(equal == std::string::npos ? "" : text.substr(equal + 1), ',')) {
      int64_t size;
      if (!parseInteger(part, 0, INT64_MAX, size))
        return Status::usage("--dim=" + text + ": expected NAME=N or NAME=N,N,...");
      sweep.sizes.push_back(size);
    }
    for (const Sweep &other : sweeps)
      if (other.name == sweep.name)
        return Status::usage("--dim=" + sweep.name + " is given twice; use a list: --dim=" +
                             sweep.name + "=1,8");
    sweeps.push_back(std::move(sweep));
  }
  auto isGiven = [&](const std::string &name) {
    return std::any_of(sweeps.begin(), sweeps.end(), [&](const Sweep &s) { return s.name == name; });
  };
  // Both ways: a typing error shows as an unknown and a missing name.
  std::vector<std::string> known;
  for (const Port &port : module.inputs())
    for (size_t axis = 0; axis < port.dims.size(); ++axis) {
      std::string name = port.dimName(axis);
      known.push_back(name);
      if (port.dims[axis].min != port.dims[axis].max && !isGiven(name))
        return Status::usage("no --dim=" + name + "=N; the artifact has\n" + module.signature());
    }
  for (const Sweep &sweep : sweeps)
    if (std::find(known.begin(), known.end(), sweep.name) == known.end())
      return Status::usage("--dim=" + sweep.name + ": no such dim; the artifact has\n" +
                           module.signature());
  return {};
}

/// "1s", "500ms", "0.5s"; a bare number is seconds.
Status parseTime(const std::string &text, double &seconds) {
  char *end = nullptr;
  seconds = std::strtod(text.c_str(), &end);
  bool milli = std::strcmp(end, "ms") == 0;
  if (end == text.c_str() || !(milli || !*end || std::strcmp(end, "s") == 0) || !(seconds > 0) ||
      seconds > 86400)
    return Status::usage("--min-time=" + text + ": expected a time like 500ms or 2s");
  seconds *= milli ? 1e-3 : 1;
  return {};
}

/// SplitMix64 (Steele et al. 2014): enough for made-up inputs, same everywhere.
struct Random {
  uint64_t state = 1;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
};

bool contains(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

void fill(const Port &port, Random &random, Tensor &tensor) {
  for (int64_t i = 0, e = tensor.numElements(); i < e; ++i) {
    uint64_t bits = random.next();
    if (contains(port.name, "mask"))
      tensor.setInt(i, 1);
    else if (contains(port.name, "type"))
      tensor.setInt(i, 0);
    else if (isFloat(port.dtype))
      tensor.setDouble(i, 2 * std::ldexp(bits >> 11, -53) - 1);
    else
      tensor.setInt(i, bits % (port.dtype == DType::bool8 ? 2 : 100));
  }
}

/// Sorts `times`.
double median(std::vector<double> &times) {
  std::sort(times.begin(), times.end());
  size_t n = times.size();
  return n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
}

struct Row {
  std::string shape;
  int threads = 0;
  double median = 0, min = 0, p90 = 0; // seconds
  int64_t items = 1, tokens = -1;
  int64_t peakKiB = -1, deviceBytes = -1;
  std::vector<KernelRow> kernels; // launches, in the schedule's order
  double flops = 0;               // Machine::flops between the runs that were profiled
};

/// Seconds between measurements of Row::flops, which take a tenth of a millisecond.
constexpr double kProbeEvery = 0.002;

class Bench {
public:
  explicit Bench(const Flags &flags) : flags(flags) {}

  Status execute() {
    int64_t warmupRuns = 2;
    if (Status s = parseTime(flags.get("min-time", "1s"), minTime); !s.ok())
      return s;
    if (Status s = flags.integer("warmup", 0, 1000000, warmupRuns); !s.ok())
      return s;
    warmup = warmupRuns;
    std::vector<int> threadCounts;
    if (!flags.has("threads"))
      threadCounts.push_back(0);
    else
      for (const std::string &part : split(flags.get("threads"), ',')) {
        int64_t count;
        if (!parseInteger(part, 1, 1024, count))
          return Status::usage("--threads=" + flags.get("threads") + ": expected N or N,N,...");
        threadCounts.push_back(static_cast<int>(count));
      }
    if (Status s = flags.integer("cuda-graphs", 0, kMaxCudaGraphs, cudaGraphs); !s.ok())
      return s;
    RunOptions options;
    options.cpu = flags.get("cpu");
    if (Status s = parseDevice(flags, options.device); !s.ok())
      return s;
    if (Status s = module.load(flags.positional()[0].c_str(), options); !s.ok())
      return s;
    if (module.onDevice())
      threadCounts = {0};
    if (Status s = parseSweeps(flags, module, sweeps); !s.ok())
      return s;

    if (!flags.has("json"))
      std::printf("%-28s %7s %11s %11s %11s %11s %11s %12s\n", "shape", "threads", "median_ms",
                  "min_ms", "p90_ms", "items/s", "tokens/s", "peak memory");
    // The last dim of the command line varies fastest, like an odometer.
    std::vector<size_t> choice(sweeps.size());
    for (;;) {
      for (int threads : threadCounts)
        if (Status s = measure(choice, threads); !s.ok())
          return s;
      size_t at = sweeps.size();
      while (at-- > 0 && ++choice[at] == sweeps[at].sizes.size())
        choice[at] = 0;
      if (at == SIZE_MAX)
        return {};
    }
  }

private:
  int64_t sizeOf(const Port &port, size_t axis, const std::vector<size_t> &choice) const {
    std::string name = port.dimName(axis);
    for (size_t i = 0; i < sweeps.size(); ++i)
      if (sweeps[i].name == name)
        return sweeps[i].sizes[choice[i]];
    return port.dims[axis].min;
  }

  Status measure(const std::vector<size_t> &choice, int threads) {
    Row row;
    for (size_t i = 0; i < sweeps.size(); ++i)
      row.shape += (i ? "," : "") + sweeps[i].name + "=" +
                   std::to_string(sweeps[i].sizes[choice[i]]);
    resetPeak();
    const std::vector<Port> &ports = module.inputs();
    std::vector<Tensor> inputs(ports.size());
    Random random;
    for (size_t i = 0; i < ports.size(); ++i) {
      std::vector<int64_t> shape;
      for (size_t axis = 0; axis < ports[i].dims.size(); ++axis)
        shape.push_back(sizeOf(ports[i], axis, choice));
      if (i == 0 && !shape.empty())
        row.items = shape[0];
      if (Status s = inputs[i].allocate(ports[i].dtype, std::move(shape)); !s.ok())
        return s;
      if (row.tokens < 0 && isInteger(ports[i].dtype) && ports[i].dims.size() == 2)
        row.tokens = inputs[i].numElements();
      fill(ports[i], random, inputs[i]);
    }
    Session session;
    if (Status s = session.create(module, threads, static_cast<int>(cudaGraphs)); !s.ok())
      return s;
    session.bind(inputs);
    for (int64_t i = 0; i < warmup; ++i)
      if (Status s = session.run(); !s.ok())
        return s;
    sq_session_stats stats;
    if (Status s = session.stats(stats); !s.ok())
      return s;
    row.threads = stats.threads;
    if (module.onDevice())
      row.deviceBytes = stats.device_bytes + sq_module_weight_bytes(module.get());

    std::vector<double> times;
    if (Status s = runFor(session, times); !s.ok())
      return s;
    row.median = median(times);
    row.min = times[0];
    size_t n = times.size();
    row.p90 = times[(9 * n + 9) / 10 - 1]; // nearest rank
    row.peakKiB = peakKiB();
    if (flags.has("per-kernel"))
      if (Status s = profile(session, inputs, row); !s.ok())
        return s;
    flags.has("json") ? printJson(row) : printRow(row);
    std::fflush(stdout);
    return {};
  }

  /// Times single runs until minTime is over.
  Status runFor(Session &session, std::vector<double> &times) {
    double start = now(), last = start;
    do {
      if (Status s = session.run(); !s.ok())
        return s;
      double t = now();
      times.push_back(t - last);
      last = t;
    } while (last - start < minTime);
    return {};
  }

  /// Medians, as in the row itself: what disturbs a run now and then is not the kernel's. Now and then multiply-adds from
  /// registers are timed, as the clock depends on what ran before.
  Status profile(Session &session, const std::vector<Tensor> &inputs, Row &row) {
    if (Status s = fromRuntime(sq_session_set_profiling(session.get(), 1)); !s.ok())
      return s;
    std::vector<Kernel> described = kernelsFor(module, inputs, row.threads);
    std::vector<std::vector<double>> times(described.size());
    std::vector<double> calls(described.size());
    std::vector<double> flops;
    double start = now(), probed = 0;
    do {
      const sq_kernel_time *kernels;
      int32_t count;
      if (Status s = session.run(); !s.ok())
        return s;
      if (Status s = fromRuntime(sq_session_kernel_times(session.get(), &kernels, &count)); !s.ok())
        return s;
      for (int32_t i = 0; i < count; ++i) {
        times[i].push_back(kernels[i].seconds);
        calls[i] += kernels[i].calls;
      }
      if (!module.onDevice() && now() - probed > kProbeEvery) {
        // The session's threads spin for a while after a run, where others are to be measured.
        flops.push_back(measureFlops(sq_module_cpu_level(module.get()), row.threads, row.threads > 1 ? 8 : 1));
        probed = now();
      }
    } while (now() - start < minTime);
    for (size_t i = 0; i < described.size(); ++i)
      if (calls[i])
        row.kernels.push_back({std::move(described[i]), calls[i] / times[i].size(), median(times[i]), 1});
    if (!flops.empty())
      row.flops = median(flops);
    return {};
  }

  /// The peaks for the row's threads; bandwidths are measured once.
  Machine machineFor(const Row &row) {
    if (module.onDevice())
      return {};
    auto known = std::find_if(machines.begin(), machines.end(), [&](const Machine &m) { return m.threads == row.threads; });
    Machine machine = known != machines.end()
                          ? *known
                          : machines.emplace_back(measureMachine(sq_module_cpu_level(module.get()), row.threads));
    if (row.flops > 0)
      machine.flops = row.flops;
    return machine;
  }

  /// The CPU level, or on a device which one it is.
  std::string levelName() const {
    return module.onDevice() ? sq_module_device(module.get()) : sq_module_cpu_level(module.get());
  }

  void printRow(const Row &row) {
    char tokens[32] = "-", peak[32] = "-";
    if (row.tokens >= 0)
      std::snprintf(tokens, sizeof tokens, "%.1f", row.tokens / row.median);
    if (row.peakKiB >= 0)
      std::snprintf(peak, sizeof peak, "%.1f MiB", row.peakKiB / 1024.0);
    std::printf("%-28s %7d %11.5g %11.5g %11.5g %11.1f %11s %12s\n",
                row.shape.empty() ? "fixed" : row.shape.c_str(), row.threads, 1e3 * row.median,
                1e3 * row.min, 1e3 * row.p90, row.items / row.median, tokens, peak);
    if (flags.has("per-kernel"))
      printRoofline(groupAlike(row.kernels), machineFor(row), levelName());
  }

  void printJson(const Row &row) {
    std::printf("{\"shape\": %s, \"threads\": %d, ", quoted(row.shape).c_str(), row.threads);
    if (module.onDevice())
      std::printf("\"device\": %s, ", quoted(std::string(sq_module_device(module.get()))).c_str());
    std::printf("\"median_ms\": %.6g, \"min_ms\": %.6g, \"p90_ms\": %.6g, \"items/s\": %.6g",
                1e3 * row.median, 1e3 * row.min,
                1e3 * row.p90, row.items / row.median);
    row.tokens >= 0 ? std::printf(", \"tokens/s\": %.6g", row.tokens / row.median)
                    : std::printf(", \"tokens/s\": null");
    row.peakKiB >= 0 ? std::printf(", \"peak_memory_mib\": %.6g", row.peakKiB / 1024.0)
                     : std::printf(", \"peak_memory_mib\": null");
    if (row.deviceBytes >= 0)
      std::printf(", \"device_memory_mib\": %.6g", row.deviceBytes / 1048576.0);
    if (flags.has("per-kernel")) {
      std::printf(", ");
      printRooflineJson(row.kernels, machineFor(row), levelName());
    }
    std::printf("}\n");
  }

  const Flags &flags;
  Module module;
  std::vector<Sweep> sweeps;
  std::vector<Machine> machines;
  double minTime = 1;
  int64_t warmup = 2, cudaGraphs = 0;
};

} // namespace

int main(int argc, char **argv) {
  Flags flags(flagTable);
  int code;
  if (flags.start("sq-bench", usageText, argc, argv, code))
    return code;
  if (flags.positional().size() != 1)
    return report("sq-bench", Status::usage("expected one artifact; --help explains"));
  return report("sq-bench", Bench(flags).execute());
}
