#include "lib/numerics/IntegerNorm.h"

#include "lib/numerics/IntegerSqrt.h"
#include "lib/numerics/Tensor.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;
using Row = std::vector<int64_t>;

IntegerNorm IntegerNorm::of(int64_t channels, bool centred, int bits, double scale, double epsilon) {
  checkScale(scale, "a norm's input");
  if (channels < 1 || !(epsilon >= 0) || !std::isfinite(epsilon))
    throw Error("a norm needs at least one channel and an epsilon of 0 or more");
  // Squares of (bits - 1) magnitude bits and `shift` fraction bits, `channels` of them, < 2^61.
  int logChannels = bitLength(channels - 1), room = 61 - 2 * (bits - 1) - logChannels;
  if (room < 0)
    throw Error("the squares of " + std::to_string(channels) + " integers of " +
                std::to_string(bits) + " bits do not fit 64 bits; requantize to " +
                std::to_string((61 - logChannels) / 2 + 1) + " bits before the norm");
  IntegerNorm n{channels, centred, 0, 0};
  if (centred)
    n.shift = std::max(0, std::min({16, 30 - bits, room / 2}));
  auto scaled = [&] {
    return std::nearbyint(std::ldexp(double(channels) * epsilon, 2 * n.shift) / (scale * scale));
  };
  while (scaled() >= 0x1p61 && n.shift > 0)
    --n.shift;
  if (scaled() >= 0x1p61)
    throw Error("epsilon " + std::to_string(epsilon) + " is beyond 64 bits in units of the scale " +
                std::to_string(scale) + "; requantize to a coarser scale before the norm");
  n.epsilon = static_cast<int64_t>(scaled());
  return n;
}

/// Quotient rounded to minus infinity.
static int64_t floorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

Row IntegerNorm::normalize(const Row &q) const {
  int64_t mean = 0;
  if (centred) {
    int64_t sum = 0;
    for (int64_t value : q)
      sum += value;
    mean = floorDivide(2 * (sum << shift) + channels, 2 * channels);
  }
  Row y;
  int64_t variance = epsilon;
  for (int64_t value : q) {
    y.push_back((value << shift) - mean);
    variance += y.back() * y.back();
  }
  if (variance == 0)
    return Row(q.size(), 0);
  int k = std::max(0, (62 - bitLength(variance)) >> 1);
  int64_t s = integerSqrt(static_cast<uint64_t>(variance) << (2 * k));
  int l = bitLength(s);
  int64_t reciprocal = static_cast<int64_t>((__int128(1) << (l + 30)) / s);
  for (int64_t &value : y)
    value = l > k ? shiftRounded(value * reciprocal, l - k, Rounding::HalfUp)
                  : (value * reciprocal) << (k - l);
  return y;
}

IntegerAffine IntegerAffine::of(const std::vector<double> &gamma, const std::vector<double> &beta,
                                double resultScale) {
  checkScale(resultScale, "a norm's result");
  size_t channels = gamma.size();
  if (channels == 0 || (!beta.empty() && beta.size() != channels))
    throw Error("a norm needs as many shifts as factors, at least one");
  std::vector<double> factors, shifts;
  double largest = 0;
  for (size_t j = 0; j < channels; ++j) {
    factors.push_back(gamma[j] * std::sqrt(double(channels)) * 0x1p-30 / resultScale);
    shifts.push_back(beta.empty() ? 0 : beta[j] / resultScale);
    if (!std::isfinite(factors[j]) || !std::isfinite(shifts[j]))
      throw Error("channel " + std::to_string(j) + " of a norm has a factor or shift that is not "
                  "finite in the result's scale");
    largest = std::max(largest, std::fabs(factors[j]));
  }
  int k = 0;
  std::frexp(largest, &k); // of 0: 0
  // Signed multipliers of 31 bits, and the sum with the shift below 2^62.
  auto fits = [&](int e) {
    for (size_t j = 0; j < channels; ++j) {
      double m = std::nearbyint(std::ldexp(std::fabs(factors[j]), e));
      double b = std::nearbyint(std::ldexp(std::fabs(shifts[j]), e));
      if (m > double(INT32_MAX) || 0x1p30 * m + b >= 0x1p62)
        return false;
    }
    return true;
  };
  int e = std::min(62, 31 - k);
  while (e >= 1 && !fits(e))
    --e;
  if (e < 1)
    throw Error("the factors or shifts of a norm are beyond 64 bits in units of the result's scale " +
                std::to_string(resultScale) + "; use a coarser one");
  IntegerAffine a;
  a.e = e;
  for (size_t j = 0; j < channels; ++j) {
    a.m.push_back(std::llrint(std::ldexp(factors[j], e)));
    a.b.push_back(std::llrint(std::ldexp(shifts[j], e)));
  }
  return a;
}

Row IntegerAffine::apply(const Row &normalized, IntegerRange range, Rounding rounding) const {
  Row out;
  for (size_t j = 0; j < normalized.size(); ++j)
    out.push_back(range.clamp(shiftRounded(normalized[j] * m[j] + b[j], e, rounding)));
  return out;
}
