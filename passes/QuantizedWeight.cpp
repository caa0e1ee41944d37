//===-- QuantizedWeight.cpp - smoothing, rounding, correction of a weight -----===//

#include "passes/QuantizedWeight.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <numeric>

#include "lib/calibration/Range.h"
#include "lib/quantizer/ErrorFeedback.h"

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

std::string sq::checkRounding(StringRef rounding) {
  bool isKnown = rounding == "gptq" || rounding == "nearest";
  return isKnown ? "" : "there is no way '" + rounding.str() + "' to round weights; gptq, nearest";
}

/// To nearest even, by adding a number whose last bit is worth 1.
static float rounded(float steps, float levels) {
  constexpr float kRounder = 12582912.0f; // 1.5 * 2^23
  float limited = std::min(std::max(steps, -levels), levels);
  return limited + kRounder - kRounder;
}

QuantizedWeight::QuantizedWeight(const calibration::TensorStats &stats, int64_t k, ArrayRef<Part> parts, bool feedback)
    : stats(stats), k(k), hasFeedback(feedback && !stats.moments.isEmpty() && int64_t(stats.moments.channels()) == k),
      perChannel(int64_t(stats.channels()) == k) {
  if (hasFeedback)
    covariance = stats.moments.covariance();
  remaining.assign(k, 1);
  for (int64_t r = 0; r < k && perChannel; ++r)
    remaining[r] = stats.channelPower(r);
  for (const Part &part : parts)
    n += part.n;
  weight.resize(k * n);
  bias.resize(n);
  levels.resize(n);
  int64_t first = 0;
  for (const Part &part : parts) {
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < part.n; ++c)
        weight[r * n + first + c] = part.weight[part.transposed ? c * k + r : r * part.n + c];
    llvm::copy(part.bias, bias.begin() + first);
    std::fill_n(levels.begin() + first, part.n, part.levels);
    first += part.n;
  }
}

/// Covariances of few rows say less about other rows than they seem to: a share is added to the
/// variance of each channel, the smaller the more rows there were for a channel.
double QuantizedWeight::damping(int64_t channel) const {
  constexpr double kShare = 0.005;
  return kShare * k / stats.moments.rows * covariance[channel * k + channel];
}

