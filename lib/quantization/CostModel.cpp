#include "lib/quantization/CostModel.h"

#include <algorithm>

#include "llvm/Support/MathExtras.h"

using namespace sq;

static constexpr int64_t kPanel = 48; // columns
static constexpr int64_t kBytesOfALane = 4;

// Flops: two multiply-adds of a vector a cycle. Products of bytes: with VNNI a vector of 64 a cycle and port; without
// it bytes are spread to words first, for which two products and five operations take the place of one product.
static constexpr LevelCost kLevels[] = {
    {"x86-64-v3", 96e9, 70e9, 3e9, 12e9},
    {"avx512", 192e9, 130e9, 6e9, 12e9},
    {"vnni", 192e9, 700e9, 6e9, 12e9},
    {"amx", 192e9, 700e9, 6e9, 12e9},
};

std::optional<LevelCost> sq::levelCost(llvm::StringRef level) {
  for (const LevelCost &cost : kLevels)
    if (cost.level == level)
      return cost;
  return std::nullopt;
}

LayerTimes sq::predictTimes(const LevelCost &cost, const LayerShape &shape) {
  double rows = shape.rows, k = shape.k, n = shape.n;
  double columns = llvm::alignTo(shape.n, kPanel), depth = llvm::alignTo(shape.k, kBytesOfALane);
  double results = 4 * rows * n;
  LayerTimes times;
  times.f32 = std::max(2 * rows * k * columns / cost.flops, (4 * k * n + 4 * rows * k + results) / cost.bandwidth);
  times.int8 = std::max(2 * rows * depth * columns / cost.byteOps, (k * n + rows * k + results) / cost.bandwidth) +
               rows * k / cost.quantised;
  return times;
}
