#include "passes/lower_integer/NormRow.h"

using namespace mlir;
using namespace sq;
using numerics::Interval;

// Squares are below 2^61 (C7 of the norms), epsilon up to 2^61, which the
// mean's rounding does not reach.
static constexpr __int128 kMostVariance = (__int128(1) << 62) - 1;

Ranged NormRow::mean(Arithmetic &a, Value sum) const {
  Ranged total = a.input(sum, ofElement * Interval::of(channels), false);
  Ranged twice =
      a.add(a.shiftLeft(total, a.constant(shift + 1)), a.constant(channels));
  // floor(x / d) = floor((x + n d) / d) - n, with n such that nothing is
  // negative.
  Ranged divisor = a.constant(2 * channels),
         base = a.constant(-static_cast<int64_t>(ofMean().lo));
  Ranged mean =
      a.sub(a.divide(a.add(twice, a.mul(base, divisor)), divisor), base);
  return a.assume(mean, ofMean());
}

/// The variance, and k of the op's description. One of 0 has deviations of 0
/// only: any reciprocal does.
static std::pair<Ranged, Ranged> halfShift(Arithmetic &a, Value variance) {
  Ranged one = a.constant(1);
  Ranged of = a.assume(
      a.maximum(a.input(variance, Interval{0, kMostVariance}, false), one),
      {1, kMostVariance});
  return {of, a.shiftRight(a.sub(a.constant(62), a.bitLength(of)), one)};
}

/// floor(sqrt(n)) of 2^60 <= n < 2^62, as integerSqrt has it but with fewer
/// divisions: a tangent of the root for each of the two octaves is above it by
/// at most 2 %, and three steps of Newton's method leave at most one too much.
static Ranged rootOfNormalized(Arithmetic &a, Ranged n) {
  // At 3/2 of the octave's begin: sqrt(n) <= n / (2 r) + r / 2 for r =
  // sqrt(3/2) 2^30 or sqrt(3) 2^30.
  constexpr double kRoots[] = {1.2247448713915890, 1.7320508075688772};
  auto choose = [&](double low, double high) {
    return a.selectNegative(a.sub(n, a.constant(INT64_C(1) << 61)),
                            a.constant(int64_t(low)),
                            a.constant(int64_t(high)));
  };
  Ranged slope = choose(0x1p31 / kRoots[0], 0x1p31 / kRoots[1]),
         base = choose(0x1p29 * kRoots[0] + 3, 0x1p29 * kRoots[1] + 3);
  Ranged x = a.add(a.shiftRight(a.mul(a.shiftRight(n, a.constant(30)), slope),
                                a.constant(32)),
                   base);
  Interval ofRoot{(__int128(1) << 30) - 1,
                  (__int128(1) << 31) + (__int128(1) << 26)};
  for (int step = 0; step < 3; ++step) {
    x = a.assume(x, ofRoot);
    x = a.shiftRight(a.add(x, a.divide(n, x)), a.constant(1));
  }
  x = a.assume(x, {__int128(1) << 30, __int128(1) << 31});
  Ranged rest = a.sub(n, a.mul(x, x));
  return a.assume(a.selectNegative(rest, a.sub(x, a.constant(1)), x),
                  {__int128(1) << 30, (__int128(1) << 31) - 1});
}

Ranged NormRow::reciprocal(Arithmetic &a, Value variance) const {
  auto [of, k] = halfShift(a, variance);
  // Shifted to 61 or 62 bits; the root has 31.
  Ranged normalized = a.shiftLeftTo(of, a.shiftLeft(k, a.constant(1)),
                                    {__int128(1) << 60, kMostVariance});
  return a.divide(a.constant(INT64_C(1) << 61),
                  rootOfNormalized(a, normalized));
}

Ranged NormRow::shiftOf(Arithmetic &a, Value variance) const {
  return a.sub(a.constant(31), halfShift(a, variance).second);
}
