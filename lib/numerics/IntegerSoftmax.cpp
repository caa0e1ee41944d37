#include "lib/numerics/IntegerSoftmax.h"

#include <algorithm>
#include <numeric>

using namespace sq::numerics;
using Row = std::vector<int64_t>;

Row sq::numerics::integerExpRow(const IntegerExp &exp, const Row &q, const std::vector<bool> &keep,
                                FullyMasked masked) {
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
