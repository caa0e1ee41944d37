#include "lib/numerics/IntegerPiecewise.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace sq::numerics;

namespace {

constexpr int kInputs = 1 << IntegerPiecewise::kInputBits;

/// The largest difference from f in units of the result, over all inputs. A
/// correctly rounded result has 0.5.
double largestError(const std::function<double(double)> &f, double low,
                    double high, double resultScale, int64_t resultZero,
                    IntegerRange range) {
  double scale = (high - low) / (kInputs - 1), largest = 0;
  int64_t zero = std::llrint(-low / scale);
  IntegerPiecewise p = IntegerPiecewise::of(Parabolas::of(scale, zero, f),
                                            resultScale, resultZero);
  for (int64_t q = 0; q < kInputs; ++q) {
    double y = f(scale * double(q - zero)) / resultScale + double(resultZero);
    y = std::clamp(y, double(range.lo), double(range.hi));
    largest = std::max(largest, std::fabs(double(p.apply(q, range)) - y));
  }
  return largest;
}

} // namespace

// Bytes: the half of rounding and a few hundredths of a unit.
TEST(IntegerPiecewise, Bytes) {
  IntegerRange bytes = IntegerRange::of(8, true);
  EXPECT_LE(largestError(gelu, -4, 10, 10.2 / 255, 4, bytes), 0.55);
  EXPECT_LE(largestError(gelu, -4, 4, 4.2 / 255, 10, bytes), 0.55);
  EXPECT_LE(largestError([](double x) { return std::tanh(x); }, -4, 4,
                         2.0 / 255, 128, bytes),
            0.55);
  EXPECT_LE(largestError(sigmoid, -8, 8, 1.0 / 255, 0, bytes), 0.55);
  EXPECT_LE(largestError([](double x) { return x * sigmoid(x); }, -9, 12,
                         12.3 / 255, 6, bytes),
            0.55);
  EXPECT_LE(largestError([](double x) { return std::exp(x); }, -6, 0, 1.0 / 255,
                         0, bytes),
            0.55);
  // A line is exact.
  EXPECT_LE(
      largestError([](double x) { return 3 * x - 1; }, -1, 1, 0.03, 100, bytes),
      0.501);
}

// 16 bits: 1e-4 of the range.
TEST(IntegerPiecewise, Words) {
  IntegerRange words = IntegerRange::of(16);
  EXPECT_LE(largestError(gelu, -4, 4, 4.0 / 32767, 0, words), 4);
  EXPECT_LE(largestError([](double x) { return std::tanh(x); }, -4, 4,
                         1.0 / 32767, 0, words),
            12);
  EXPECT_LE(largestError(sigmoid, -8, 8, 1.0 / 32767, 0, words), 8);
}

// What is beyond the result's bits is at its limit, however far.
TEST(IntegerPiecewise, Saturates) {
  IntegerRange bytes = IntegerRange::of(8);
  IntegerPiecewise p = IntegerPiecewise::of(
      Parabolas::of(1, 0, [](double x) { return x; }), 0.01, 0);
  EXPECT_EQ(p.apply(0, bytes), 0);
  EXPECT_EQ(p.apply(1, bytes), 100);
  EXPECT_EQ(p.apply(2, bytes), 127);
  EXPECT_EQ(p.apply(8191, bytes), 127);
}

// No sum leaves 32 bits, whatever the function is.
TEST(IntegerPiecewise, SumsFit) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::uniform_real_distribution<double> unit(-1, 1);
    double a = unit(random), b = unit(random), w = std::exp(3 * unit(random)),
           scale = std::exp(6 * unit(random)), out = std::exp(8 * unit(random));
    auto f = [&](double x) { return a * std::sin(w * x) + b * x; };
    IntegerPiecewise p;
    try {
      p = IntegerPiecewise::of(Parabolas::of(scale, 4096, f), out, 7);
    } catch (const Error &) {
      continue; // too steep
    }
    for (int i = 0; i < IntegerPiecewise::kSegments; ++i) {
      EXPECT_LT(std::abs(int64_t(p.bases[i])) +
                    128 * std::abs(int64_t(p.slopes[i])) +
                    16384 * std::abs(int64_t(p.curves[i])),
                INT64_C(1) << 31);
      EXPECT_EQ(p.slopes[i], int16_t(p.slopes[i]));
      EXPECT_EQ(p.curves[i], int16_t(p.curves[i]));
    }
  }
}

TEST(IntegerPiecewise, Refusals) {
  EXPECT_THROW(Parabolas::of(0.01, 0, [](double x) { return std::log(x); }),
               Error); // -inf at 0
  EXPECT_THROW(Parabolas::of(0.01, 4096, [](double x) { return std::sqrt(x); }),
               Error);
  EXPECT_THROW(Parabolas::of(0, 0, gelu), Error);
  EXPECT_THROW(
      IntegerPiecewise::of(
          Parabolas::of(1, 0, [](double x) { return x * 1e6; }), 1e-3, 0),
      Error);
  EXPECT_THROW(IntegerPiecewise::of(Parabolas::of(1, 0, gelu), -1, 0), Error);
}
