#include "lib/driver/BitChoices.h"

#include <cmath>

#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/assign/Costs.h"
#include "lib/quantization/StoredSize.h"
#include "lib/quantization/WeightScheme.h"
#include "lib/support/SizeText.h"
#include "passes/LayerPrecision.h"
#include "passes/Passes.h"
#include "passes/analysis/SymbolicSize.h"

using namespace mlir;
using namespace sq;

static constexpr StringRef kTables[] = {"lut4", "lut3", "lut2"};

static CompileResult refused(const llvm::Twine &message) {
  CompileResult result;
  result.code = ExitCode::Refused;
  result.message = message.str();
  return result;
}

static LayerFormat formatOf(StringRef text) {
  LayerFormat format;
  (void)parseFormat(text, format); // of texts that are known to be formats
  return format;
}

static std::string plural(size_t count, StringRef what) {
  return llvm::formatv("{0} {1}{2}", count, what, count == 1 ? "" : "s");
}

//===-- Sizes of a run
//-----------------------------------------------------===//

RunSizes::RunSizes(func::FuncOp main,
                   const std::map<std::string, int64_t> &dims)
    : main(main) {
  std::map<std::string, int64_t> left = dims;
  for (BlockArgument arg : main.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    SymbolicSizes symbols;
    for (int64_t d = 0; type && d < type.getRank(); ++d) {
      if (!type.isDynamicDim(d))
        continue;
      std::string name = symbols.extent(arg, d).text();
      StringRef plain(name); // as users call it
      if (plain.consume_front("'"))
        plain.consume_back("'");
      constexpr double kFirst = 1, kOther = 128;
      auto [place, isNew] =
          sizes.try_emplace(plain.str(), d == 0 ? kFirst : kOther);
      auto given = dims.find(plain.str());
      left.erase(plain.str());
      if (given != dims.end())
        place->second = double(given->second);
      else if (isNew)
        unsaid.push_back(plain.str());
    }
  }
  for (const auto &[name, size] : left)
    unknown.push_back(name);
}

std::optional<double> RunSizes::evaluate(const std::string &formula) const {
  double value = 0;
  bool isKnown = evaluateSize(
      formula,
      [&](const std::string &name, double &size) {
        auto it = sizes.find(name);
        if (it != sizes.end())
          size = it->second;
        return it != sizes.end();
      },
      value);
  return isKnown ? std::optional(value) : std::nullopt;
}

int64_t RunSizes::rows(LinearOp op) {
  SymbolicSizes symbols;
  SymbolicSize product = 1;
  for (int64_t d = 0,
               last = cast<RankedTensorType>(op.getX().getType()).getRank() - 1;
       d < last; ++d)
    product *= symbols.extent(op.getX(), d);
  // What depends on data has the size that the report takes for it.
  for (const auto &[layer, decision] : linearLayers(main))
    if (layer == op)
      return int64_t(
          evaluate(product.text()).value_or(double(decision.shape.rows)));
  return 1;
}

double RunSizes::attention() {
  double sum = 0;
  SymbolicSizes symbols;
  main.walk([&](AttentionOp op) {
    SymbolicSize queries =
        symbols.extent(op.getQ(), 0) * symbols.extent(op.getQ(), 1);
    auto q = evaluate(queries.text()),
         keys = evaluate(symbols.extent(op.getK(), 1).text());
    auto type = cast<ShapedType>(op.getQ().getType());
    if (q && keys && !type.isDynamicDim(2) && !type.isDynamicDim(3))
      sum += assign::attentionMultiplications(
          int64_t(*q), int64_t(*keys), type.getDimSize(2) * type.getDimSize(3));
  });
  return sum;
}

//===-- Losses
//-------------------------------------------------------------===//

std::vector<std::string> sq::knownChoices(const CompileOptions &options) {
  std::vector<std::string> names{"f32", "bf16"};
  if (options.activations != "f32")
    names.insert(names.end(), {"int8", "int6"});
  double share = 0;
  (void)parseShare(options.targets.outliers, share);
  for (StringRef table : kTables) {
    names.push_back(table.str());
    if (share > 0) {
      LayerFormat format = formatOf(table);
      format.outliers = share;
      names.push_back(format.text());
    }
  }
  return names;
}

