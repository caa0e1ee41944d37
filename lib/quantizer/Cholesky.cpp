#include "lib/quantizer/Cholesky.h"

#include <algorithm>
#include <cmath>

#include "lib/quantizer/Parallel.h"
#include "lib/quantizer/Products.h"

using namespace sq;

/// `to` -= factor * `row`.
static void subtract(double factor, const double *__restrict row, double *__restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    to[i] -= factor * row[i];
}

bool quantizer::factorize(std::vector<double> &a, int64_t n, int threads) {
  // Rows that are finished before they change others: first the few that come next, then all that are left, in one
  // product that is large enough to be fast. An element gets its terms in the same order in any case.
  constexpr int64_t kBlock = 32, kPanel = 256;
  for (int64_t begin = 0; begin < n; begin += kPanel) {
    int64_t panelEnd = std::min(begin + kPanel, n);
    for (int64_t first = begin; first < panelEnd; first += kBlock) {
      int64_t end = std::min(first + kBlock, panelEnd);
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
      addProducts(-1.0, done, n, done, n, a.data() + end * n + end, n, panelEnd - end, n - end, end - first, /*upper=*/true);
    }
    constexpr int64_t kRows = 128; // of one thread at a time
    parallelFor(n - panelEnd, kRows, threads, [&](int64_t from, int64_t to) {
      const double *done = a.data() + begin * n + panelEnd + from;
      addProducts(-1.0, done, n, done, n, a.data() + (panelEnd + from) * (n + 1), n, to - from, n - panelEnd - from,
                  panelEnd - begin, /*upper=*/true);
    });
  }
  return true;
}
