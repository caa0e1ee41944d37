//===-- QuantizedWeight.cpp - smoothing, rounding, correction of a weight -----===//

#include "passes/QuantizedWeight.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <numeric>

#include "lib/calibration/Range.h"

using namespace mlir;
using namespace sq;

static std::vector<float> readFloats(Value v) {
  ElementsAttr value;
  if (!v || !matchPattern(v, m_Constant(&value)))
    return {};
  if (auto dense = dyn_cast<DenseFPElementsAttr>(value)) {
    auto range = dense.getValues<float>();
    return std::vector<float>(range.begin(), range.end());
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  size_t count = cast<ShapedType>(v.getType()).getNumElements();
  if (!blob || blob->getData().size() != count * sizeof(float))
    return {};
  std::vector<float> result(count);
  std::memcpy(result.data(), blob->getData().data(), count * sizeof(float));
  return result;
}

std::vector<float> sq::floatsOf(Value v) {
  std::vector<float> values = readFloats(v);
  bool isFinite = llvm::all_of(values, [](float x) { return std::isfinite(x); });
  return isFinite ? values : std::vector<float>();
}

/// To nearest even, by adding a number whose last bit is worth 1.
static float rounded(float steps) {
  constexpr float kLevels = QuantizedWeight::kLevels;
  constexpr float kRounder = 12582912.0f; // 1.5 * 2^23
  float limited = std::min(std::max(steps, -kLevels), kLevels);
  return limited + kRounder - kRounder;
}

QuantizedWeight::QuantizedWeight(const calibration::TensorStats &stats, int64_t k, ArrayRef<Part> parts)
    : stats(stats), k(k), perChannel(int64_t(stats.channels()) == k) {
  for (const Part &part : parts)
    n += part.n;
  weight.resize(k * n);
  bias.resize(n);
  int64_t first = 0;
  for (const Part &part : parts) {
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < part.n; ++c)
        weight[r * n + first + c] = part.weight[part.transposed ? c * k + r : r * part.n + c];
    llvm::copy(part.bias, bias.begin() + first);
    first += part.n;
  }
}

/// The mean squared error, summed over columns, that rounding x and the weight to 8 bits
/// brings when channel r of x is multiplied by factor[r] before: errors of rounding are
/// uniform, and independent of each other and of what is rounded.
double QuantizedWeight::estimateError(ArrayRef<double> factor, double range) const {
  double step = range / kSteps, ofX = 0, weighted = 0, ofWeight = 0;
  for (int64_t r = 0; r < k; ++r) {
    ofX += rowPower[r] / (factor[r] * factor[r]);
    weighted += stats.channelPower(r) * factor[r] * factor[r];
  }
  std::vector<float> largest(n);
  for (int64_t r = 0; r < k; ++r) {
    float by = 1 / factor[r];
    for (int64_t c = 0; c < n; ++c)
      largest[c] = std::max(largest[c], std::fabs(weight[r * n + c]) * by);
  }
  for (float w : largest)
    ofWeight += double(w) * w / (kLevels * kLevels);
  return (step * step * ofX + ofWeight * weighted) / 12;
}

std::pair<double, double> QuantizedWeight::rangeWith(ArrayRef<double> factor) const {
  double least = 0, most = 0;
  for (int64_t r = 0; r < k; ++r) {
    least = std::min(least, stats.channelMin[r] * factor[r]);
    most = std::max(most, stats.channelMax[r] * factor[r]);
  }
  return {least, most};
}

void QuantizedWeight::smooth() {
  rowPower.assign(k, 0);
  std::vector<double> largest(k), magnitude(k);
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      rowPower[r] += double(weight[r * n + c]) * weight[r * n + c];
      largest[r] = std::max<double>(largest[r], std::fabs(weight[r * n + c]));
    }
    magnitude[r] = std::max(std::fabs(stats.channelMin[r]), std::fabs(stats.channelMax[r]));
  }
  std::vector<double> factor(k, 1), best = factor;
  double least = estimateError(factor, high - low);
  for (double share = 0.2; share <= 1.01; share += 0.05) {
    for (int64_t r = 0; r < k; ++r) {
      bool isUsed = magnitude[r] > 0 && largest[r] > 0;
      double s = isUsed ? std::pow(magnitude[r], share) / std::pow(largest[r], 1 - share) : 1;
      factor[r] = float(1 / std::clamp(s, 1e-12, 1e12));
    }
    auto [from, to] = rangeWith(factor);
    if (double error = estimateError(factor, to - from); error < least) {
      least = error;
      best = factor;
      alpha = share;
      low = from;
      high = to;
    }
  }
  factors.assign(best.begin(), best.end());
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      weight[r * n + c] /= factors[r];
}

/// Weights of a column that round badly: sum over k of E[x_k^2] (w - round(w / scale) scale)^2.
float QuantizedWeight::roundingError(ArrayRef<float> column, float scale) const {
  // In floats with one sum per lane of a vector: there are many weights.
  constexpr int64_t kLanes = 16;
  float inverse = 1 / scale, sums[kLanes] = {};
  auto add = [&](int64_t r, int64_t lane) {
    float lost = column[r] - rounded(column[r] * inverse) * scale;
    sums[lane] += power[r] * lost * lost;
  };
  for (int64_t r = 0; r + kLanes <= k; r += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      add(r + lane, lane);
  for (int64_t r = k - k % kLanes; r < k; ++r)
    add(r, 0);
  return std::accumulate(std::begin(sums), std::end(sums), 0.0f);
}

void QuantizedWeight::roundWeight() {
  constexpr float kLeast = 1e-8, kLowest = 0.8, kStep = 0.04;
  power.assign(k, 1);
  for (int64_t r = 0; r < k && perChannel; ++r)
    power[r] = stats.channelPower(r) * (factors.empty() ? 1 : factors[r] * factors[r]);
  scales.assign(n, kLeast / kLevels);
  stored.resize(k * n);
  std::vector<float> column(k);
  for (int64_t c = 0; c < n; ++c) {
    float largest = kLeast, least = std::numeric_limits<float>::infinity();
    for (int64_t r = 0; r < k; ++r) {
      column[r] = weight[r * n + c];
      largest = std::max(largest, std::fabs(column[r]));
    }
    for (float share = 1; share >= kLowest; share -= kStep)
      if (float error = roundingError(column, share * largest / kLevels); error < least) {
        least = error;
        scales[c] = share * largest / kLevels;
      }
    for (int64_t r = 0; r < k; ++r)
      stored[r * n + c] = rounded(column[r] * float(1 / scales[c]));
  }
}

std::vector<float> QuantizedWeight::correctedBias() const {
  std::vector<float> corrected = bias;
  if (!perChannel || stats.isEmpty())
    return corrected;
  std::vector<double> lost(n);
  for (int64_t r = 0; r < k; ++r) {
    double mean = stats.channelMean(r) * (factors.empty() ? 1 : factors[r]);
    for (int64_t c = 0; c < n; ++c)
      lost[c] += mean * (weight[r * n + c] - stored[r * n + c] * scales[c]);
  }
  for (int64_t c = 0; c < n; ++c)
    corrected[c] += lost[c];
  return corrected;
}

double QuantizedWeight::scale() const { return std::max((high - low) / kSteps, calibration::kMinRange); }

int64_t QuantizedWeight::zero() const { return std::clamp<int64_t>(std::nearbyint(-low / scale()), 0, kSteps); }
