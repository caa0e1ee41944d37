#include "tools/sq-compile/Targets.h"

#include <cmath>

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/driver/CompileCache.h"

using namespace llvm;

TargetFlags::TargetFlags(cl::OptionCategory &category)
    : size("target-size", cl::cat(category), cl::value_desc("BYTES"),
           cl::desc(
               "sq chooses for each linear layer between f32, int8 and tables "
               "of 4, 3 and 2 bits, without and with outliers, so that "
               "the output changes least (an integer program) and the "
               "artifact's weights, those that are no choice included, take "
               "no more than that: bytes, or a number with KB, MB, GB (of "
               "1000), KiB, MiB, GiB (of 1024). Needs --calib=DIR, samples "
               "on which every layer is run with few bits, which takes a "
               "while; --emit-losses keeps what that finds. Several budgets "
               "may be given. --emit-plan writes the plan, --report shows it "
               "with the best plans for other budgets")),
      bpw("target-bpw", cl::cat(category), cl::value_desc("BITS"),
          cl::desc("the same for bits a weight of the linear layers, as the "
                   "report counts them (codes, tables, scales, sparse part)")),
      bops(
          "target-bops", cl::cat(category), cl::value_desc("OPS"),
          cl::desc("the same for bit operations: multiplications times both "
                   "widths, a number with K, M, G or T; attention counts as in "
                   "float. Of a run of 1 x 128, or of --dim")),
      latency(
          "target-latency", cl::cat(category), cl::value_desc("MS"),
          cl::desc("the same for milliseconds of a run with one thread on this "
                   "machine, where each kind of layer is timed (which no "
                   "plan repeats exactly); needs --dim")),
      dims("dim", cl::CommaSeparated, cl::cat(category),
           cl::value_desc("NAME=N"),
           cl::desc("with --target-bops and --target-latency: the size of a "
                    "symbolic dimension (batch=1)")),
      data("target-data", cl::cat(category), cl::value_desc("DIR"),
           cl::desc("with budgets: the samples that losses are measured on "
                    "(default: those of --calib)")),
      losses("losses", cl::cat(category), cl::value_desc("FILE"),
             cl::desc("with budgets: expected losses that --emit-losses wrote, "
                      "instead of measuring them")),
      emitLosses("emit-losses", cl::cat(category), cl::value_desc("FILE"),
                 cl::desc("with budgets: write the expected loss of each layer "
                          "and choice, as JSON")),
      loss("target-loss", cl::init("auto"), cl::cat(category),
           cl::value_desc("auto|kl|squares"),
           cl::desc("with budgets: what few bits are to change least: kl, the "
                    "divergence from the float model's softmax; squares, the "
                    "relative squared difference; auto (default): kl for an "
                    "output whose name has \"logits\" in it")),
      control("target-control", cl::cat(category), cl::Hidden,
              cl::value_desc("reversed|shuffled:SEED"),
              cl::desc("for comparisons: the plan for other sensitivities than "
                       "the layers have")),
      samples(
          "target-samples", cl::init(256), cl::cat(category),
          cl::value_desc("N"),
          cl::desc("with budgets: samples that losses are measured by, and as "
                   "many others that plans are compared by (default: 256; "
                   "fewer when they have more than 4096 rows or are more than "
                   "two thirds of the data)")) {}

bool TargetFlags::isAny() const {
  return any_of(
      std::initializer_list<const cl::Option *>{&size, &bpw, &bops, &latency},
      [](const cl::Option *option) { return option->getNumOccurrences() > 0; });
}

namespace {
struct Unit {
  StringRef name;
  double factor;
};
} // namespace

/// A number above 0 with one of `units` behind it, the longest that fits, or
/// none; false for anything else.
static bool parseNumber(StringRef text, ArrayRef<Unit> units, double &value) {
  double factor = 1;
  for (const Unit &unit : units)
    if (text.consume_back_insensitive(unit.name)) {
      factor = unit.factor;
      break;
    }
  text = text.rtrim();
  if (text.empty() || !isDigit(text.back()) || text.getAsDouble(value))
    return false;
  value *= factor;
  return std::isfinite(value) && value > 0;
}