/// Of the result, as a share of its power, when weights and inputs are rounded
/// to 8 significant bits: of each factor 2^-14 / 12 for numbers in [1, 2), whose
/// mean square is 7 / 3.
static constexpr double kBf16Error = 2 * 0x1p-14 / 12 / (7.0 / 3);

/// Relative errors of the result of each layer that can be `choice`.
static CompileResult errorsOf(ModuleOp module, const CompileOptions &options,
                              const std::string &choice,
                              llvm::StringMap<double> &errors) {
  if (choice == "bf16") {
    auto main = *module.getOps<func::FuncOp>().begin();
    for (auto &[op, layer] : linearLayers(main))
      if (matchPattern(op.getWeight(), m_Constant()) &&
          getElementTypeOrSelf(op.getWeight()).isF32())
        errors[layer.name] = kBf16Error;
    return {};
  }
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(module->clone());
  auto main = *copy->getOps<func::FuncOp>().begin();
  setPlan(main, "* = " + choice + "\n");
  std::string text;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &d) {
    if (d.getSeverity() == DiagnosticSeverity::Error)
      text += (text.empty() ? "" : "\n") + d.str();
    return success(); // why a layer stays in float is said when its plan is
                      // carried out
  });
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  const LayerPrecision precision = formatOf(choice).precision;
  const bool inBytes = isInteger(precision);
  if (inBytes) {
    QuantizePassOptions pass;
    pass.stats = options.stats;
    pass.rounding = options.rounding;
    pass.mixed = true;
    pass.attention = false;
    pm.addNestedPass<func::FuncOp>(createQuantizePass(pass));
  } else {
    CompressWeightsPassOptions pass;
    pass.stats = options.stats;
    pass.sensitivity = options.sensitivity;
    pass.tables = options.tables;
    pass.rounding = options.rounding;
    pass.threads = options.threads;
    pass.mixed = true;
    pass.embeddings = false;
    pass.rounds = 1; // how layers compare does not change by more of them
    pm.addNestedPass<func::FuncOp>(createCompressWeightsPass(pass));
  }
  if (failed(pm.run(*copy)))
    return refused(text);
  for (const LayerDecision &layer : layerDecisions(main))
    if (inBytes ? layer.precision == precision && !layer.isGiven
                : layer.compressed.has_value())
      errors[layer.name] =
          inBytes ? (layer.sqnr ? std::pow(10, -*layer.sqnr / 10) : 0)
                           : layer.compressed->error;
  return {};
}

/// Losses of the choices that were not probed: as much more or less than that of
/// the probe with the nearest error as their `errors` are. (Over a wide range
/// that does not hold: 2 bits in a late layer do twice the harm that its error
/// with 3 bits says.)
static void fillLosses(const std::map<std::string, double> &errors,
                       std::map<std::string, double> &losses) {
  const std::map<std::string, double> probed = losses;
  auto distance = [](double a, double b) {
    return a > 0 && b > 0 ? std::abs(std::log(a / b)) : HUGE_VAL;
  };
  for (const auto &[choice, error] : errors) {
    if (probed.count(choice))
      continue;
    auto nearest = llvm::min_element(
        probed, [&, error = error](const auto &a, const auto &b) {
          return distance(errors.at(a.first), error) <
                 distance(errors.at(b.first), error);
        });
    double known = errors.at(nearest->first);
    losses[choice] = known > 0 ? nearest->second * error / known : nearest->second;
  }
}

/// Losses add up only as long as they are small: those of each choice are made to
/// sum to what all layers in it do together.
static CompileResult
scaleToWhole(const std::vector<std::string> &choices,
             const CompileOptions &options,
             function_ref<void(const std::string &, size_t, size_t)> progress,
             assign::LossFile &losses) {
  std::vector<std::string> known, plans;
  std::vector<double> sums, found;
  for (const std::string &choice : choices) {
    double sum = 0;
    for (const assign::LayerLosses &layer : losses.layers)
      if (auto it = layer.losses.find(choice); it != layer.losses.end())
        sum += it->second;
    if (!(sum > 0))
      continue;
    known.push_back(choice);
    plans.push_back("* = " + choice + "\n");
    sums.push_back(sum);
  }
  if (plans.empty())
    return {};
  auto starts = [&](size_t i) {
    progress("loss with all layers as " + known[i], i, plans.size());
  };
  if (CompileResult r =
          options.targets.probe(plans, starts, found, losses.metric);
      r.code != ExitCode::Done)
    return r;
  for (auto [choice, sum, together] : llvm::zip(known, sums, found)) {
    if (!(together > 0))
      continue;
    for (assign::LayerLosses &layer : losses.layers)
      if (auto it = layer.losses.find(choice); it != layer.losses.end())
        it->second *= together / sum;
  }
  return {};
}

