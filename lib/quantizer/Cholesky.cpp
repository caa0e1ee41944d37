#include "lib/quantizer/Cholesky.h"

#include <algorithm>
#include <cmath>

#include "lib/quantizer/Products.h"

using namespace sq;

/// `to` -= factor * `row`.
static void subtract(double factor, const double *__restrict row, double *__restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    to[i] -= factor * row[i];
}

bool quantizer::factorize(std::vector<double> &a, int64_t n) {
  constexpr int64_t kBlock = 32; // rows that are finished before they change the rest
  for (int64_t first = 0; first < n; first += kBlock) {
    int64_t end = std::min(first + kBlock, n);
    for (int64_t p = first; p < end; ++p) {
      double *row = a.data() + p * n;
      if (!(row[p] > 0) || !std::isfinite(row[p]))
        return false;
      double inverse = 1 / std::sqrt(row[p]);
      for (int64_t i = p; i < n; ++i)
        row[i] *= inverse;
      for (int64_t q = p + 1; q < end; ++q)
        subtract(row[q], row + q, a.data() + q * n + q, n - q);
    }
    const double *done = a.data() + first * n + end;
    addProducts(-1.0, done, n, done, n, a.data() + end * n + end, n, n - end, n - end, end - first, /*upper=*/true);
  }
  return true;
}
