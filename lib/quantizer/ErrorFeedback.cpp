#include "lib/quantizer/ErrorFeedback.h"

#include <algorithm>
#include <utility>

#include "lib/quantizer/Cholesky.h"
#include "lib/quantizer/Parallel.h"
#include "lib/quantizer/Products.h"

using namespace sq;
using namespace sq::quantizer;

static constexpr int64_t kBlock = 64; // rows whose errors reach the others in one product

bool ErrorFeedback::prepare(const double *moments, int64_t channels, const double *noise, int threads) {
  k = channels;
  // What varies most is rounded first, while there is most to take its error over.
  order.resize(k);
  std::vector<std::pair<double, int64_t>> powers(k);
  for (int64_t r = 0; r < k; ++r)
    powers[r] = {moments[r * k + r] + noise[r], r};
  std::sort(powers.begin(), powers.end());
  for (int64_t i = 0; i < k; ++i)
    order[i] = powers[i].second;
  std::vector<double> factor(k * k);
  constexpr int64_t kRows = 64; // of one thread at a time
  parallelFor(k, kRows, threads, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      for (int64_t j = i; j < k; ++j)
        factor[i * k + j] = moments[std::min(order[i], order[j]) * k + std::max(order[i], order[j])];
      factor[i * k + i] += noise[order[i]];
    }
  });
  if (!factorize(factor, k, threads))
    return false;
  shares.assign(k * k, 0);
  left.resize(k);
  for (int64_t i = 0; i < k; ++i)
    left[order[i]] = factor[i * k + i] * factor[i * k + i];
  // Turned, a block at a time.
  parallelFor(k, kRows, threads, [&](int64_t from, int64_t to) {
    for (int64_t first = 0; first < to; first += kRows)
      for (int64_t j = from; j < to; ++j)
        for (int64_t i = first, end = std::min(j, first + kRows); i < end; ++i)
          shares[j * k + i] = factor[i * k + j] / factor[i * k + i];
  });
  return true;
}

void ErrorFeedback::round(float *weight, int64_t n,
                          const std::function<void(int64_t, const float *, float *)> &round) const {
  std::vector<float> errors(k * n), wanted(n), rounded(n), carried(k * n);
  for (int64_t end = k; end > 0;) {
    int64_t first = std::max<int64_t>(0, end - kBlock);
    for (int64_t i = end - 1; i >= first; --i) {
      float *row = weight + order[i] * n, *error = errors.data() + i * n, *extra = carried.data() + i * n;
      for (int64_t j = i + 1; j < end; ++j) {
        const float *other = errors.data() + j * n, share = shares[j * k + i];
        for (int64_t c = 0; c < n; ++c)
          extra[c] += share * other[c];
      }
      for (int64_t c = 0; c < n; ++c)
        wanted[c] = row[c] + extra[c];
      round(order[i], wanted.data(), rounded.data());
      for (int64_t c = 0; c < n; ++c)
        row[c] = error[c] = row[c] - rounded[c];
    }
    addProducts(1.0f, shares.data() + first * k, k, errors.data() + first * n, n, carried.data(), n, first, n, end - first);
    end = first;
  }
}
