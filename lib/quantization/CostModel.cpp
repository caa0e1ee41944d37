#include "lib/quantization/CostModel.h"

#include <algorithm>

#include "llvm/Support/MathExtras.h"

using namespace sq;

static constexpr int64_t kBytesOfALane = 4;
static constexpr int64_t kLeastColumns = 16; // of a tile in f32

// Fitted to layers from 1 x 1 to 768 x 256 with 128 rows as `sq-compile --measure` times them, on an EPYC of
// family 26 that has all levels up to vnni; products on AMX to those of MiniLM on a Xeon that has it. Without VNNI bytes are spread to words first.
static constexpr LevelCost kLevels[] = {
    {"x86-64-v3", 8, 130e9, 190e9, 10e9, 80e9, 20e9, 12e9},
    {"avx512", 16, 265e9, 390e9, 30e9, 80e9, 37e9, 12e9},
    {"vnni", 16, 265e9, 1000e9, 30e9, 80e9, 37e9, 12e9},
    {"amx", 16, 265e9, 2200e9, 30e9, 80e9, 37e9, 12e9},
};

std::optional<LevelCost> sq::levelCost(llvm::StringRef level) {
  for (const LevelCost &cost : kLevels)
    if (cost.level == level)
      return cost;
  return std::nullopt;
}

LayerTimes sq::predictTimes(const LevelCost &cost, const LayerShape &shape) {
  double rows = shape.rows, weights = double(shape.k) * shape.n;
  double columns = llvm::alignTo(shape.n, cost.lanes), tile = std::max<double>(columns, kLeastColumns);
  double depth = llvm::alignTo(shape.k, kBytesOfALane), padded = llvm::alignTo(shape.k, cost.lanes);
  LayerTimes times;
  times.f32 = std::max(2 * rows * shape.k * tile / cost.flops, 4 * weights / cost.bandwidth) +
              rows * columns / cost.floatResults;
  times.int8 = std::max(2 * rows * depth * columns / cost.byteOps, weights / cost.bandwidth) +
               rows * columns / cost.byteResults + rows * padded / cost.quantised;
  return times;
}
