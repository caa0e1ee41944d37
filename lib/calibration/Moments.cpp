#include "lib/calibration/Moments.h"

#include <algorithm>

#include "lib/quantizer/Products.h"

using namespace sq;
using namespace sq::calibration;

void Moments::add(const float *values, int64_t count, int64_t wanted, double phase) {
  int64_t width = channels(), taken = std::min(count, wanted);
  for (int64_t i = 0; i < taken; ++i) {
    int64_t row = taken == count ? i : static_cast<int64_t>((i + phase) * count / taken);
    const float *from = values + std::min(row, count - 1) * width;
    waiting.insert(waiting.end(), from, from + width);
  }
}

void Moments::flush() {
  int64_t width = channels(), count = width ? waiting.size() / width : 0;
  // Few rows at a time: their columns stay in the cache.
  constexpr int64_t kRows = 256;
  for (int64_t first = 0; first < count; first += kRows) {
    int64_t depth = std::min(kRows, count - first);
    const float *x = waiting.data() + first * width;
    for (int64_t r = 0; r < depth; ++r)
      for (int64_t i = 0; i < width; ++i)
        sums[i] += x[r * width + i];
    quantizer::addProducts(1.0f, x, width, x, width, products.data(), width, width, width, depth, /*upper=*/true);
  }
  rows += count;
  waiting.clear();
}

void Moments::merge(const Moments &other) {
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i] += other.sums[i];
  for (size_t i = 0; i < products.size(); ++i)
    products[i] += other.products[i];
  rows += other.rows;
}

std::vector<double> Moments::covariance() const {
  size_t width = channels();
  std::vector<double> result(width * width);
  for (size_t i = 0; i < width && rows; ++i)
    for (size_t j = i; j < width; ++j)
      result[i * width + j] = (products[i * width + j] - sums[i] * sums[j] / rows) / rows;
  return result;
}

std::vector<double> Moments::secondMoments() const {
  size_t width = channels();
  std::vector<double> result(width * width);
  for (size_t i = 0; i < width && rows; ++i)
    for (size_t j = i; j < width; ++j)
      result[i * width + j] = double(products[i * width + j]) / rows;
  return result;
}
