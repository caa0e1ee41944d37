#include "lib/assign/Describe.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/assign/Alternatives.h"
#include "lib/quantization/Plan.h"
#include "lib/support/TimeText.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

namespace {

/// A layer with its group and what was chosen for it.
struct Row {
  const Layer &layer;
  const Group &group;
  const Choice &choice; // of the layer itself
};

} // namespace

static std::vector<Row> rowsOf(const Solved &solved) {
  std::vector<const Group *> groupOf(solved.layers.size());
  std::vector<std::string> chosen(solved.layers.size());
  for (auto [group, place] : zip_equal(solved.groups, solved.result.chosen))
    for (size_t layer : group.layers) {
      groupOf[layer] = &group;
      chosen[layer] = group.choices[place].name;
    }
  std::vector<Row> rows;
  for (size_t i = 0; i < solved.layers.size(); ++i) {
    const Layer &layer = solved.layers[i];
    rows.push_back({layer, *groupOf[i], *find_if(layer.choices, [&](const Choice &c) { return c.name == chosen[i]; })});
  }
  return rows;
}

std::string sq::assign::statusText(const Assignment &result) {
  if (result.isByMeasure)
    return "best measured";
  switch (result.kind) {
  case Answer::Proven:
    return "optimal";
  case Answer::Trusted:
    return "optimal to the solver's tolerance";
  default:
    return formatv("best found, at most {0:f2} % above the optimum",
                   100 * (result.loss - result.bound) / std::max(result.bound, 1e-300));
  }
}

/// "expected loss 0.012, measured 0.0131".
static std::string lossText(const Assignment &result) {
  std::string text = formatv("expected loss {0}", format("%.6g", result.loss));
  if (result.measured)
    text += formatv(", measured {0}", format("%.6g", *result.measured));
  return text;
}

static double valueOf(const Solved &solved, const Budget &budget) {
  return budget.taken(solved.groups, solved.result.cost(budget.cost()));
}

Status sq::assign::planText(const Solved &solved, std::string &text) {
  const Assignment &result = solved.result;
  text = "# PATTERN = PRECISION, the last line that matches a layer counts; sq-compile --plan reads it.\n";
  text += formatv("# {0}: {1}, {2}, {3} bits per weight\n", statusText(result), lossText(result),
                  budgetText(Budget::Size, result.cost(Cost::Bytes)),
                  format("%.4f", bitsPerWeight(solved.groups, result.cost(Cost::Counted))));
  if (!result.comparison.empty())
    text += "# " + result.comparison + "\n";
  for (const Budget &budget : solved.budgets)
    text += formatv("# budget: {0}\n", budgetText(budget.kind, budget.limit));
  if (!solved.metric.empty()) {
    std::string metric = solved.metric;
    std::replace(metric.begin(), metric.end(), '\n', ' ');
    text += "# losses: " + metric + "\n";
  }
  for (const Row &row : rowsOf(solved)) {
    LayerFormat precision;
    if (Status status = parseFormat(row.choice.name, precision); !status.ok())
      return Status::refused("the layer '" + row.layer.name + "': " + status.message);
    std::string why = formatv("loss {0}, {1}", format("%.4g", row.choice.loss),
                              budgetText(Budget::Size, row.choice.cost(Cost::Bytes)));
    if (row.group.layers.size() > 1)
      why += ", tied to " + std::to_string(row.group.layers.size() - 1) + " more";
    text += planLine(row.layer.name, precision, why);
  }
  return {};
}

std::string sq::assign::assignmentTable(const Solved &solved) {
  const Assignment &result = solved.result;
  std::string text =
      formatv("Assignment of bits: {0}, {1}", statusText(result), lossText(result));
  text += solved.metric.empty() ? "\n" : " (" + solved.metric + ")\n";
  text += formatv("{0}, {1:f4} bits per weight, {2}, {3}\n", budgetText(Budget::Size, result.cost(Cost::Bytes)),
                  bitsPerWeight(solved.groups, result.cost(Cost::Counted)),
                  budgetText(Budget::Bops, result.cost(Cost::Bops)), timeText(result.cost(Cost::Seconds)));
  for (const Budget &budget : solved.budgets)
    text += formatv("budget {0}: {1:f2} % of it used\n", budgetText(budget.kind, budget.limit),
                    100 * valueOf(solved, budget) / budget.limit);
  if (!result.comparison.empty())
    text += result.comparison + "\n";
  for (const std::string &warning : result.warnings)
    text += "warning: " + warning + "\n";
  text += formatv("{0,-14} {1,12} {2,12} {3,12} {4,10}  layer: losses\n", "choice", "loss", "bytes", "GBOPs", "time");
  for (const Row &row : rowsOf(solved)) {
    std::string time = (row.choice.isTimed ? "" : "~") + timeText(row.choice.cost(Cost::Seconds));
    text += formatv("{0,-14} {1,12} {2,12} {3,12} {4,10}  {5}:", row.choice.name,
                    formatv("{0}", format("%.4g", row.choice.loss)).str(),
                    formatv("{0}", format("%.0f", row.choice.cost(Cost::Bytes))).str(),
                    formatv("{0}", format("%.4g", row.choice.cost(Cost::Bops) / 1e9)).str(), time, row.layer.name);
    for (const Choice &choice : row.layer.choices)
      text += formatv(" {0} {1}", choice.name, format("%.3g", choice.loss));
    text += "\n";
  }
  return text;
}

