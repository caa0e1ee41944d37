#include "lib/driver/AssignBits.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/assign/Alternatives.h"
#include "lib/assign/Costs.h"
#include "lib/assign/Describe.h"
#include "lib/assign/Losses.h"
#include "lib/driver/BitChoices.h"
#include "lib/tensorio/File.h"
#include "passes/QuantizedWeight.h"

using namespace mlir;
using namespace sq;

static constexpr size_t kFrontLines = 24;

static CompileResult resultOf(const Status &status) {
  CompileResult result;
  result.code = status.code;
  result.message = status.message;
  return result;
}

/// Bytes of all weights with linear layers in float, tables of embeddings as a
/// plan with few bits has them or not.
static std::optional<double>
floatBytes(ModuleOp module, const AssignRequest &request, bool withTables) {
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(module->clone());
  auto main = *copy->getOps<func::FuncOp>().begin();
  if (withTables)
    main.walk(quantizeTables);
  if (failed(request.toBuffers(*copy)))
    return std::nullopt;
  auto size = (*copy->getOps<func::FuncOp>().begin())
                  ->getAttrOfType<IntegerAttr>("sq.weight_bytes");
  return size ? double(size.getInt()) : 0;
}

/// The file, or what the probe says, which is then written where that was asked
/// for.
static CompileResult findLosses(ModuleOp module, const AssignRequest &request,
                                assign::LossFile &losses) {
  const BitTargets &targets = request.options.targets;
  std::string model =
      llvm::formatv("{0:x-16}{1:x-16}", request.model.high, request.model.low);
  if (!targets.losses.empty()) {
    if (Status status = assign::readLosses(targets.losses, losses);
        !status.ok())
      return resultOf(status);
    if (losses.model != model)
      return resultOf(Status::refused(
          "'" + targets.losses +
          "' is of another model (or another version of this one); measure the "
          "losses of this model with --emit-losses"));
  } else {
    if (CompileResult r = measureLosses(module, request.options, losses);
        r.code != ExitCode::Done)
      return r;
    losses.model = model;
  }
  if (targets.emitLosses.empty())
    return {};
  std::string text = assign::lossText(losses);
  return resultOf(writeFile(targets.emitLosses, {{text.data(), text.size()}}));
}

/// The groups with losses that others have, for comparison.
static std::vector<assign::Group>
controlGroups(const std::vector<assign::Group> &groups, StringRef control) {
  if (control.empty())
    return groups;
  uint64_t seed = 0;
  if (control.consume_front("shuffled:") && !control.getAsInteger(10, seed))
    return assign::withLossesFrom(groups, assign::shuffledGroups(groups, seed));
  return assign::withLossesFrom(groups, assign::reversedGroups(groups));
}

static std::vector<assign::Budget> budgetsOf(const BitTargets &targets,
                                             double fixedBytes,
                                             double fixedBops,
                                             double fixedSeconds) {
  using assign::Budget;
  std::vector<Budget> budgets;
  if (targets.bytes)
    budgets.push_back({Budget::Size, *targets.bytes, fixedBytes});
  if (targets.bitsPerWeight)
    budgets.push_back({Budget::BitsPerWeight, *targets.bitsPerWeight, 0});
  if (targets.bops)
    budgets.push_back({Budget::Bops, *targets.bops, fixedBops});
  if (targets.seconds)
    budgets.push_back({Budget::Latency, *targets.seconds, fixedSeconds});
  return budgets;
}

static bool isAllFloat(ArrayRef<assign::Group> groups,
                       const assign::Assignment &plan) {
  return llvm::all_of_zip(groups, plan.chosen,
                          [](const assign::Group &group, int place) {
                            return group.choices[place].name == "f32";
                          });
}

/// The places in `groups` of what `plan` has chosen of `others`, the same
/// groups with fewer choices.
static std::vector<int> placesIn(ArrayRef<assign::Group> groups,
                                 ArrayRef<assign::Group> others,
                                 const assign::Assignment &plan) {
  std::vector<int> places;
  for (auto [group, other, place] : llvm::zip(groups, others, plan.chosen)) {
    StringRef name = other.choices[place].name;
    places.push_back(llvm::find_if(group.choices,
                                   [&](const assign::Choice &choice) {
                                     return choice.name == name;
                                   }) -
                     group.choices.begin());
  }
  return places;
}