/// The mean squared error, summed over columns, that rounding x and the weight to 8 bits
/// brings when channel r of x is multiplied by factor[r] before: errors of rounding are
/// uniform, and independent of each other and of what is rounded.
double QuantizedWeight::estimateError(ArrayRef<double> factor, double range) const {
  double step = range / kSteps, ofX = 0, weighted = 0, ofWeight = 0;
  for (int64_t r = 0; r < k; ++r) {
    ofX += rowPower[r] / (factor[r] * factor[r]);
    weighted += remaining[r] * factor[r] * factor[r];
  }
  std::vector<float> largest(n);
  for (int64_t r = 0; r < k; ++r) {
    float by = 1 / factor[r];
    for (int64_t c = 0; c < n; ++c)
      largest[c] = std::max(largest[c], std::fabs(weight[r * n + c]) * by);
  }
  for (auto [w, steps] : llvm::zip(largest, levels))
    ofWeight += double(w) * w / (double(steps) * steps);
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

/// Of each row the largest element, as a share of the largest in its column.
std::vector<double> QuantizedWeight::largestShares() const {
  std::vector<float> inverse(n);
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      inverse[c] = std::max(inverse[c], std::fabs(weight[r * n + c]));
  for (float &most : inverse)
    most = most > 0 ? 1 / most : 0;
  std::vector<double> shares(k);
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      shares[r] = std::max<double>(shares[r], std::fabs(weight[r * n + c]) * inverse[c]);
  return shares;
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
  if (hasFeedback) {
    // As if each channel had all steps for itself; the factors are not known yet.
    std::vector<double> noise(k);
    for (int64_t r = 0; r < k; ++r)
      noise[r] = damping(r) + std::max(std::pow(magnitude[r] / kLevels, 2) / 12, 1e-12);
    if (quantizer::ErrorFeedback feedback; feedback.prepare(covariance.data(), k, noise.data()))
      remaining = feedback.remaining();
  }
  std::vector<double> factor(k, 1), best = factor;
  double least = estimateError(factor, high - low);
  auto attempt = [&] {
    for (double &f : factor)
      f = float(std::clamp(f, 1e-12, 1e12));
    auto [from, to] = rangeWith(factor);
    double error = estimateError(factor, to - from);
    if (error >= least)
      return false;
    least = error;
    best = factor;
    alpha.reset();
    low = from;
    high = to;
    return true;
  };
  for (double share = 0.2; share <= 1.01; share += 0.05) {
    for (int64_t r = 0; r < k; ++r) {
      bool isUsed = magnitude[r] > 0 && largest[r] > 0;
      factor[r] = isUsed ? std::pow(largest[r], 1 - share) / std::pow(magnitude[r], share) : 1;
    }
    if (attempt())
      alpha = share;
  }
  // Or each channel as large as the common range allows, but not above a multiple of `shape` and not below `lower`. The
  // multiple is one at which some channel begins to fill the range; the best one is the result, 0 when none is.
  auto search = [&](const std::vector<double> &shape, const std::vector<double> &lower) {
    std::vector<double> turns;
    for (int64_t r = 0; r < k; ++r)
      if (double turn = magnitude[r] * shape[r]; turn > 0)
        turns.push_back(1 / turn);
    llvm::sort(turns);
    constexpr size_t kTried = 40;
    double found = 0;
    for (size_t i = 0; i < kTried && !turns.empty(); ++i) {
      double multiple = turns[i * (turns.size() - 1) / (kTried - 1)];
      for (int64_t r = 0; r < k; ++r) {
        double wanted = std::max(multiple * shape[r], lower[r]);
        factor[r] = magnitude[r] > 0 && wanted > 0 ? std::min(1 / magnitude[r], wanted) : 1;
      }
      if (attempt())
        found = multiple;
    }
    return found;
  };
  // More than its row's share of what columns span would make columns coarser ...
  std::vector<double> lower = largestShares(), balance(k);
  double rise = search(lower, std::vector<double>(k));
  // ... but where rows are small, up to a multiple of where the errors of a channel and of its row balance.
  for (int64_t r = 0; r < k; ++r) {
    lower[r] *= rise;
    balance[r] = remaining[r] > 0 ? std::pow(rowPower[r] / remaining[r], 0.25) : 0;
  }
  search(balance, lower);
  factors.assign(best.begin(), best.end());
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      weight[r * n + c] /= factors[r];
}

/// Weights of a column that round badly: sum over k of E[x_k^2] (w - round(w / scale) scale)^2.
float QuantizedWeight::roundingError(ArrayRef<float> column, float scale, float levels) const {
  // In floats with one sum per lane of a vector: there are many weights.
  constexpr int64_t kLanes = 16;
  float inverse = 1 / scale, sums[kLanes] = {};
  auto add = [&](int64_t r, int64_t lane) {
    float lost = column[r] - rounded(column[r] * inverse, levels) * scale;
    sums[lane] += power[r] * lost * lost;
  };
  for (int64_t r = 0; r + kLanes <= k; r += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      add(r + lane, lane);
  for (int64_t r = k - k % kLanes; r < k; ++r)
    add(r, 0);
  return std::accumulate(std::begin(sums), std::end(sums), 0.0f);
}

/// For each column the scale of least error.
void QuantizedWeight::chooseScales() {
  // The fewer the levels, the more is worth clipping.
  constexpr float kLeast = 1e-8, kLowest = 0.8, kLowestOfFew = 0.3, kStep = 0.04;
  scales.resize(n);
  std::vector<float> column(k);
  for (int64_t c = 0; c < n; ++c) {
    float largest = kLeast, least = std::numeric_limits<float>::infinity(), lowest = levels[c] < kLevels ? kLowestOfFew : kLowest;
    scales[c] = kLeast / levels[c];
    for (int64_t r = 0; r < k; ++r) {
      column[r] = weight[r * n + c];
      largest = std::max(largest, std::fabs(column[r]));
    }
    for (float share = 1; share >= lowest; share -= kStep)
      if (float error = roundingError(column, share * largest / levels[c], levels[c]); error < least) {
        least = error;
        scales[c] = share * largest / levels[c];
      }
  }
}

/// False when the covariance has no factor.
bool QuantizedWeight::roundWithFeedback() {
  std::vector<double> noise(k);
  for (int64_t r = 0; r < k; ++r) // that of rounding x, which depends on nothing else
    noise[r] = damping(r) * factorOf(r) * factorOf(r) + scale() * scale() / 12;
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = i; j < k; ++j)
      covariance[i * k + j] *= factorOf(i) * factorOf(j);
  quantizer::ErrorFeedback feedback;
  bool hasFactor = feedback.prepare(covariance.data(), k, noise.data());
  covariance = {}; // is large
  if (!hasFactor)
    return false;
  power.assign(feedback.remaining().begin(), feedback.remaining().end());
  chooseScales();
  std::vector<float> wanted = weight, inverse(n), steps(scales.begin(), scales.end());
  for (int64_t c = 0; c < n; ++c)
    inverse[c] = 1 / scales[c];
  feedbackNoise.assign(n, 0);
  feedback.round(wanted.data(), n, [&](int64_t row, const float *values, float *result) {
    int8_t *to = stored.data() + row * n;
    for (int64_t c = 0; c < n; ++c) {
      float level = rounded(values[c] * inverse[c], levels[c]);
      to[c] = level;
      result[c] = level * steps[c];
      feedbackNoise[c] += power[row] * (values[c] - result[c]) * (values[c] - result[c]);
    }
  });
  return true;
}

void QuantizedWeight::roundWeight() {
  stored.resize(k * n);
  if (hasFeedback && roundWithFeedback())
    return;
  power.assign(k, 1);
  for (int64_t r = 0; r < k && perChannel; ++r)
    power[r] = remaining[r] * factorOf(r) * factorOf(r);
  chooseScales();
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      stored[r * n + c] = rounded(weight[r * n + c] * float(1 / scales[c]), levels[c]);
}

std::vector<float> QuantizedWeight::correctedBias() const {
  std::vector<float> corrected = bias;
  if (!perChannel || stats.isEmpty())
    return corrected;
  std::vector<double> lost(n);
  for (int64_t r = 0; r < k; ++r) {
    double mean = stats.channelMean(r) * factorOf(r);
    for (int64_t c = 0; c < n; ++c)
      lost[c] += mean * (weight[r * n + c] - stored[r * n + c] * scales[c]);
  }
  for (int64_t c = 0; c < n; ++c)
    corrected[c] += lost[c];
  return corrected;
}

double QuantizedWeight::scale() const { return std::max((high - low) / kSteps, calibration::kMinRange); }

int64_t QuantizedWeight::zero() const { return std::clamp<int64_t>(std::nearbyint(-low / scale()), 0, kSteps); }
