/// What calibration keeps of one activation: a few numbers, a histogram, ranges per channel, and of
/// inputs of linear layers their second moments,
/// however many samples there were.
#ifndef SQ_LIB_CALIBRATION_TENSORSTATS_H
#define SQ_LIB_CALIBRATION_TENSORSTATS_H

#include <cstdint>
#include <cstddef>
#include <vector>

#include "lib/calibration/Moments.h"

namespace sq::calibration {

/// Counts of values in bins of equal width over [-2^exponent, 2^exponent).
///
/// The width is always a power of two: `exponent` is the least for which all values so far lie
/// inside. A larger value doubles the width by adding pairs of bins, nothing is interpolated.
/// Scaling by a power of two is exact, so the histogram depends on the values alone, not on their
/// order or on how they came in parts.
///
/// Sign and magnitude are binned: bin kBins + k holds k w <= x < (k + 1) w and bin kBins - 1 - k
/// holds -(k + 1) w < x <= -k w; so the two together are bin k of a histogram of |x|.
struct Histogram {
  static constexpr int kBins = 2048; // of |x|
  static constexpr int kMinExponent = -64, kMaxExponent = 128;

  int exponent = kMinExponent;
  std::vector<uint64_t> counts = std::vector<uint64_t>(2 * kBins); // of x

  double width() const;
  /// Adds finite values that do not exceed `maxAbs` in magnitude.
  void add(const float *values, size_t count, float maxAbs);
  void merge(const Histogram &other);
  /// Of |x|.
  std::vector<uint64_t> magnitudes() const;

private:
  void widen(int to);
};

/// What one run of the model showed of one tensor, before it is known whether the run counts.
struct Observation {
  bool isFinite = true;
  float min = 0, max = 0;
  std::vector<float> channelMin, channelMax;
  std::vector<double> channelSum, channelSquares; // of the values, and of their squares
};

/// `values` are rows of `channels` elements, or of no channels (0).
Observation observe(const float *values, size_t count, size_t channels);

/// Everything about one tensor over all samples.
class TensorStats {
public:
  /// Of the moving average: spec integer-only.md 1.3.
  static constexpr double kMomentum = 0.95;

  TensorStats() = default;
  explicit TensorStats(size_t channels) : channelMin(channels), channelMax(channels), channelSum(channels), channelSquares(channels) {}

  /// Adds a run; `seen` is observe() of the same values.
  void add(const float *values, size_t count, const Observation &seen);
  /// As if the runs of `other` had come after those of this. Counts, ranges and histograms are
  /// exactly what one calibration gives, averages and sums up to rounding. False, and nothing is
  /// changed, when the channels differ.
  bool merge(const TensorStats &other);

  size_t channels() const { return channelMin.size(); }
  bool isEmpty() const { return elements == 0; }
  float maxAbs() const;
  /// Of a channel, over all its elements; 0 while empty.
  double channelMean(size_t channel) const {
    return isEmpty() ? 0 : channelSum[channel] * channels() / elements;
  }
  /// The mean of the squares of a channel.
  double channelPower(size_t channel) const {
    return isEmpty() ? 0 : channelSquares[channel] * channels() / elements;
  }

  uint64_t elements = 0;
  uint64_t runs = 0;      // with any elements: steps of the moving average
  float min = 0, max = 0; // 0 while empty
  double averageMin = 0, averageMax = 0;
  float firstMin = 0, firstMax = 0; // of the first run: what makes averages mergeable
  std::vector<float> channelMin, channelMax; // per element of the last dim; empty: not kept
  std::vector<double> channelSum, channelSquares;
  Histogram histogram;
  Moments moments; // of some rows; no channels: not kept
  Moments heldBack; // of rows that `moments` does not have, for choices between what was fitted to that; no channels: not kept
};

} // namespace sq::calibration

#endif
