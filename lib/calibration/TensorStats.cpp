#include "lib/calibration/TensorStats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sq::calibration {

double Histogram::width() const { return std::ldexp(1.0 / kBins, exponent); }

void Histogram::widen(int to) {
  if (to <= exponent)
    return;
  // Doubling by pairs s times adds up runs of 2^s bins.
  int shift = std::min(to - exponent, 31);
  std::vector<uint64_t> wide(counts.size());
  for (int k = 0; k < kBins; ++k) {
    wide[kBins + (k >> shift)] += counts[kBins + k];
    wide[kBins - 1 - (k >> shift)] += counts[kBins - 1 - k];
  }
  counts = std::move(wide);
  exponent = to;
}

void Histogram::add(const float *values, size_t count, float maxAbs) {
  if (count == 0)
    return;
  int needed = kMinExponent;
  if (maxAbs > 0)
    std::frexp(maxAbs, &needed); // 2^(needed - 1) <= maxAbs < 2^needed
  widen(needed);
  const float scale = std::ldexp(static_cast<float>(kBins), -exponent);

  // Bins of a block first: that is a loop of vectors.
  constexpr size_t kBlock = 512;
  alignas(64) int32_t bins[kBlock];
  auto binsOf = [&](const float *x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      int32_t bits;
      std::memcpy(&bits, x + i, sizeof bits);
      bins[i] = static_cast<int32_t>(x[i] * scale) + kBins + (bits >> 31);
    }
  };
  if (count < counts.size()) { // clearing the tables would cost more than they save
    for (size_t at = 0; at < count; at += kBlock) {
      size_t n = std::min(kBlock, count - at);
      binsOf(values + at, n);
      for (size_t i = 0; i < n; ++i)
        ++counts[bins[i]];
    }
    return;
  }
  // Increments of one address wait for each other, and neighbours often share a bin: two tables.
  constexpr size_t kMost = size_t(1) << 31; // that their counters can hold
  for (size_t done = 0; done < count;) {
    size_t part = std::min(kMost, count - done);
    std::vector<uint32_t> even(counts.size()), odd(counts.size());
    for (size_t at = 0; at < part; at += kBlock) {
      size_t n = std::min(kBlock, part - at), i = 0;
      binsOf(values + done + at, n);
      for (; i + 2 <= n; i += 2) {
        ++even[bins[i]];
        ++odd[bins[i + 1]];
      }
      if (i < n)
        ++even[bins[i]];
    }
    for (size_t k = 0; k < counts.size(); ++k)
      counts[k] += uint64_t(even[k]) + odd[k];
    done += part;
  }
}

void Histogram::merge(const Histogram &other) {
  Histogram copy = other;
  int to = std::max(exponent, copy.exponent);
  widen(to);
  copy.widen(to);
  for (size_t k = 0; k < counts.size(); ++k)
    counts[k] += copy.counts[k];
}

std::vector<uint64_t> Histogram::magnitudes() const {
  std::vector<uint64_t> folded(kBins);
  for (int k = 0; k < kBins; ++k)
    folded[k] = counts[kBins + k] + counts[kBins - 1 - k];
  return folded;
}

namespace {

/// Whether all are finite: no NaN, no infinity. Integers, so that it is vectorised.
bool allFinite(const float *values, size_t count) {
  constexpr int32_t kInfinity = 0x7f800000;
  int32_t bad = 0;
  for (size_t i = 0; i < count; ++i) {
    int32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & 0x7fffffff) >= kInfinity;
  }
  return !bad;
}

} // namespace

