#include "passes/ExpectedError.h"

#include <cmath>

using namespace sq;
using calibration::Histogram;

/// The sum of f(x) over the histogram, by the middles of its bins, for each value seen.
template <typename F> static double meanOver(const Histogram &histogram, F f) {
  double sum = 0, total = 0, width = histogram.width();
  for (size_t bin = 0; bin < histogram.counts.size(); ++bin)
    if (double count = histogram.counts[bin]) {
      double x = (double(bin) - Histogram::kBins + 0.5) * width;
      sum += count * f(x);
      total += count;
    }
  return total ? sum / total : 0;
}

double sq::roundingPower(const calibration::TensorStats &stats, double scale, int64_t zero) {
  return meanOver(stats.histogram, [&](double x) {
    double step = std::clamp<double>(std::nearbyint(x / scale) + zero, 0, QuantizedWeight::kSteps);
    double lost = x - (step - zero) * scale;
    return lost * lost;
  });
}

double sq::expectedSqnr(const QuantizedWeight &layer, int64_t first, int64_t count) {
  bool isScaled = !layer.factors.empty();
  double step = layer.scale() * layer.scale() / 12;
  double common = isScaled ? 0 : roundingPower(layer.stats, layer.scale(), layer.zero());
  double power = layer.perChannel ? 0 : meanOver(layer.stats.histogram, [](double x) { return x * x; });
  std::vector<double> mean(count), signal(count);
  double noise = 0;
  for (int64_t k = 0; k < layer.k; ++k) {
    double factor = isScaled ? layer.factors[k] : 1, mu = 0, variance = power;
    if (layer.perChannel) {
      mu = layer.stats.channelMean(k) * factor;
      variance = std::max(layer.stats.channelPower(k) * factor * factor - mu * mu, 0.0);
    }
    double lost = isScaled ? std::min(step, variance + mu * mu) : common;
    for (int64_t n = 0; n < count; ++n) {
      int64_t at = k * layer.n + first + n;
      double w = layer.weight[at], q = layer.stored[at] * layer.scales[first + n];
      mean[n] += mu * w;
      signal[n] += variance * w * w;
      noise += lost * q * q;
      if (layer.feedbackNoise.empty())
        noise += variance * (w - q) * (w - q);
    }
  }
  for (int64_t n = first; n < first + count && !layer.feedbackNoise.empty(); ++n)
    noise += layer.feedbackNoise[n];
  double sum = 0;
  for (int64_t n = 0; n < count; ++n)
    sum += signal[n] + mean[n] * mean[n];
  return 10 * std::log10(sum / noise);
}
