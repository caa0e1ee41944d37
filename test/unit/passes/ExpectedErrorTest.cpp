/// The expected error of a layer in 8 bits against that of a layer computed.
#include "passes/ExpectedError.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "lib/calibration/Range.h"
#include "sq/compiler.h"

using namespace sq;
using calibration::TensorStats;

namespace {

struct Layer {
  int64_t rows = 2000, k = 24, n = 10;
  std::vector<float> x, weight;

  /// Channel c is normal around mean(c) with deviation size(c).
  template <typename M, typename S> Layer(unsigned seed, M mean, S size) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < rows * k; ++i)
      x.push_back(mean(i % k) + size(i % k) * normal(random));
    for (int64_t i = 0; i < k * n; ++i)
      weight.push_back(normal(random));
  }

  TensorStats stats(bool perChannel) const {
    TensorStats stats(perChannel ? k : 0);
    stats.add(x.data(), x.size(), calibration::observe(x.data(), x.size(), stats.channels()));
    return stats;
  }

  /// What the passes make of it.
  QuantizedWeight quantise(const TensorStats &stats, bool smooth, bool feedback = false,
                           float levels = QuantizedWeight::kLevels) const {
    QuantizedWeight made(stats, k, QuantizedWeight::Part{weight, std::vector<float>(n), n, false, levels}, feedback);
    calibration::RangeOptions options;
    options.symmetric = false;
    calibration::Range range = chooseRange(stats, options);
    made.low = range.min;
    made.high = range.max;
    if (smooth)
      made.smooth();
    made.roundWeight();
    return made;
  }

  /// Of x w, rounded as the layer rounds, with its corrected bias.
  double measuredSqnr(const QuantizedWeight &layer) const {
    std::vector<float> bias = layer.correctedBias();
    double signal = 0, noise = 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double exact = 0, rounded = bias[c];
        for (int64_t i = 0; i < k; ++i) {
          double factor = layer.factors.empty() ? 1 : layer.factors[i], scaled = x[r * k + i] * factor;
          double step = std::clamp<double>(std::nearbyint(scaled / layer.scale()) + layer.zero(), 0, QuantizedWeight::kSteps);
          exact += double(x[r * k + i]) * weight[i * n + c];
          rounded += (step - layer.zero()) * layer.scale() * layer.stored[i * n + c] * layer.scales[c];
        }
        signal += exact * exact;
        noise += (rounded - exact) * (rounded - exact);
      }
    return 10 * std::log10(signal / noise);
  }
};

/// A decibel: rounding is as good as independent of x, with 20000 results to sum over.
constexpr double kTolerance = 1;

TEST(ExpectedError, AsMeasured) {
  auto one = [](int64_t) { return 1.0f; };
  auto zero = [](int64_t) { return 0.0f; };
  auto offset = [](int64_t c) { return c % 3 * 2.0f; };
  auto uneven = [](int64_t c) { return c == 5 ? 60.0f : c % 2 ? 1.0f : 0.2f; };
  std::vector<Layer> layers;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    layers.emplace_back(seed, zero, one);
    layers.emplace_back(seed, offset, one);
    layers.emplace_back(seed, zero, uneven);
    layers.emplace_back(seed, offset, uneven);
  }
  for (const Layer &layer : layers)
    for (bool smooth : {false, true}) {
      TensorStats stats = layer.stats(true);
      QuantizedWeight made = layer.quantise(stats, smooth);
      EXPECT_NEAR(expectedSqnr(made), layer.measuredSqnr(made), kTolerance) << "smoothed " << smooth;
    }
}

/// Channels that depend on each other, so that rows of the weight take over each other's errors.
TEST(ExpectedError, WithFeedback) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    Layer layer(seed, [](int64_t c) { return c % 3 * 0.5f; }, [](int64_t) { return 1.0f; });
    for (int64_t r = 0; r < layer.rows; ++r)
      for (int64_t c = 1; c < layer.k; ++c)
        layer.x[r * layer.k + c] += layer.x[r * layer.k + c - 1] * 0.7f;
    TensorStats stats = layer.stats(true);
    stats.moments = calibration::Moments(layer.k);
    stats.moments.add(layer.x.data(), layer.rows, layer.rows, 0);
    stats.moments.flush();
    for (bool smooth : {false, true}) {
      QuantizedWeight made = layer.quantise(stats, smooth, /*feedback=*/true);
      ASSERT_EQ(int64_t(made.feedbackNoise.size()), layer.n);
      EXPECT_NEAR(expectedSqnr(made), layer.measuredSqnr(made), 2 * kTolerance) << "smoothed " << smooth;
    }
  }
}

/// Weights of 2 to 7 bits: no value beyond theirs, each bit worth about 6 dB where the weight is what loses most.
TEST(ExpectedError, FewerBits) {
  Layer layer(5, [](int64_t) { return 0.0f; }, [](int64_t) { return 1.0f; });
  TensorStats stats = layer.stats(true);
  double before = 0;
  for (int bits = 2; bits <= 7; ++bits) {
    int levels = (1 << (bits - 1)) - 1;
    QuantizedWeight made = layer.quantise(stats, false, false, levels);
    int most = 0;
    for (int8_t q : made.stored)
      most = std::max(most, std::abs(int(q)));
    EXPECT_EQ(most, levels) << bits; // (All are used.)
    double sqnr = expectedSqnr(made);
    EXPECT_NEAR(sqnr, layer.measuredSqnr(made), kTolerance) << bits;
    EXPECT_GT(sqnr, before + 2) << bits;
    before = sqnr;
  }
}

TEST(ExpectedError, WithoutChannels) {
  Layer layer(7, [](int64_t) { return 0.0f; }, [](int64_t) { return 1.0f; });
  TensorStats stats = layer.stats(false);
  QuantizedWeight made = layer.quantise(stats, false);
  EXPECT_FALSE(made.perChannel);
  EXPECT_NEAR(expectedSqnr(made), layer.measuredSqnr(made), kTolerance);
}

TEST(ExpectedError, ALargeOffsetThatTheWeightCancels) {
  Layer layer(9, [](int64_t) { return 1000.0f; }, [](int64_t) { return 1.0f; });
  for (int64_t c = 0; c < layer.n; ++c)
    for (int64_t r = 0; r < layer.k; r += 2)
      layer.weight[(r + 1) * layer.n + c] = -layer.weight[r * layer.n + c];
  TensorStats stats = layer.stats(true);
  QuantizedWeight made = layer.quantise(stats, true);
  EXPECT_LT(expectedSqnr(made), kMinLayerSqnr);
  EXPECT_LT(layer.measuredSqnr(made), kMinLayerSqnr);
}

TEST(ExpectedError, NothingToLose) {
  Layer layer(11, [](int64_t) { return 0.0f; }, [](int64_t) { return 0.0f; });
  TensorStats stats = layer.stats(true);
  EXPECT_FALSE(std::isfinite(expectedSqnr(layer.quantise(stats, true))));
}

} // namespace
