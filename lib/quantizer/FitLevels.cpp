#include "lib/quantizer/FitLevels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/quantizer/Parallel.h"
#include "lib/quantizer/WeightedKMeans.h"

using namespace sq;
using namespace sq::quantizer;

static constexpr int64_t kRowsAtOnce = 8;

void quantizer::fitTables(CompressedWeight &weight, const float *wanted,
                          Importance importance,
                          const std::vector<uint8_t> &removed, int threads) {
  int64_t k = weight.k;
  std::vector<float> channels;
  if (importance.channels) {
    // As floats by the largest: moments may be of any size.
    double largest =
        *std::max_element(importance.channels, importance.channels + k);
    for (int64_t c = 0; c < k; ++c)
      channels.push_back(largest > 0 ? importance.channels[c] / largest : 1);
  }
  parallelFor(weight.n, kRowsAtOnce, threads, [&](int64_t from, int64_t to) {
    WeightedKMeans clusters;
    std::vector<double> centroids(weight.levels());
    for (int64_t r = from; r < to; ++r) {
      const float *by = importance.elements ? importance.elements + r * k
                        : channels.empty()  ? nullptr
                                            : channels.data();
      clusters.cluster(wanted + r * k, by,
                       removed.empty() ? nullptr : removed.data() + r * k, k,
                       weight.levels(), centroids.data());
      weight.writeLevels(r, 0, centroids.data());
    }
  });
}

namespace {

/// The ends of a group's grid.
struct Ends {
  double low, high;
};

Ends endsOf(GridKind kind, const float *values, int64_t count, int levels) {
  auto [least, most] = std::minmax_element(values, values + count);
  if (kind == GridKind::Uniform)
    return {*least, *most};
  // The largest magnitude, with its sign, is level -levels / 2.
  double largest = -*least > *most ? *least : *most,
         step = -largest / (levels / 2);
  return {largest, largest + step * (levels - 1)};
}

double errorOf(const float *values, const double *channels, int64_t count,
               const float *level, int levels) {
  double sum = 0, low = level[0],
         step = (double(level[levels - 1]) - low) / (levels - 1),
         inverse = step ? 1 / step : 0;
  for (int64_t i = 0; i < count; ++i) {
    int code = std::clamp<double>(std::nearbyint((values[i] - low) * inverse),
                                  0, levels - 1);
    double lost = values[i] - level[code];
    sum += (channels ? channels[i] : 1) * lost * lost;
  }
  return sum;
}

} // namespace

void quantizer::fitUniform(CompressedWeight &weight, const float *wanted,
                           const double *channels, bool search, int threads) {
  constexpr double kLowest = 0.6, kStep = 0.025;
  int levels = weight.levels();
  parallelFor(weight.n, kRowsAtOnce, threads, [&](int64_t from, int64_t to) {
    std::vector<double> wantedLevels(levels);
    std::vector<float> level(levels);
    for (int64_t r = from; r < to; ++r)
      for (int64_t g = 0; g < weight.groups(); ++g) {
        int64_t first = g * weight.groupSize(),
                count = std::min(weight.groupSize(), weight.k - first);
        const float *values = wanted + r * weight.k + first;
        Ends ends = endsOf(weight.format.kind, values, count, levels);
        auto write = [&](double share) {
          for (int c = 0; c < levels; ++c)
            wantedLevels[c] =
                share * (ends.low + (ends.high - ends.low) * c / (levels - 1));
          weight.writeLevels(r, g, wantedLevels.data());
        };
        double best = 1, least = std::numeric_limits<double>::infinity();
        for (double share = 1; search && share >= kLowest - kStep / 2;
             share -= kStep) {
          write(share);
          weight.readLevels(r, g, level.data());
          double error = errorOf(values, channels ? channels + first : nullptr,
                                 count, level.data(), levels);
          if (error < least) {
            least = error;
            best = share;
          }
        }
        write(best);
      }
  });
}
