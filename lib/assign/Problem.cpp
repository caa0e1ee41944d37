#include "lib/assign/Problem.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

static constexpr StringRef kCostNames[kNumCosts] = {"size", "bit operations", "time", "counted size"};

static Status checkLayer(const Layer &layer) {
  if (layer.choices.empty())
    return Status::refused(formatv("the layer '{0}' has no choice of bits; no kernel takes it", layer.name));
  if (layer.elements < 0)
    return Status::refused(formatv("the layer '{0}' has {1} weights", layer.name, layer.elements));
  std::set<StringRef> names;
  for (const Choice &choice : layer.choices) {
    if (!names.insert(choice.name).second)
      return Status::refused(formatv("the layer '{0}' has two choices called {1}", layer.name, choice.name));
    if (!std::isfinite(choice.loss))
      return Status::refused(formatv("the layer '{0}' as {1} has a loss of {2}: its sensitivity "
                                     "or its rounding error is not finite",
                                     layer.name, choice.name, format("%g", choice.loss)));
    for (int k = 0; k < kNumCosts; ++k)
      if (!std::isfinite(choice.costs[k]) || choice.costs[k] < 0)
        return Status::refused(formatv("the layer '{0}' as {1} has a {2} of {3}; it is to be a "
                                       "finite number from 0 on",
                                       layer.name, choice.name, kCostNames[k], format("%g", choice.costs[k])));
    if (!std::isfinite(choice.weightBits) || !std::isfinite(choice.activationBits))
      return Status::refused(formatv("the layer '{0}' as {1} has bits that are no number", layer.name, choice.name));
  }
  return {};
}

static const Choice *findChoice(const Layer &layer, StringRef name) {
  for (const Choice &choice : layer.choices)
    if (choice.name == name)
      return &choice;
  return nullptr;
}

/// "'q' (int8, lut4), 'k' (lut3)".
static std::string listed(ArrayRef<Layer> layers, ArrayRef<size_t> members) {
  std::string text;
  for (size_t i : members) {
    std::string names = join(map_range(layers[i].choices, [](const Choice &c) { return c.name; }), ", ");
    text += (text.empty() ? "" : ", ") + formatv("'{0}' ({1})", layers[i].name, names).str();
  }
  return text;
}

static Status addChoices(ArrayRef<Layer> layers, Group &group) {
  for (const Choice &first : layers[group.layers.front()].choices) {
    Choice sum = first;
    sum.loss = 0;
    std::fill(std::begin(sum.costs), std::end(sum.costs), 0.0);
    std::set<StringRef> stored;
    bool inAll = true;
    for (size_t i : group.layers) {
      const Choice *choice = findChoice(layers[i], first.name);
      inAll &= choice != nullptr;
      if (!choice)
        break;
      sum.loss += std::max(choice->loss, 0.0);
      bool isStoredHere = layers[i].storage.empty() || stored.insert(layers[i].storage).second;
      for (int k = 0; k < kNumCosts; ++k)
        if ((k != static_cast<int>(Cost::Bytes) && k != static_cast<int>(Cost::Counted)) || isStoredHere)
          sum.costs[k] += choice->costs[k];
      sum.isTimed &= choice->isTimed;
    }
    if (inAll)
      group.choices.push_back(std::move(sum));
  }
  if (group.choices.empty())
    return Status::refused("layers that must have the same bits have no choice in common: " +
                           listed(layers, group.layers) + "; give them one, or do not tie them");
  std::vector<std::tuple<double, double, size_t>> order;
  for (auto [i, choice] : enumerate(group.choices))
    order.emplace_back(-choice.weightBits, -choice.activationBits, i);
  llvm::sort(order);
  std::vector<Choice> sorted;
  for (auto [weightBits, activationBits, i] : order)
    sorted.push_back(std::move(group.choices[i]));
  group.choices = std::move(sorted);
  std::set<StringRef> stored;
  for (size_t i : group.layers)
    if (layers[i].storage.empty() || stored.insert(layers[i].storage).second)
      group.elements += layers[i].elements;
  return {};
}

Status sq::assign::makeGroups(ArrayRef<Layer> layers, Groups &groups) {
  groups = {};
  std::set<StringRef> names;
  bool anyLoss = false;
  for (const Layer &layer : layers) {
    if (Status status = checkLayer(layer); !status.ok())
      return status;
    if (!names.insert(layer.name).second)
      return Status::refused(formatv("two layers are called '{0}'", layer.name));
    for (const Choice &choice : layer.choices) {
      anyLoss |= choice.loss > 0;
      if (choice.loss < 0)
        groups.warnings.push_back(formatv("the layer '{0}' as {1} has a loss of {2}, below zero: its "
                                          "sensitivity is noise, and counts as 0",
                                          layer.name, choice.name, format("%g", choice.loss)));
    }
  }
  if (!layers.empty() && !anyLoss)
    groups.warnings.push_back("all losses are 0: the sensitivities say nothing, most bits are kept "
                              "from the first layer on");
  // Both kinds of ties join.
  EquivalenceClasses<size_t> classes;
  StringMap<size_t> byTie, byStorage;
  for (size_t i = 0; i < layers.size(); ++i) {
    classes.insert(i);
    if (!layers[i].tie.empty())
      classes.unionSets(byTie.try_emplace(layers[i].tie, i).first->second, i);
    if (!layers[i].storage.empty())
      classes.unionSets(byStorage.try_emplace(layers[i].storage, i).first->second, i);
  }
  DenseMap<size_t, size_t> groupOf; // by leader
  for (size_t i = 0; i < layers.size(); ++i) {
    auto [it, isNew] = groupOf.try_emplace(classes.getLeaderValue(i), groups.all.size());
    if (isNew)
      groups.all.emplace_back();
    groups.all[it->second].layers.push_back(i);
  }
  for (Group &group : groups.all) {
    group.name = layers[group.layers.front()].name;
    if (size_t others = group.layers.size() - 1)
      group.name += formatv(" and {0} {1}", others, others == 1 ? "other" : "others");
    if (Status status = addChoices(layers, group); !status.ok())
      return status;
  }
  return {};
}
