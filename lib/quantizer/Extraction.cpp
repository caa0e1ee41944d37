#include "lib/quantizer/Extraction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace sq;
using namespace sq::quantizer;

/// The `count` largest of those that are not removed yet, of equals those in
/// front.
static void takeLargest(std::vector<float> rank, int64_t count, uint8_t mark,
                        std::vector<uint8_t> &removed) {
  if (count <= 0)
    return;
  for (size_t i = 0; i < rank.size(); ++i)
    if (removed[i])
      rank[i] = -1; // ranks are not below 0
  std::vector<float> sorted = rank;
  std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end(),
                   std::greater<float>());
  float least = sorted[count - 1];
  int64_t above = std::count_if(rank.begin(), rank.end(),
                                [&](float r) { return r > least; }),
          equal = count - above;
  for (size_t i = 0; i < rank.size(); ++i)
    if (rank[i] > least || (rank[i] == least && !removed[i] && equal-- > 0))
      removed[i] = mark;
}

/// The value at place q (count - 1) of the sorted ones, between two of them by
/// linear interpolation.
static double quantile(std::vector<float> &values, double q) {
  double place = q * (values.size() - 1);
  auto at = values.begin() + static_cast<int64_t>(place);
  std::nth_element(values.begin(), at, values.end());
  double low = *at, share = place - std::floor(place);
  if (share == 0)
    return low;
  return low + share * (*std::min_element(at + 1, values.end()) - low);
}

Status quantizer::extract(const float *weight, const float *sensitivities,
                          int64_t n, int64_t k, const ExtractionRule &rule,
                          Extraction &result) {
  auto isShare = [](double percent) { return percent >= 0 && percent <= 100; };
  if (!isShare(rule.sensitive) || !isShare(rule.outliers) ||
      rule.sensitive + rule.outliers > 100)
    return Status::refused("sensitive values and outliers are shares of a "
                           "weight in percent, from 0 to 100 together");
  if (rule.iqr && !(*rule.iqr >= 0 && std::isfinite(*rule.iqr)))
    return Status::refused("the factor of the quartiles' distance is a number "
                           "that is not below 0");
  int64_t count = n * k;
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(weight[i]))
      return Status::refused("the weight of row " + std::to_string(i / k) +
                             ", column " + std::to_string(i % k) +
                             " is not finite; such a layer stays in float");
  result = {};
  result.removed.assign(count, 0);
  // (In parts of a million 0.05 % are 500, but 0.05 / 100 * 1e6 is a little
  // less in double.)
  auto share = [&](double percent) {
    return static_cast<int64_t>(
        std::floor(percent * double(count) / 100 + 1e-9));
  };
  result.sensitive = share(rule.sensitive);
  if (result.sensitive > 0)
    takeLargest(std::vector<float>(sensitivities, sensitivities + count),
                result.sensitive, kSensitive, result.removed);
  if (rule.iqr && count > 0) {
    std::vector<float> values(weight, weight + count);
    double q1 = quantile(values, 0.25), q3 = quantile(values, 0.75),
           reach = *rule.iqr * (q3 - q1);
    result.threshold = std::max(std::fabs(q1 - reach), std::fabs(q3 + reach));
    for (int64_t i = 0; i < count; ++i)
      if (std::fabs(weight[i]) >= result.threshold && !result.removed[i]) {
        result.removed[i] = kOutlier;
        ++result.outliers;
      }
    return {};
  }
  result.outliers = std::min(share(rule.outliers), count - result.sensitive);
  std::vector<float> magnitudes(weight, weight + count);
  for (float &m : magnitudes)
    m = std::fabs(m);
  takeLargest(std::move(magnitudes), result.outliers, kOutlier, result.removed);
  return {};
}
