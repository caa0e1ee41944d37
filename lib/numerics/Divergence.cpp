#include "lib/numerics/Divergence.h"

#include <algorithm>
#include <cmath>

namespace sq::numerics {

/// log(sum exp)
static double logSum(const float *x, int64_t count) {
  double most = -HUGE_VAL, sum = 0;
  for (int64_t i = 0; i < count; ++i)
    most = std::max<double>(most, x[i]);
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(x[i] - most);
  return most + std::log(sum);
}

double klDivergence(const float *reference, const float *got, int64_t classes) {
  double p = logSum(reference, classes), q = logSum(got, classes), sum = 0;
  for (int64_t i = 0; i < classes; ++i)
    if (double share = std::exp(reference[i] - p); share != 0)
      sum += share * ((reference[i] - p) - (got[i] - q));
  return sum;
}

double relativeSquares(const float *reference, const float *got,
                       int64_t count) {
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < count; ++i) {
    double x = reference[i], e = x - got[i];
    signal += x * x;
    noise += e * e;
  }
  return noise == 0 ? 0 : noise / signal;
}

} // namespace sq::numerics