/// With nothing in few bits tables of embeddings are floats, too, and may take
/// more than the budget leaves them: then some layer is to be in few bits, the
/// one that loses least.
static Status solve(std::vector<assign::Group> &groups,
                    ArrayRef<assign::Budget> budgets, bool mayBeFloat,
                    assign::Assignment &result) {
  if (Status status = assign::assignBits(groups, budgets, result);
      !status.ok() || mayBeFloat || !isAllFloat(groups, result))
    return status;
  assign::Group *least = nullptr;
  auto lossOf = [](const assign::Group &group) {
    double loss = HUGE_VAL;
    for (const assign::Choice &choice : group.choices)
      if (choice.name != "f32")
        loss = std::min(loss, choice.loss);
    return loss;
  };
  for (assign::Group &group : groups)
    if (!least || lossOf(group) < lossOf(*least))
      least = &group;
  if (!least || lossOf(*least) == HUGE_VAL)
    return {};
  llvm::erase_if(least->choices, [](const assign::Choice &choice) {
    return choice.name == "f32";
  });
  return assign::assignBits(groups, budgets, result);
}

static std::string digits(double value) {
  return llvm::formatv("{0}", llvm::format("%.4g", value));
}

/// Harm beyond that of the best uniform plan counts so many times in plans that
/// are measured beside the optimum.
static constexpr double kFactors[] = {1.25, 1.5, 2, 4, 8};

/// `plan` is the optimum of expected losses, and what it is chosen for is what
/// those understate. It is run, beside the best uniform plan and plans between
/// the two, by samples that losses were not measured on. Taken is the one that
/// is surest to lose less than the uniform plan, which stays where none is;
/// without a uniform plan within the budgets the optimum stands for it.
static CompileResult
takeBestMeasured(ArrayRef<assign::Layer> layers, ArrayRef<assign::Group> groups,
                 ArrayRef<assign::Budget> budgets, bool mayBeFloat,
                 const BitTargets &targets, assign::Assignment &plan) {
  if (!(plan.loss > 0))
    return {};
  std::vector<assign::Assignment> plans{plan};
  auto add = [&](assign::Assignment other) { // its place
    for (auto [i, known] : llvm::enumerate(plans))
      if (known.chosen == other.chosen)
        return i;
    plans.push_back(std::move(other));
    return plans.size() - 1;
  };
  size_t base = 0;
  auto uniform = assign::bestUniform(groups, budgets);
  const bool hasUniform =
      uniform && (mayBeFloat || !isAllFloat(groups, *uniform));
  if (hasUniform) {
    for (double factor : kFactors) {
      std::vector<assign::Group> careful =
          assign::withHarm(groups, *uniform, factor);
      assign::Assignment found;
      if (Status status = solve(careful, budgets, mayBeFloat, found);
          !status.ok())
        return resultOf(status);
      add(assign::assignmentOf(groups, placesIn(groups, careful, found)));
    }
    base = add(std::move(*uniform));
  }
  std::vector<std::string> texts(plans.size());
  for (auto [one, text] : llvm::zip(plans, texts))
    if (Status status = assign::planText({layers, groups, {}, one, ""}, text);
        !status.ok())
      return resultOf(status);
  std::vector<std::vector<double>> losses; // by sample
  auto starts = [&](size_t i) {
    if (targets.progress)
      targets.progress("measure plan", i, plans.size());
  };
  if (CompileResult r = targets.compare(texts, starts, losses);
      r.code != ExitCode::Done)
    return r;
  for (auto [one, all] : llvm::zip(plans, losses)) {
    double sum = 0;
    for (double loss : all)
      sum += loss;
    one.measured = std::max(sum / double(all.size()), 0.0);
  }
  const size_t best = assign::surestPlan(losses, base);
  assign::Assignment &taken = plans[best];
  taken.warnings = std::move(plan.warnings);
  const char *other =
      hasUniform ? "one choice everywhere" : "the plan of least expected loss";
  if (best != 0) {
    taken.isByMeasure = true;
    taken.warnings.push_back(llvm::formatv(
        "the plan of least expected loss ({0}) did {1} when it was run; this "
        "one ({2}) did {3}",
        digits(plans[0].loss), digits(*plans[0].measured),
        best == base ? other : "nearer to one choice everywhere",
        digits(*taken.measured)));
  }
  if (best != base) {
    const assign::Difference difference =
        assign::differenceOf(losses[best], losses[base]);
    taken.comparison = llvm::formatv(
        "surest of {0} plans that were run to lose less than {1} ({2}): {3} "
        "less, standard error {4}",
        plans.size(), other, digits(*plans[base].measured),
        digits(-difference.mean), digits(difference.error));
  } else if (plans.size() > 1) {
    taken.comparison =
        llvm::formatv("{0}: none of {1} other plans that were run lost less",
                      other, plans.size() - 1);
  }
  plan = std::move(taken);
  return {};
}

