#include "lib/diff/Suggest.h"

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
    entry.inBytes = layer.precision == LayerPrecision::Int8 && !layer.isGiven();
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
  std::vector<size_t> candidates;
  for (auto [i, layer] : llvm::enumerate(layers))
    if (layer.inBytes && isBelow(layer, minSqnr))
      candidates.push_back(i);
  if (candidates.empty()) {
    auto below = llvm::find_if(layers, [&](const MeasuredLayer &layer) { return isBelow(layer, minSqnr); });
    for (size_t i = 0, end = below - layers.begin(); below != layers.end() && i < end; ++i)
      if (layers[i].inBytes && layers[i].sqnr)
        candidates.push_back(i);
  }
  llvm::sort(candidates, [&](size_t a, size_t b) { return std::pair(*layers[a].sqnr, a) < std::pair(*layers[b].sqnr, b); });
  candidates.resize((candidates.size() + 3) / 4);
  llvm::sort(candidates);
  return candidates;
}