Observation observe(const float *values, size_t count, size_t channels) {
  Observation seen;
  seen.isFinite = allFinite(values, count);
  if (count == 0 || !seen.isFinite)
    return seen;
  // Without channels the lanes of a vector are treated as such.
  size_t lanes = channels ? channels : std::min<size_t>(count, 64);
  std::vector<float> low(values, values + lanes), high(low);
  std::vector<float> part(channels), partSquares(channels);
  std::vector<double> sum(channels), squares(channels);
  float *__restrict lowest = low.data(), *__restrict highest = high.data(), *__restrict sums = part.data(),
        *__restrict powers = partSquares.data();
  // Few floats are added before a double takes them: 32 rows, whoever computes them.
  constexpr size_t kRows = 32;
  size_t rows = count / lanes;
  for (size_t row = 0; row < rows; ++row) {
    const float *x = values + row * lanes;
    for (size_t i = 0; i < lanes; ++i) {
      lowest[i] = x[i] < lowest[i] ? x[i] : lowest[i];
      highest[i] = x[i] > highest[i] ? x[i] : highest[i];
    }
    for (size_t i = 0; i < channels; ++i)
      sums[i] += x[i];
    for (size_t i = 0; i < channels; ++i)
      powers[i] += x[i] * x[i];
    if (row % kRows == kRows - 1 || row == rows - 1)
      for (size_t i = 0; i < channels; ++i) {
        sum[i] += part[i];
        squares[i] += partSquares[i];
        part[i] = partSquares[i] = 0;
      }
  }
  for (size_t i = rows * lanes; i < count; ++i) { // only without channels
    low[0] = std::min(low[0], values[i]);
    high[0] = std::max(high[0], values[i]);
  }
  seen.min = *std::min_element(low.begin(), low.end());
  seen.max = *std::max_element(high.begin(), high.end());
  if (channels) {
    seen.channelMin = std::move(low);
    seen.channelMax = std::move(high);
    seen.channelSum = std::move(sum);
    seen.channelSquares = std::move(squares);
  }
  return seen;
}

float TensorStats::maxAbs() const { return std::max(std::fabs(min), std::fabs(max)); }

void TensorStats::add(const float *values, size_t count, const Observation &seen) {
  if (count == 0)
    return;
  histogram.add(values, count, std::max(std::fabs(seen.min), std::fabs(seen.max)));
  if (isEmpty()) {
    min = firstMin = seen.min;
    max = firstMax = seen.max;
    averageMin = seen.min;
    averageMax = seen.max;
    channelMin = seen.channelMin;
    channelMax = seen.channelMax;
    channelSum = seen.channelSum;
    channelSquares = seen.channelSquares;
  } else {
    min = std::min(min, seen.min);
    max = std::max(max, seen.max);
    averageMin = kMomentum * averageMin + (1 - kMomentum) * seen.min;
    averageMax = kMomentum * averageMax + (1 - kMomentum) * seen.max;
    for (size_t i = 0; i < channels(); ++i) {
      channelMin[i] = std::min(channelMin[i], seen.channelMin[i]);
      channelMax[i] = std::max(channelMax[i], seen.channelMax[i]);
      channelSum[i] += seen.channelSum[i];
      channelSquares[i] += seen.channelSquares[i];
    }
  }
  elements += count;
  ++runs;
}

bool TensorStats::merge(const TensorStats &other) {
  if (channels() != other.channels() || moments.channels() != other.moments.channels() ||
      heldBack.channels() != other.heldBack.channels())
    return false;
  if (other.isEmpty())
    return true;
  if (isEmpty()) {
    *this = other;
    return true;
  }
  // With m the average before, a series x1..xn gives m^n m + sum_t c_t x_t, where c_1 of a series
  // that begins with x1 is larger by momentum^n: what m takes over.
  double weight = std::pow(kMomentum, static_cast<double>(other.runs));
  averageMin = other.averageMin + weight * (averageMin - other.firstMin);
  averageMax = other.averageMax + weight * (averageMax - other.firstMax);
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  for (size_t i = 0; i < channels(); ++i) {
    channelMin[i] = std::min(channelMin[i], other.channelMin[i]);
    channelMax[i] = std::max(channelMax[i], other.channelMax[i]);
    channelSum[i] += other.channelSum[i];
    channelSquares[i] += other.channelSquares[i];
  }
  histogram.merge(other.histogram);
  moments.merge(other.moments);
  heldBack.merge(other.heldBack);
  elements += other.elements;
  runs += other.runs;
  return true;
}

} // namespace sq::calibration