CompileResult sq::assignBits(ModuleOp module, const AssignRequest &request,
                             AssignedBits &result) {
  const BitTargets &targets = request.options.targets;
  auto main = *module.getOps<func::FuncOp>().begin();
  if (linearLayers(main).empty())
    return resultOf(
        Status::refused("the model has no linear layers to assign bits to"));
  RunSizes sizes(main, targets.dims);
  if (!sizes.unknown.empty())
    return resultOf(Status::refused("--dim names " +
                                    llvm::join(sizes.unknown, ", ") +
                                    ", which no input has"));
  assign::LossFile losses;
  if (CompileResult r = findLosses(module, request, losses);
      r.code != ExitCode::Done)
    return r;
  LayerChoices choices;
  if (CompileResult r =
          makeLayers(main, request.options, losses, sizes, choices);
      r.code != ExitCode::Done)
    return r;
  assign::Groups groups;
  if (Status status = assign::makeGroups(choices.layers, groups); !status.ok())
    return resultOf(status);
  double fixedBytes = 0;
  bool mayBeFloat = true;
  if (targets.bytes) {
    auto plain = floatBytes(module, request, false),
         small = floatBytes(module, request, true);
    if (!plain || !small) {
      CompileResult failed;
      failed.code = ExitCode::Refused; // with what the passes said
      return failed;
    }
    fixedBytes = std::max(*small - choices.floatBytes, 0.0);
    mayBeFloat = *plain <= *targets.bytes;
  }
  double fixedBops = assign::bitOperations(sizes.attention(), 32, 32);
  std::vector<assign::Budget> budgets =
      budgetsOf(targets, fixedBytes, fixedBops, choices.otherSeconds);
  std::vector<assign::Group> wanted =
      controlGroups(groups.all, targets.control);
  assign::Assignment chosen;
  if (Status status = solve(wanted, budgets, mayBeFloat, chosen); !status.ok())
    return resultOf(status);
  // What it is expected to lose, by the real losses; `solve` may have dropped a
  // choice.
  assign::Assignment plan =
      assign::assignmentOf(groups.all, placesIn(groups.all, wanted, chosen));
  plan.warnings = groups.warnings;
  llvm::append_range(plan.warnings, chosen.warnings);
  if (targets.control.empty()) {
    plan.kind = chosen.kind;
    plan.bound = chosen.bound;
    if (targets.compare)
      if (CompileResult r = takeBestMeasured(
              choices.layers, groups.all, budgets, mayBeFloat, targets, plan);
          r.code != ExitCode::Done)
        return r;
  } else {
    plan.warnings.push_back("not the best plan, but one to compare it with: " +
                            targets.control);
  }
  assign::Solved solved{choices.layers, groups.all, budgets, plan,
                        losses.metric};
  if (Status status = assign::planText(solved, result.plan); !status.ok())
    return resultOf(status);
  assign::Cost cost = budgets.front().cost();
  assign::Front front = assign::paretoFront(groups.all, cost);
  std::vector<assign::Assignment> shown;
  for (size_t i : assign::samplesOf(front.points, cost, kFrontLines))
    shown.push_back(front.points[i]);
  result.table = assign::assignmentTable(solved);
  result.front = assign::frontTable(groups.all, shown, cost);
  result.svg = assign::paretoSvg(assign::frontPicture(solved, front, cost));
  result.json = assign::assignmentJson(solved);
  return {};
}
