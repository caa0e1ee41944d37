#include "lib/quantizer/WeightedKMeans.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace sq;
using namespace sq::quantizer;

Status quantizer::checkSensitivities(const float *values, int64_t n, int64_t k,
                                     const std::string &what) {
  for (int64_t at = 0; at < n * k; ++at)
    if (!(values[at] >= 0) || !std::isfinite(values[at])) {
      const char *kind = std::isnan(values[at]) ? "NaN"
                         : values[at] < 0       ? "negative"
                                                : "infinite";
      return Status::refused(
          what + ": the sensitivity of row " + std::to_string(at / k) +
          ", column " + std::to_string(at % k) + " is " + kind +
          "; sums of squared gradients are finite and not below 0");
    }
  return {};
}

namespace {

// One body for each vector length, as in Products.cpp.
#define SQ_INLINE inline __attribute__((always_inline))

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int64_t kLanes = 8; // columns, or splits, that are looked at together

struct Layer {
  const double *mass, *first, *second; // prefix sums
  const double *before;                // D_(c-1)
  double *now;                         // D_c
  int32_t *split;                      // its argmin
  int64_t clusters, count;             // c, m
};

/// Eight doubles as vectors of `Width` bytes: arithmetic on all of them.
template <typename V> struct Lanes {
  static constexpr int64_t kEach = sizeof(V) / sizeof(double),
                           kParts = kLanes / kEach;
  using Mask = decltype(V() < V());
  V part[kParts];

  static SQ_INLINE Lanes load(const double *from) {
    Lanes l;
    std::memcpy(l.part, from, sizeof l.part);
    return l;
  }
  static SQ_INLINE Lanes all(double value) {
    Lanes l;
    for (V &p : l.part)
      p = value - V{};
    return l;
  }
  SQ_INLINE void store(double *to) const { std::memcpy(to, part, sizeof part); }
};

/// Keeps the least D_(c-1)[i] + cost(i, j) and its i. Lanes with i >= j do not
/// count.
template <typename V>
SQ_INLINE void consider(Lanes<V> &best, Lanes<V> &argmin, const Lanes<V> &massI,
                        const Lanes<V> &firstI, const Lanes<V> &secondI,
                        const Lanes<V> &beforeI, const Lanes<V> &i,
                        const Lanes<V> &massJ, const Lanes<V> &firstJ,
                        const Lanes<V> &secondJ, const Lanes<V> &j) {
  for (int64_t p = 0; p < Lanes<V>::kParts; ++p) {
    V zero = {};
    V mass = massJ.part[p] - massI.part[p],
      first = firstJ.part[p] - firstI.part[p];
    V cost = (secondJ.part[p] - secondI.part[p]) - first * first / mass;
    // Weights that vanish beside others have none; what rounding makes of
    // nothing is nothing.
    auto counts = (mass > zero) & (cost > zero);
    cost = counts ? cost : zero;
    V value = beforeI.part[p] + cost;
    auto better = (value < best.part[p]) & (i.part[p] < j.part[p]);
    best.part[p] = better ? value : best.part[p];
    argmin.part[p] = better ? i.part[p] : argmin.part[p];
  }
}

/// D_c[j] from splits in [low, high], lanes being splits.
template <typename V>
SQ_INLINE void one(const Layer &l, int64_t j, int64_t low, int64_t high) {
  using L = Lanes<V>;
  static constexpr double kOffsets[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7};
  L best = L::all(kNever), argmin = L::all(double(low));
  L massJ = L::all(l.mass[j]), firstJ = L::all(l.first[j]),
    secondJ = L::all(l.second[j]), limit = L::all(double(high + 1));
  for (int64_t i = low; i <= high; i += kLanes) {
    L at = L::load(kOffsets);
    for (V &p : at.part)
      p += double(i);
    consider<V>(best, argmin, L::load(l.mass + i), L::load(l.first + i),
                L::load(l.second + i), L::load(l.before + i), at, massJ, firstJ,
                secondJ, limit);
  }
  double values[kLanes], places[kLanes];
  best.store(values);
  argmin.store(places);
  int64_t least = 0;
  for (int64_t lane = 1; lane < kLanes; ++lane)
    if (values[lane] < values[least] ||
        (values[lane] == values[least] && places[lane] < places[least]))
      least = lane;
  l.now[j] = values[least];
  l.split[j] = places[least];
}

/// D_c of [j, j + kLanes) from splits in [low, high], lanes being the j.
template <typename V>
SQ_INLINE void several(const Layer &l, int64_t j, int64_t low, int64_t high) {
  using L = Lanes<V>;
  double numbers[kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane)
    numbers[lane] = double(j + lane);
  L best = L::all(kNever), argmin = L::all(double(low)), at = L::load(numbers);
  L massJ = L::load(l.mass + j), firstJ = L::load(l.first + j),
    secondJ = L::load(l.second + j);
  for (int64_t i = low; i <= high; ++i)
    consider<V>(best, argmin, L::all(l.mass[i]), L::all(l.first[i]),
                L::all(l.second[i]), L::all(l.before[i]), L::all(double(i)),
                massJ, firstJ, secondJ, at);
  double places[kLanes];
  best.store(l.now + j);
  argmin.store(places);
  for (int64_t lane = 0; lane < kLanes; ++lane)
    l.split[j + lane] = places[lane];
}

/// Each kLanes-th j by divide and conquer, then those between two of them,
/// whose splits lie between theirs.
template <typename V> SQ_INLINE void fillLayer(const Layer &l) {
  int64_t begin = l.clusters,
          pivots = (l.count - begin) / kLanes + 1; // begin, begin + kLanes, ...
  struct Range {
    int64_t from, to, low, high;
  };
  Range open[64];
  int depth = 0;
  open[depth++] = {0, pivots, l.clusters - 1, l.count - 1};
  while (depth > 0) {
    Range r = open[--depth];
    if (r.from >= r.to)
      continue;
    int64_t middle = (r.from + r.to) / 2, j = begin + middle * kLanes;
    one<V>(l, j, r.low, std::min(r.high, j - 1));
    open[depth++] = {r.from, middle, r.low, l.split[j]};
    open[depth++] = {middle + 1, r.to, l.split[j], r.high};
  }
  for (int64_t p = 0; p < pivots; ++p) {
    int64_t j = begin + p * kLanes, low = l.split[j];
    int64_t high = p + 1 < pivots ? l.split[j + kLanes] : l.count - 1;
    several<V>(l, j, low,
               std::min(high, std::min(j + kLanes, l.count + 1) - 2));
  }
}

using Doubles2 = double __attribute__((vector_size(16)));
using Doubles4 = double __attribute__((vector_size(32)));
using Doubles8 = double __attribute__((vector_size(64)));

__attribute__((target("avx512f,avx512dq,avx2,fma"))) void
fillLayer512(const Layer &l) {
  fillLayer<Doubles8>(l);
}
__attribute__((target("avx2,fma"))) void fillLayer256(const Layer &l) {
  fillLayer<Doubles4>(l);
}
void fillLayer128(const Layer &l) { fillLayer<Doubles2>(l); }

} // namespace