CompileResult sq::measureLosses(ModuleOp module, const CompileOptions &options,
                                assign::LossFile &losses) {
  auto layers = linearLayers(*module.getOps<func::FuncOp>().begin());
  std::vector<std::string> choices = knownChoices(options);
  auto progress = [&](const std::string &what, size_t index, size_t count) {
    if (options.targets.progress)
      options.targets.progress(what, index, count);
  };
  std::vector<std::map<std::string, double>> errors(layers.size()); // by choice
  for (auto [i, choice] : llvm::enumerate(choices)) {
    progress("errors of " + choice, i, choices.size());
    if (choice == "f32")
      continue;
    llvm::StringMap<double> found;
    if (CompileResult r = errorsOf(module, options, choice, found);
        r.code != ExitCode::Done)
      return r;
    for (auto [layer, all] : llvm::zip(layers, errors))
      if (auto it = found.find(layer.second.name); it != found.end())
        all[choice] = it->second;
  }
  std::vector<std::pair<size_t, std::string>> probed; // layers and choices
  std::vector<std::string> plans;
  std::vector<double> found;
  for (auto [i, layer, all] : llvm::enumerate(layers, errors)) {
    const std::string &name = layer.second.name;
    losses.layers.emplace_back().name = name;
    for (StringRef table : kTables)
      if (all.count(table.str())) {
        probed.emplace_back(i, table);
        plans.push_back("* = f32\n" + planLine(name, formatOf(table), ""));
      }
  }
  auto starts = [&](size_t at) {
    auto &[i, table] = probed[at];
    progress("loss with " + losses.layers[i].name + " as " + table, i,
             layers.size());
  };
  if (!plans.empty())
    if (CompileResult r =
            options.targets.probe(plans, starts, found, losses.metric);
        r.code != ExitCode::Done)
      return r;
  for (auto [place, loss] : llvm::zip(probed, found))
    losses.layers[place.first].losses[place.second] = loss;
  for (auto [layer, all] : llvm::zip(losses.layers, errors))
    if (!layer.losses.empty())
      fillLosses(all, layer.losses);
  return scaleToWhole(choices, options, progress, losses);
}

//===-- Costs
//--------------------------------------------------------------===//

/// Seconds of all choices, and of the rest of the model.
static CompileResult timeLayers(const CompileOptions &options,
                                ArrayRef<LayerShape> shapes,
                                std::vector<assign::Layer> &layers,
                                double &otherSeconds) {
  std::vector<LayerToTime> wanted;
  auto find = [&](const LayerToTime &one) {
    return llvm::find_if(wanted, [&](const LayerToTime &other) {
      return other.shape == one.shape && other.format == one.format;
    });
  };
  for (auto [shape, layer] : llvm::zip(shapes, layers)) {
    wanted.push_back({shape, "f32"}); // for the rest
    for (const assign::Choice &choice : layer.choices)
      if (LayerToTime one{shape, choice.name}; find(one) == wanted.end())
        wanted.push_back(one);
  }
  std::vector<double> seconds;
  double model = 0;
  if (CompileResult r = options.targets.time(wanted, seconds, model);
      r.code != ExitCode::Done)
    return r;
  otherSeconds = model;
  for (auto [shape, layer] : llvm::zip(shapes, layers)) {
    otherSeconds -= seconds[find({shape, "f32"}) - wanted.begin()];
    for (assign::Choice &choice : layer.choices)
      choice.cost(assign::Cost::Seconds) =
          seconds[find({shape, choice.name}) - wanted.begin()];
  }
  otherSeconds = std::max(otherSeconds, 0.0);
  return {};
}

