#include "lib/quantizer/Damping.h"

#include <algorithm>
#include <numeric>
#include <vector>

double sq::quantizer::dampSensitivities(float *values, int64_t n, int64_t k,
                                        int64_t samples, double least) {
  std::vector<double> rows(n), columns(k);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) {
      rows[i] += values[i * k + j];
      columns[j] += values[i * k + j];
    }
  double all = std::accumulate(rows.begin(), rows.end(), 0.0);
  if (all == 0)
    return 0;
  // Mean squares of the ratio to R, by R: large values count, those near 0 do
  // not.
  double squares = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j)
      if (double expected = rows[i] * columns[j] / all; expected > 0)
        squares += double(values[i * k + j]) * values[i * k + j] / expected;
  squares /= all;
  // The ratio's square is (1 + s) (1 + 2 / samples), with s what is true of its
  // variance.
  double noise = 2.0 / double(std::max<int64_t>(samples, 1)),
         noisy = squares / (1 + noise) * noise;
  double gone =
      std::clamp(squares > 1 ? noisy / (squares - 1) : 1.0, least, 1.0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) {
      float &value = values[i * k + j];
      value += float(gone * (rows[i] * columns[j] / all - value));
      value = std::max(value, 0.0f);
    }
  return gone;
}