double WeightedKMeans::collect(const float *values, const float *weights,
                               const uint8_t *removed, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i)
    if (!removed || !removed[i])
      largest = std::max(largest, weights ? weights[i] : 1);
  bool areEqual = !weights || !(largest > 0);
  scale = areEqual ? 1 : largest;
  points.clear();
  for (int64_t i = 0; i < count; ++i)
    if ((!removed || !removed[i]) && (areEqual || weights[i] > 0))
      points.push_back({values[i], areEqual ? 1 : weights[i]});
  std::sort(points.begin(), points.end(),
            [](Point a, Point b) { return a.value < b.value; });
  x.clear();
  s.clear();
  for (Point p : points) {
    double share = p.weight / scale;
    if (!x.empty() && x.back() == p.value) {
      s.back() += share;
      continue;
    }
    x.push_back(p.value);
    s.push_back(share);
  }
  // Sums of squares far from 0 would cancel in the tails.
  double sum = 0, total = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += s[i] * x[i];
    total += s[i];
  }
  double mean = x.empty() ? 0 : sum / total;
  distinct = x;
  for (double &value : x)
    value -= mean;
  return mean;
}

/// The ends of the clusters of least cost; there are more points than clusters.
void WeightedKMeans::split(int centroids) {
  int64_t m = x.size(), padded = m + 1 + kLanes; // vectors read past the end
  mass.assign(padded, 0);
  first.assign(padded, 0);
  second.assign(padded, 0);
  for (int64_t i = 0; i < m; ++i) {
    mass[i + 1] = mass[i] + s[i];
    first[i + 1] = first[i] + s[i] * x[i];
    second[i + 1] = second[i] + s[i] * x[i] * x[i];
  }
  before.assign(padded, kNever);
  now.assign(padded, kNever);
  splits.resize(centroids * padded);
  for (int64_t j = 1; j <= m; ++j)
    before[j] = std::max(0.0, second[j] - first[j] * first[j] / mass[j]);
  static const int bytes =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
          ? 64
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 32
                                                                        : 16;
  for (int c = 2; c < centroids; ++c) {
    Layer layer{mass.data(),
                first.data(),
                second.data(),
                before.data(),
                now.data(),
                splits.data() + (c - 1) * padded,
                c,
                m};
    (bytes == 64   ? fillLayer512
     : bytes == 32 ? fillLayer256
                   : fillLayer128)(layer);
    std::fill(now.begin(), now.begin() + c, kNever);
    std::swap(before, now);
  }
  ends.assign(centroids + 1, 0);
  ends[centroids] = m;
  // Of the last layer only its last element counts.
  double least = kNever;
  for (int64_t i = centroids - 1; i < m && centroids > 1; ++i) {
    double weight = mass[m] - mass[i], sum = first[m] - first[i];
    double value =
        before[i] +
        (weight > 0 ? std::max(0.0, second[m] - second[i] - sum * sum / weight)
                    : 0);
    if (value < least) {
      least = value;
      ends[centroids - 1] = i;
    }
  }
  for (int c = centroids - 1; c > 1; --c)
    ends[c - 1] = splits[(c - 1) * padded + ends[c]];
}

double WeightedKMeans::cluster(const float *values, const float *weights,
                               const uint8_t *removed, int64_t count,
                               int centroids, double *result) {
  double mean = collect(values, weights, removed, count);
  int64_t m = x.size();
  if (m <= centroids) {
    for (int64_t c = 0; c < centroids; ++c)
      result[c] = m == 0 ? 0 : distinct[std::min(c, m - 1)];
    return 0;
  }
  split(centroids);
  double objective = 0;
  for (int c = 0; c < centroids; ++c) {
    double sum = 0, total = 0;
    for (int64_t i = ends[c]; i < ends[c + 1]; ++i) {
      sum += s[i] * x[i];
      total += s[i];
    }
    // (Weights that are nothing beside 1 are something among themselves.)
    double centroid = total > 0 ? sum / total : x[ends[c]];
    for (int64_t i = ends[c]; i < ends[c + 1]; ++i)
      objective += s[i] * (x[i] - centroid) * (x[i] - centroid);
    result[c] = mean + centroid;
  }
  return objective * scale;
}