std::string TargetFlags::parse(sq::BitTargets &targets) const {
  static constexpr Unit kBytes[] = {
      {"kib", 1024.}, {"mib", 1048576.}, {"gib", 1073741824.},
      {"kb", 1e3},    {"mb", 1e6},       {"gb", 1e9},
      {"b", 1}};
  static constexpr Unit kOps[] = {
      {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}};
  static constexpr Unit kTime[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
  if (!isAny()) {
    for (const cl::Option *option : std::initializer_list<const cl::Option *>{
             std::addressof(dims), &data, &losses, &emitLosses, &loss, &control,
             &samples})
      if (option->getNumOccurrences())
        return ("--" + option->ArgStr +
                " is for budgets: --target-size, --target-bpw, --target-bops, "
                "--target-latency")
            .str();
    return "";
  }
  auto read = [](const cl::opt<std::string> &flag, ArrayRef<Unit> units,
                 std::optional<double> &to) {
    double value = 0;
    if (!flag.getNumOccurrences())
      return true;
    bool isRead = parseNumber(flag.getValue(), units, value);
    if (isRead)
      to = value;
    return isRead;
  };
  if (!read(size, kBytes, targets.bytes))
    return "--target-size=" + size +
           " is no size above 0; give bytes, or a number with KB, MB, GB, KiB, "
           "MiB or GiB";
  if (!read(bpw, {}, targets.bitsPerWeight))
    return "--target-bpw=" + bpw + " is no number of bits above 0";
  if (!read(bops, kOps, targets.bops))
    return "--target-bops=" + bops +
           " is no number of operations above 0; K, M, G and T may stand "
           "behind it";
  if (!read(latency, kTime, targets.seconds))
    return "--target-latency=" + latency +
           " is no time above 0; give milliseconds";
  if (targets.seconds && isDigit(latency.getValue().back()))
    *targets.seconds *= 1e-3;
  for (const std::string &dim : dims) {
    auto [name, number] = StringRef(dim).split('=');
    int64_t value = 0;
    if (name.empty() || number.getAsInteger(10, value) || value < 1)
      return "--dim=" + dim + " is not NAME=N with N from 1 on";
    if (!targets.dims.try_emplace(name.str(), value).second)
      return "--dim gives '" + name.str() + "' twice";
  }
  if (!dims.empty() && !targets.bops && !targets.seconds)
    return "--dim is for --target-bops and --target-latency";
  if (loss != "auto" && loss != "kl" && loss != "squares")
    return "--target-loss=" + loss + " is not known; auto, kl or squares";
  StringRef seed = control;
  uint64_t number = 0;
  if (!control.empty() && control != "reversed" &&
      (!seed.consume_front("shuffled:") || seed.getAsInteger(10, number)))
    return "--target-control=" + control +
           " is not known; reversed or shuffled:SEED";
  if (samples < 1)
    return "--target-samples=" + std::to_string(samples) + " are too few";
  targets.losses = losses;
  targets.emitLosses = emitLosses;
  targets.control = control;
  return "";
}

void bringMeasurements(const std::string &model, const std::string &data,
                       const TargetFlags &flags,
                       const sq::MeasureOptions &measure,
                       sq::probe::Probe &probe, sq::CompileOptions &options) {
  sq::probe::ProbeOptions opened;
  opened.model = model;
  opened.data = data;
  opened.compile = options;
  opened.compile.targets = {};
  for (std::string *unwanted : {&opened.compile.output, &opened.compile.emit,
                                &opened.compile.plan, &opened.compile.emitPlan})
    unwanted->clear();
  opened.compile.reports.clear();
  opened.compile.progress = nullptr;
  // Of the programs that are measured few kernels and layers are new, and of
  // the one that comes out of it no layers. Its kernels are to know each other.
  auto layers = std::make_shared<sq::CompressedLayers>();
  opened.compile.cache = std::make_shared<sq::CompileCache>(
      sq::CompileCache{std::make_shared<sq::KernelCache>(), layers});
  options.cache =
      std::make_shared<sq::CompileCache>(sq::CompileCache{nullptr, layers});
  opened.loss = flags.loss == "kl"        ? sq::probe::Loss::Kl
                : flags.loss == "squares" ? sq::probe::Loss::Squares
                                          : sq::probe::Loss::Auto;
  opened.samples = flags.samples;
  opened.threads = options.threads;
  auto resultOf = [](const sq::Status &status) {
    sq::CompileResult result;
    result.code = status.code;
    result.message = status.message;
    return result;
  };
  auto openOnce = [opened, &probe] {
    return probe.isOpen() ? sq::Status() : probe.open(opened);
  };
  options.targets.probe = [openOnce, resultOf,
                           &probe](const std::vector<std::string> &plans,
                                   const std::function<void(size_t)> &starts,
                                   std::vector<double> &losses,
                                   std::string &metric) {
    if (sq::Status status = openOnce(); !status.ok())
      return resultOf(status);
    metric = probe.metric();
    return resultOf(probe.measure(plans, starts, losses));
  };
  if (!data.empty())
    options.targets.compare =
        [openOnce, resultOf, &probe](const std::vector<std::string> &plans,
                                     const std::function<void(size_t)> &starts,
                                     std::vector<std::vector<double>> &losses) {
          if (sq::Status status = openOnce(); !status.ok())
            return resultOf(status);
          return resultOf(probe.measureHeldBack(plans, starts, losses));
        };
  std::map<std::string, int64_t> dims = options.targets.dims;
  std::string activations = options.activations;
  options.targets.time = [model, dims, activations, measure](
                             const std::vector<sq::LayerToTime> &layers,
                             std::vector<double> &seconds, double &whole) {
    if (sq::CompileResult r = sq::measureModel(model, dims, measure, whole);
        r.code != sq::ExitCode::Done)
      return r;
    return sq::measureFormats(layers, measure, activations, seconds);
  };
}
