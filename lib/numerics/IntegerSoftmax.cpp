#include "lib/numerics/IntegerSoftmax.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace sq::numerics;
using Row = std::vector<int64_t>;

template <typename Exp>
static Row expRow(const Exp &exp, const Row &q, const std::vector<bool> &keep, FullyMasked masked) {
  bool all = keep.empty() || (masked == FullyMasked::Uniform &&
                              std::find(keep.begin(), keep.end(), true) == keep.end());
  int64_t largest = INT64_MIN;
  for (size_t i = 0; i < q.size(); ++i)
    if (all || keep[i])
      largest = std::max(largest, q[i]);
  Row e(q.size(), 0);
  for (size_t i = 0; i < q.size(); ++i)
    if (all || keep[i])
      e[i] = exp.apply(largest - q[i]);
  return e;
}

Row sq::numerics::integerExpRow(const IntegerExp &exp, const Row &q, const std::vector<bool> &keep, FullyMasked masked) {
  return expRow(exp, q, keep, masked);
}

Row sq::numerics::octaveExpRow(const OctaveExp &exp, const Row &q, const std::vector<bool> &keep, FullyMasked masked) {
  return expRow(exp, q, keep, masked);
}

OctaveExp OctaveExp::of(double scale) {
  checkScale(scale, "the scale of scores");
  // Steps of t by a step of d, as a fraction in [1/2, 1) times 2^exponent.
  int exponent;
  double fraction = std::frexp(scale * 32 / std::log(2.0), &exponent);
  int shift = -4 - exponent; // the factor is then 1024 to 2047: t reaches 1023, d' is 16 to 32 times as fine as t
  if (shift < -15)
    return {-15, 2047}; // any difference but 0 is far
  double factor = std::ldexp(fraction, 11 - std::max(shift - 31, 0));
  return {std::min(shift, 31), std::min<int64_t>(std::llrint(factor), 2047)};
}

int64_t OctaveExp::apply(int64_t d) const {
  constexpr int64_t kMost = (1 << 15) - 1;
  d = std::min(shift < 0 ? std::min(d, kMost) << -shift : d >> shift, kMost);
  int64_t t = (d * factor + (1 << 14)) >> 15;
  return ((entry(t & 31) >> (t >> 5)) + 64) >> 7;
}

int64_t OctaveExp::entry(int i) { return std::llrint(255 * 128 * std::exp2(-i / 32.0)); }

Dyadic sq::numerics::contextScale(double ratio) {
  Dyadic d = Dyadic::of(ratio);
  if (d.e < 8) // 2^23 and more: any result but 0 is at its limit
    return {INT32_MAX, 8};
  return d.e <= 38 ? d : Dyadic{d.e - 38 > 31 ? 0 : shiftRounded(d.m, d.e - 38, Rounding::HalfEven), 38};
}

ContextFactor ContextFactor::of(Dyadic out, int64_t sum) {
  sum = std::max<int64_t>(sum, 1);
  int l = bitLength(sum);
  return {(out.m << (l - 1)) / sum, out.e + l - 1};
}

int64_t ContextFactor::apply(int64_t acc) const { return shiftRounded(acc * reciprocal, shift, Rounding::HalfUp); }

Row sq::numerics::probabilities(const Row &e) {
  int64_t sum = std::accumulate(e.begin(), e.end(), int64_t(0));
  Row p(e.size(), 0);
  if (sum == 0)
    return p;
  int t = bitLength(sum);
  __int128 reciprocal = (__int128(1) << (t + 23)) / sum;
  for (size_t i = 0; i < e.size(); ++i)
    p[i] = std::min<int64_t>(
        255, static_cast<int64_t>((e[i] * reciprocal + (__int128(1) << (t + 14))) >> (t + 15)));
  return p;
}

Row sq::numerics::probabilitiesByDivision(const Row &e) {
  int64_t sum = std::accumulate(e.begin(), e.end(), int64_t(0));
  Row p(e.size(), 0);
  for (size_t i = 0; sum && i < e.size(); ++i)
    p[i] = std::min<int64_t>(255, (256 * e[i] + sum / 2) / sum);
  return p;
}

Row sq::numerics::deferredProbabilities(const IntegerExp &exp, const Row &e) {
  Row p;
  for (int64_t value : e)
    p.push_back((255 * value + exp.one / 2) / exp.one);
  return p;
}

int64_t sq::numerics::normalizeContext(int64_t acc, int64_t sum) {
  if (sum == 0)
    return 0;
  // A short reciprocal, such as 2^24 / sum, would keep 5 bits of a long row.
  int l = bitLength(sum);
  int64_t reciprocal = (int64_t(1) << (l + 30)) / sum;
  return shiftRounded(acc * reciprocal, l + 14, Rounding::HalfUp);
}