/// `text` as a choice, without loss and time.
static assign::Choice choiceOf(StringRef text, const LayerShape &shape,
                               const StorageOptions &storage) {
  LayerFormat format = formatOf(text);
  assign::Choice choice;
  choice.name = text.str();
  choice.weightBits = precisionBits(format.precision);
  bool inBytes =
      isInteger(format.precision) ||
      (isOfWeights(format.precision) &&
       WeightScheme{format.precision}.isTable() && storage.byteActivations);
  choice.activationBits =
      inBytes ? 8 : format.precision == LayerPrecision::Bf16 ? 16 : 32;
  StoredSize size = storedSize(format, shape.n, shape.k, storage);
  choice.cost(assign::Cost::Bytes) = size.bytes;
  choice.cost(assign::Cost::Counted) = size.counted;
  double multiplications = double(shape.rows) * shape.k * shape.n,
         share = format.outliers.value_or(0) / 100;
  choice.cost(assign::Cost::Bops) =
      assign::bitOperations(multiplications, choice.weightBits,
                            choice.activationBits) +
      assign::bitOperations(multiplications * share, 16, 32); // by x as it is
  // More bits first, where equal ones are compared.
  choice.weightBits += 16 * share;
  return choice;
}

CompileResult sq::makeLayers(func::FuncOp main, const CompileOptions &options,
                             const assign::LossFile &losses, RunSizes &sizes,
                             LayerChoices &result) {
  auto found = linearLayers(main);
  PrecisionPolicy policy;
  if (Status status =
          policy.readPlan(main, options.plan, found, PlanUse::Mixed);
      !status.ok())
    return refused(status.message);
  std::vector<LayerShape> shapes;
  StorageOptions storage{options.tables, options.activations != "f32"};
  llvm::StringMap<int> uses; // of a weight
  for (auto &[op, decision] : found)
    if (!decision.weight.empty())
      ++uses[decision.weight];
  llvm::StringMap<bool> isStored;
  std::string unmeasured;
  for (auto &[op, decision] : found) {
    LayerShape shape = decision.shape;
    shape.rows = sizes.rows(op);
    assign::Layer &layer = result.layers.emplace_back();
    layer.name = decision.name;
    layer.elements = shape.k * shape.n;
    bool isShared = !decision.weight.empty() && uses[decision.weight] > 1;
    if (isShared)
      layer.tie = "weight " + decision.weight;
    const assign::LayerLosses *known = losses.find(layer.name);
    if (const Plan::Line *line = policy.planned(decision)) {
      layer.choices.push_back(choiceOf(line->text(), shape, storage));
      if (known)
        if (auto it = known->losses.find(line->text());
            it != known->losses.end())
          layer.choices.back().loss = it->second;
    } else {
      for (const std::string &name : knownChoices(options)) {
        auto it = known ? known->losses.find(name)
                        : std::map<std::string, double>::const_iterator();
        if (name != "f32" && (!known || it == known->losses.end()))
          continue; // there is no kernel
        if (formatOf(name).outliers &&
            !hasOutliers(formatOf(name), shape.n, shape.k))
          continue; // the same without
        layer.choices.push_back(choiceOf(name, shape, storage));
        layer.choices.back().loss = name == "f32" ? 0 : it->second;
      }
      if (!known)
        unmeasured +=
            (unmeasured.empty() ? "" : ", ") + ("'" + layer.name + "'");
    }
    // Floats that layers share lie in the artifact once, what becomes of them
    // once for each.
    bool isFirst = !isShared || !std::exchange(isStored[decision.weight], true);
    if (isFirst)
      result.floatBytes +=
          storedSize(LayerPrecision::F32, shape.n, shape.k, storage).bytes;
    for (assign::Choice &choice : layer.choices)
      if (choice.name == "f32" && !isFirst)
        choice.cost(assign::Cost::Bytes) = 0;
    shapes.push_back(shape);
  }
  if (!unmeasured.empty() && !options.targets.losses.empty())
    return refused("'" + options.targets.losses + "' has no losses of " +
                   unmeasured + "; measure them anew with --emit-losses");
  if (!options.targets.seconds)
    return {};
  if (!sizes.unsaid.empty())
    return refused("--target-latency is of a run of one size; give " +
                   plural(sizes.unsaid.size(), "dimension") + " more: --dim=" +
                   llvm::join(sizes.unsaid, "=N --dim=") + "=N");
  return timeLayers(options, shapes, result.layers, result.otherSeconds);
}
