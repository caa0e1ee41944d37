#include "lib/calibration/Range.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace sq::calibration {

size_t entropyBins(const std::vector<uint64_t> &bins, size_t levels) {
  size_t count = bins.size();
  if (count <= levels)
    return count;
  // P ln(P / Q) over the bins of a segment is a sum of P ln P, which prefix sums give, and the
  // segment's P times one ln Q: a logarithm per segment instead of one per bin.
  std::vector<uint64_t> before(count + 1); // sums of bins
  std::vector<size_t> filled(count + 1);   // numbers of bins that are not empty
  std::vector<double> entropy(count + 1);  // sums of bin ln(bin)
  auto xlogx = [](double x) { return x > 0 ? x * std::log(x) : 0; };
  for (size_t k = 0; k < count; ++k) {
    before[k + 1] = before[k] + bins[k];
    filled[k + 1] = filled[k] + (bins[k] != 0);
    entropy[k + 1] = entropy[k] + xlogx(bins[k]);
  }
  const double total = before[count];
  size_t best = count;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = levels; i <= count; ++i) {
    double kept = before[i], outside = total - kept;
    if (kept == 0 || (outside > 0 && bins[i - 1] == 0))
      continue; // mass of P where Q has none
    double divergence = entropy[i - 1] + xlogx(bins[i - 1] + outside);
    for (size_t j = 0; j < levels; ++j) {
      size_t begin = j * i / levels, end = (j + 1) * i / levels;
      double sum = before[end] - before[begin];
      if (sum > 0)
        divergence -= (sum + (end == i ? outside : 0)) * std::log(sum / (filled[end] - filled[begin]) * (total / kept));
    }
    if (divergence < least) {
      least = divergence;
      best = i;
    }
  }
  return best;
}

namespace {

/// Sum of counts times squared errors when [low, high] has `steps` steps.
double squaredError(const std::vector<uint64_t> &bins, bool isSigned, double width, double low, double high, int steps) {
  double step = (high - low) / steps, origin = isSigned ? -0.5 * bins.size() * width : 0;
  // Zero is a level: the grid starts at a multiple of the step.
  double lowLevel = std::nearbyint(low / step), highLevel = lowLevel + steps;
  // With less than two bins a step midpoints say nothing about rounding.
  bool isCoarse = step < 2 * width;
  double sum = 0;
  for (size_t k = 0; k < bins.size(); ++k) {
    if (!bins[k])
      continue;
    double x = origin + (k + 0.5) * width, level = x / step;
    double clipped = std::min(std::max(level, lowLevel), highLevel);
    double error = isCoarse && clipped == level ? step * step / 12 : x - step * std::nearbyint(clipped);
    sum += bins[k] * (isCoarse && clipped == level ? error : error * error);
  }
  return sum;
}

} // namespace

double leastSquares(const std::vector<uint64_t> &bins, bool isSigned, double extent, double low, double high, int steps) {
  double width = extent / (isSigned ? bins.size() / 2 : bins.size());
  double max = std::max(-low, high), best = max, least = std::numeric_limits<double>::infinity();
  auto attempt = [&](double alpha) {
    double error = squaredError(bins, isSigned, width, std::max(low, -alpha), std::min(high, alpha), steps);
    if (error < least) {
      least = error;
      best = alpha;
    }
  };
  for (int i = 10; i <= 100; ++i)
    attempt(max * i / 100);
  double around = best / max;
  for (int i = -9; i <= 9; ++i)
    if (i && around + i * 1e-3 <= 1)
      attempt(max * (around + i * 1e-3));
  return best;
}

double percentileOf(const std::vector<uint64_t> &bins, double width, double percent) {
  uint64_t total = 0, sum = 0;
  for (uint64_t count : bins)
    total += count;
  double wanted = total * (percent / 100);
  for (size_t k = 0; k < bins.size(); ++k) {
    sum += bins[k];
    if (sum >= wanted)
      return (k + 1) * width;
  }
  return bins.size() * width;
}

namespace {

Range rangeWithin(double min, double max, double alpha, bool symmetric) {
  Range range;
  double bound = std::min(alpha, std::max(std::fabs(min), std::fabs(max)));
  range.isAllZero = !(bound > 0);
  bound = std::max(bound, kMinRange);
  range.min = symmetric || range.isAllZero ? -bound : std::max(std::min(min, 0.0), -bound);
  range.max = symmetric || range.isAllZero ? bound : std::min(std::max(max, 0.0), bound);
  return range;
}

} // namespace

Range chooseRange(const TensorStats &stats, const RangeOptions &options) {
  const double all = stats.maxAbs();
  if (!(all > 0))
    return rangeWithin(0, 0, 0, options.symmetric);
  double min = stats.min, max = stats.max, width = stats.histogram.width();
  std::vector<uint64_t> magnitudes = stats.histogram.magnitudes();
  magnitudes.resize(std::min<size_t>(magnitudes.size(), static_cast<size_t>(all / width) + 1)); // [0, max]
  switch (options.method) {
  case Method::MinMax:
    return rangeWithin(min, max, all, options.symmetric);
  case Method::MovingAverage:
    return rangeWithin(stats.averageMin, stats.averageMax, all, options.symmetric);
  case Method::Percentile:
    return rangeWithin(min, max, percentileOf(magnitudes, width, options.percentile), options.symmetric);
  case Method::Entropy:
    return rangeWithin(min, max, entropyBins(magnitudes, size_t(1) << (options.bits - 1)) * width, options.symmetric);
  case Method::Mse:
    break;
  }
  if (options.symmetric) // the grid of hundredths starts at the largest value
    return rangeWithin(min, max,
                       leastSquares(stats.histogram.counts, true, Histogram::kBins * width, -all, all,
                                    (1 << options.bits) - 2),
                       true);
  return rangeWithin(min, max,
                     leastSquares(stats.histogram.counts, true, Histogram::kBins * width, std::min(min, 0.0),
                                  std::max(max, 0.0), (1 << options.bits) - 1),
                     false);
}

Range channelRange(const TensorStats &stats, size_t channel, bool symmetric) {
  double min = stats.channelMin[channel], max = stats.channelMax[channel];
  return rangeWithin(min, max, std::max(std::fabs(min), std::fabs(max)), symmetric);
}

std::optional<RangeOptions> parseMethod(const std::string &text) {
  RangeOptions options;
  for (Method method : {Method::MinMax, Method::MovingAverage, Method::Percentile, Method::Entropy, Method::Mse}) {
    options.method = method;
    std::string name = methodName(options);
    if (text == name.substr(0, name.find('=')))
      return options;
  }
  const std::string prefix = "percentile=";
  if (text.compare(0, prefix.size(), prefix) != 0)
    return std::nullopt;
  options.method = Method::Percentile;
  char *end;
  options.percentile = std::strtod(text.c_str() + prefix.size(), &end);
  bool isWhole = end != text.c_str() + prefix.size() && !*end;
  return isWhole && options.percentile > 0 && options.percentile <= 100 ? std::optional(options) : std::nullopt;
}

std::string methodName(const RangeOptions &options) {
  switch (options.method) {
  case Method::MinMax:
    return "minmax";
  case Method::MovingAverage:
    return "moving-average";
  case Method::Percentile: {
    char text[40];
    std::snprintf(text, sizeof text, "percentile=%.10g", options.percentile);
    return text;
  }
  case Method::Entropy:
    return "entropy";
  case Method::Mse:
    break;
  }
  return "mse";
}

} // namespace sq::calibration
