#include "lib/sensitivity/Hutchinson.h"

#include <cmath>

#include "lib/sensitivity/Philox.h"

namespace sq::sensitivity {

constexpr uint32_t kProbePurpose =
    0x50000000; // of random blocks; the layer is added

void rademacher(uint64_t seed, uint32_t layer, uint32_t probe, float *v,
                size_t count) {
  for (size_t at = 0; at < count; at += 128) {
    auto block = randomBlock(seed, kProbePurpose + layer, probe, at / 128);
    for (size_t i = 0; i < 128 && at + i < count; ++i)
      v[at + i] = block[i / 32] >> (i % 32) & 1 ? 1.0f : -1.0f;
  }
}

double dot(const float *v, const float *x, size_t count) {
  double sums[8] = {}; // so that the additions overlap
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (size_t k = 0; k < 8; ++k)
      sums[k] += double(v[i + k]) * x[i + k];
  for (; i < count; ++i)
    sums[0] += double(v[i]) * x[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
         ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

double differenceStep(const float *weights, size_t count) {
  double norm = count ? std::sqrt(dot(weights, weights, count) / double(count))
                      : 0; // ||v||^2 is the count
  return norm > 0 ? 1e-3 * norm : 1e-3;
}

bool areConverged(const std::vector<Trace> &traces, double tolerance) {
  constexpr uint64_t kLeast = 16;
  for (const Trace &trace : traces)
    if (trace.probes < kLeast ||
        trace.standardError() > tolerance * std::abs(trace.mean))
      return false;
  return true;
}

Status
powerIteration(size_t count, uint64_t seed, uint32_t layer, double tolerance,
               uint32_t most,
               const std::function<Status(const std::vector<float> &v,
                                          std::vector<float> &hv)> &product,
               Eigenvalue &result) {
  result = {};
  std::vector<float> v(count), hv(count);
  if (count == 0)
    return {};
  rademacher(seed, layer, UINT32_MAX, v.data(),
             count); // no probe has that number
  for (float &x : v)
    x /= std::sqrt(float(count));
  while (result.steps < most) {
    if (Status s = product(v, hv); !s.ok())
      return s;
    double value = dot(v.data(), hv.data(), count),
           norm = std::sqrt(dot(hv.data(), hv.data(), count));
    result.change = std::abs(value - result.value) / (std::abs(value) + 1e-12);
    result.value = value;
    ++result.steps;
    if (norm == 0 || (result.steps > 1 && result.change < tolerance))
      break;
    for (size_t i = 0; i < count; ++i)
      v[i] = float(hv[i] / norm);
  }
  return {};
}

} // namespace sq::sensitivity
