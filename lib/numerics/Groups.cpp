#include "lib/numerics/Groups.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;

int64_t sq::numerics::storedGroups(int64_t k, int bits, int64_t group) {
  if (group >= k)
    return 1;
  int64_t groups = (k + group - 1) / group, vector = 1;
  while (vector < 16 && vector < groups)
    vector *= 2;
  int64_t unit = std::max(vector, blockCodes(bits) / group);
  return (groups + unit - 1) / unit * unit;
}

std::vector<float> sq::numerics::decodeGroups(const GroupedWeight &w) {
  std::vector<float> result(w.n * w.k);
  int64_t words = rowWords(w.k, w.bits);
  for (int64_t r = 0; r < w.n; ++r)
    for (int64_t j = 0; j < w.k; ++j) {
      int64_t at = r * w.groups() + j / w.group;
      int code = codeAt(w.codes + r * words, w.bits, j);
      float value = w.scales[at] * float(code - (w.minima ? 0 : w.zeroOf(at)));
      result[r * w.k + j] = w.minima ? w.minima[at] + value : value;
    }
  return result;
}

/// `x` [m][k] by the weight, its elements as `factor` times integers or floats.
static std::vector<double> product(const std::vector<double> &x, int64_t m,
                                   const GroupedWeight &w) {
  std::vector<double> y(m * w.n);
  int64_t words = rowWords(w.k, w.bits);
  for (int64_t r = 0; r < w.n; ++r)
    for (int64_t i = 0; i < m; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < w.k; ++j) {
        int64_t at = r * w.groups() + j / w.group;
        int code = codeAt(w.codes + r * words, w.bits, j);
        double weight = w.minima ? double(w.scales[at]) * code + w.minima[at]
                                 : double(w.scales[at]) * (code - w.zeroOf(at));
        sum += x[i * w.k + j] * weight;
      }
      y[i * w.n + r] = sum;
    }
  return y;
}

std::vector<double> sq::numerics::groupedProduct(const float *x, int64_t m,
                                                 const GroupedWeight &w) {
  return product(std::vector<double>(x, x + m * w.k), m, w);
}

std::vector<double> sq::numerics::groupedByteProduct(const float *x, int64_t m,
                                                     const GroupedWeight &w) {
  std::vector<double> rounded(m * w.k);
  for (int64_t i = 0; i < m; ++i) {
    float largest = 0;
    for (int64_t j = 0; j < w.k; ++j)
      largest = std::max(largest, std::fabs(x[i * w.k + j]));
    float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
    for (int64_t j = 0; j < w.k; ++j)
      rounded[i * w.k + j] =
          double(scale) * std::nearbyint(x[i * w.k + j] * inverse);
  }
  return product(rounded, m, w);
}
