#include "lib/diff/Suggest.h"

#include <cmath>

#include "llvm/ADT/STLExtras.h"

using namespace sq;
using namespace sq::diff;

std::vector<MeasuredLayer> diff::measureLayers(llvm::ArrayRef<LayerDecision> layers, const Result &result) {
  std::map<std::string, const Row *> rows;
  for (const Row &row : result.nodes)
    rows[row.name] = &row;
  std::vector<MeasuredLayer> measured;
  for (const LayerDecision &layer : layers) {
    MeasuredLayer entry;
    entry.name = layer.name;
    entry.own = layer.sqnr;
    entry.inBytes = isInteger(layer.precision) && !layer.isGiven;
    // Of the product and what adds its bias, the last one that shows.
    for (const std::string &node : layer.nodes)
      if (auto row = rows.find(layer.nodes.size() == 1 ? layer.name : node); row != rows.end())
        entry.sqnr = row->second->sqnr();
    measured.push_back(std::move(entry));
  }
  return measured;
}

static bool isBelow(const MeasuredLayer &layer, double minSqnr) { return layer.sqnr && *layer.sqnr < minSqnr; }

size_t diff::countBelow(llvm::ArrayRef<MeasuredLayer> layers, double minSqnr) {
  return llvm::count_if(layers, [&](const MeasuredLayer &layer) { return isBelow(layer, minSqnr); });
}

std::vector<size_t> diff::nextToFloat(llvm::ArrayRef<MeasuredLayer> layers, double minSqnr) {
  size_t below = countBelow(layers, minSqnr), end = layers.size();
  while (end > 0 && !isBelow(layers[end - 1], minSqnr))
    --end;
  std::vector<size_t> candidates;
  for (size_t i = 0; i < end; ++i)
    if (layers[i].inBytes)
      candidates.push_back(i);
  // What nothing is known of comes last.
  auto loss = [&](size_t i) { return std::pair(layers[i].own.value_or(HUGE_VAL), i); };
  llvm::sort(candidates, [&](size_t a, size_t b) { return loss(a) < loss(b); });
  candidates.resize(std::min(candidates.size(), (below + 3) / 4));
  llvm::sort(candidates);
  return candidates;
}
