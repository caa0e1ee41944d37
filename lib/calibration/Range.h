/// From statistics of a tensor to the range that its integers are to cover: spec integer-only.md
/// section 1.3.
#ifndef SQ_LIB_CALIBRATION_RANGE_H
#define SQ_LIB_CALIBRATION_RANGE_H

#include <optional>
#include <string>

#include "lib/calibration/TensorStats.h"

namespace sq::calibration {

enum class Method {
  MinMax,        // nothing of the calibration data is clipped
  MovingAverage, // of the extremes of each run
  Percentile,    // of |x|
  Entropy,       // least Kullback-Leibler divergence between the histogram and its quantised form
  Mse            // least squared error
};

struct RangeOptions {
  Method method = Method::Mse;
  double percentile = 99.99; // of Method::Percentile, in (0, 100]
  int bits = 8;              // 2..16
  bool symmetric = true;     // levels -n..n with n = 2^(bits-1) - 1; else 2^bits levels from min to max
};

struct Range {
  double min = 0, max = 0; // min <= 0 <= max; -min == max when symmetric
  /// Every value seen was zero (or none was seen): the range is the floor of 1e-8, which deserves
  /// a warning.
  bool isAllZero = false;
};

/// The floor of |range|: a scale is never zero.
inline constexpr double kMinRange = 1e-8;

/// The threshold that the method chooses clips both sides; an affine range ends where the values
/// end if that is earlier.
Range chooseRange(const TensorStats &stats, const RangeOptions &options = {});
/// Minimum and maximum of one channel, by the same rules.
Range channelRange(const TensorStats &stats, size_t channel, bool symmetric = true);

/// "minmax", "moving-average", "percentile" (99.99), "percentile=99.9", "entropy", "mse"; nothing
/// for other texts.
std::optional<RangeOptions> parseMethod(const std::string &text);
std::string methodName(const RangeOptions &options);

/// How many bins from zero on the threshold of least divergence covers: in [levels, bins.size()],
/// or bins.size() where there are fewer bins than levels. The first of equal ones.
size_t entropyBins(const std::vector<uint64_t> &bins, size_t levels = 128);

/// The alpha <= `max` of least squared error, by bin midpoints: a grid of hundredths of `max`, then
/// thousandths around the best. `bins` are of x over [-extent, extent), or of |x| over [0, extent).
/// The range is [-alpha, alpha] cut to [low, high], in `steps` equal steps.
double leastSquares(const std::vector<uint64_t> &bins, bool isSigned, double extent, double low, double high, int steps);

/// The upper end of the bin in which `percent` % of all counts are reached.
double percentileOf(const std::vector<uint64_t> &bins, double width, double percent);

} // namespace sq::calibration

#endif