static json::Object costsJson(const double (&costs)[kNumCosts]) {
  return json::Object{{"bytes", costs[static_cast<int>(Cost::Bytes)]},
                      {"bops", costs[static_cast<int>(Cost::Bops)]},
                      {"seconds", costs[static_cast<int>(Cost::Seconds)]},
                      {"counted_bytes", costs[static_cast<int>(Cost::Counted)]}};
}

static json::Object choiceJson(const Choice &choice) {
  json::Object object = costsJson(choice.costs);
  object["name"] = choice.name;
  object["weight_bits"] = choice.weightBits;
  object["activation_bits"] = choice.activationBits;
  object["loss"] = choice.loss;
  object["timed"] = choice.isTimed;
  return object;
}

json::Value sq::assign::assignmentJson(const Solved &solved) {
  const Assignment &result = solved.result;
  json::Object totals = costsJson(result.costs);
  totals["loss"] = result.loss;
  if (result.measured)
    totals["measured_loss"] = *result.measured;
  totals["bits_per_weight"] = bitsPerWeight(solved.groups, result.cost(Cost::Counted));
  totals["computed_time"] = result.computedTime;
  json::Array budgets, layers;
  static constexpr StringRef kKinds[] = {"size", "bpw", "bops", "latency"};
  for (const Budget &budget : solved.budgets) {
    double value = valueOf(solved, budget);
    budgets.push_back(json::Object{
        {"kind", kKinds[budget.kind]}, {"limit", budget.limit}, {"value", value}, {"slack", budget.limit - value}});
  }
  for (const Row &row : rowsOf(solved)) {
    json::Array choices;
    for (const Choice &choice : row.layer.choices)
      choices.push_back(choiceJson(choice));
    layers.push_back(json::Object{{"name", json::fixUTF8(row.layer.name)},
                                  {"group", json::fixUTF8(row.group.name)},
                                  {"elements", row.layer.elements},
                                  {"chosen", row.choice.name},
                                  {"choices", std::move(choices)}});
  }
  return json::Object{{"status", statusText(result)},
                      {"metric", json::fixUTF8(solved.metric)},
                      {"comparison", result.comparison},
                      {"totals", std::move(totals)},
                      {"bound", result.bound},
                      {"budgets", std::move(budgets)},
                      {"layers", std::move(layers)},
                      {"warnings", json::Array(result.warnings)}};
}

FrontPicture sq::assign::frontPicture(const Solved &solved, const Front &front, Cost cost) {
  FrontPicture picture;
  const double bitsOfByte = bitsPerWeight(solved.groups, 1);
  const struct {
    const char *label;
    double unit;
  } kAxes[kNumCosts] = {{"size (MB)", 1e6},
                        {"bit operations (GBOPs)", 1e9},
                        {"time (ms)", 1e-3},
                        {"bits per weight", bitsOfByte > 0 ? 1 / bitsOfByte : 1}};
  const auto &axis = kAxes[static_cast<int>(cost)];
  double fixed = 0;
  for (const Budget &budget : solved.budgets)
    if (budget.cost() == cost)
      fixed = budget.fixed;
  for (const Budget &budget : solved.budgets)
    if (budget.cost() == cost) {
      double limit = (budget.costLimit(solved.groups) + fixed) / axis.unit;
      picture.limit = std::min(limit, picture.limit.value_or(limit));
    }
  auto point = [&](const Assignment &plan, std::string text) {
    return FrontPicture::Point{(plan.cost(cost) + fixed) / axis.unit, plan.loss, std::move(text)};
  };
  picture.costLabel = axis.label;
  picture.lossLabel = "expected increase of the loss";
  picture.isComplete = front.isComplete;
  for (const Assignment &plan : front.points)
    picture.front.push_back(point(plan, ""));
  picture.chosen = point(solved.result, "chosen");
  for (const auto &[name, plan] : uniformPlans(solved.groups))
    picture.marks.push_back(point(plan, name));
  return picture;
}
