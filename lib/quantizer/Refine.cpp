#include "lib/quantizer/Refine.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/quantizer/Parallel.h"
#include "lib/quantizer/Products.h"

using namespace sq;
using namespace sq::quantizer;

/// Output channels that are refined together. Many of them are worth packing a
/// large H for; few leave work for all threads where there are not many.
static constexpr int64_t kMostColumns = 256, kFewColumns = 64;
static int64_t columnsAtOnce(int64_t n) {
  return n >= 8 * kMostColumns ? kMostColumns : kFewColumns;
}

static constexpr int64_t kBlock =
    64; // input channels whose changes reach the others in one product

void InputMoments::prepareError(const double *moments, int64_t channels,
                                int threads) {
  k = channels;
  matrix.resize(k * k);
  // What lies below the diagonal is turned, a block at a time.
  parallelFor(k, kBlock, threads, [&](int64_t from, int64_t to) {
    for (int64_t first = 0; first < to; first += kBlock)
      for (int64_t i = from; i < to; ++i)
        for (int64_t j = first, end = std::min(i, first + kBlock); j < end; ++j)
          matrix[i * k + j] = moments[j * k + i];
    for (int64_t i = from; i < to; ++i)
      for (int64_t j = i; j < k; ++j)
        matrix[i * k + j] = moments[i * k + j];
  });
}

bool InputMoments::prepare(const double *moments, int64_t channels,
                           double damping, int threads) {
  prepareError(moments, channels, threads);
  double sum = 0;
  for (int64_t i = 0; i < k; ++i)
    sum += moments[i * k + i];
  double extra = damping * sum / double(std::max<int64_t>(k, 1));
  std::vector<double> noise(k, extra);
  if (!feedback.prepare(moments, k, noise.data(), threads))
    return false;
  for (int64_t i = 0; i < k; ++i)
    matrix[i * k + i] = moments[i * k + i] + extra;
  order.resize(k);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    float left = matrix[a * k + a], right = matrix[b * k + b];
    return left != right ? left > right : a < b;
  });
  return true;
}

std::vector<double> InputMoments::errors(const float *wanted, const float *got,
                                         int64_t n, int threads) const {
  std::vector<double> sums(n);
  parallelFor(n, columnsAtOnce(n), threads, [&](int64_t from, int64_t to) {
    int64_t count = to - from;
    std::vector<float> errors(k * count), products(k * count);
    for (int64_t c = 0; c < count; ++c)
      for (int64_t i = 0; i < k; ++i)
        errors[i * count + c] =
            wanted[(from + c) * k + i] - (got ? got[(from + c) * k + i] : 0);
    addProducts(1.0f, matrix.data(), k, errors.data(), count, products.data(),
                count, k, count, k);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t c = 0; c < count; ++c)
        sums[from + c] +=
            double(errors[i * count + c]) * products[i * count + c];
  });
  return sums;
}

namespace {

/// Some output channels of a weight, as columns: arrays are [k][n] here.
class Slice {
public:
  Slice(CompressedWeight &weight, const float *from,
        const InputMoments &moments, const std::vector<uint8_t> &removed,
        double enough, int64_t first, int64_t n)
      : weight(weight), moments(moments), enough(enough), first(first), n(n),
        k(weight.k), count(weight.levels()), wanted(k * n), got(k * n),
        gradient(k * n), kept(removed.empty() ? 0 : k * n), codes(k * n),
        levels(weight.groups() * count * n),
        middles(weight.groups() * (count - 1) * n) {
    for (int64_t c = 0; c < n; ++c)
      for (int64_t r = 0; r < k; ++r) {
        wanted[r * n + c] = from[(first + c) * k + r];
        if (!kept.empty())
          kept[r * n + c] = removed[(first + c) * k + r];
      }
    readLevels();
  }

  void roundWithFeedback() {
    std::vector<float> errors = wanted;
    moments.feedback.round(
        errors.data(), n,
        [&](int64_t row, const float *values, float *rounded) {
          choose(row, values, rounded);
        });
    for (int64_t i = 0; i < k * n; ++i)
      got[i] = wanted[i] - errors[i];
    // As it is: what was subtracted and added again is rounded.
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        if (!isKept(r, c))
          got[r * n + c] = level(r, c);
    findGradient();
  }

  /// One round; returns the sum of errors after it.
  double improve() {
    if (weight.format.kind == GridKind::Table)
      fitTables();
    descend();
    findGradient(); // many small changes in f32 add up
    std::vector<double> now = errors();
    return std::accumulate(now.begin(), now.end(), 0.0);
  }

  double error() const {
    std::vector<double> now = errors();
    return std::accumulate(now.begin(), now.end(), 0.0);
  }

  /// Hands over codes, and the values that are kept.
  void finish(float *keptValues) {
    for (int64_t c = 0; c < n; ++c)
      for (int64_t r = 0; r < k; ++r) {
        weight.codes[(first + c) * k + r] = codes[r * n + c];
        if (keptValues && isKept(r, c))
          keptValues[(first + c) * k + r] = got[r * n + c];
      }
  }

private:
  bool isKept(int64_t r, int64_t c) const {
    return !kept.empty() && kept[r * n + c];
  }
  float level(int64_t r, int64_t c) const {
    return levels[(r / weight.groupSize() * count + codes[r * n + c]) * n + c];
  }

  void readLevels() {
    std::vector<float> some(count);
    for (int64_t g = 0; g < weight.groups(); ++g)
      for (int64_t c = 0; c < n; ++c) {
        weight.readLevels(first + c, g, some.data());
        for (int64_t t = 0; t < count; ++t)
          levels[(g * count + t) * n + c] = some[t];
        for (int64_t t = 0; t + 1 < count; ++t) {
          // Rounded down, `value > middle` is as if it were exact: no f32 lies
          // between.
          double exact = (double(some[t]) + some[t + 1]) / 2;
          float middle = exact;
          middles[(g * (count - 1) + t) * n + c] =
              middle > exact ? std::nextafter(middle, -INFINITY) : middle;
        }
      }
  }

  /// The nearest level of each value of an input channel.
  void choose(int64_t r, const float *values, float *rounded) {
    int64_t g = r / weight.groupSize();
    const float *middle = middles.data() + g * (count - 1) * n,
                *row = levels.data() + g * count * n;
    // As integers of the size of a float, so that it becomes vectors.
    int32_t found[kMostColumns] = {};
    for (int64_t t = 0; t + 1 < count; ++t)
      for (int64_t c = 0; c < n; ++c)
        found[c] += values[c] > middle[t * n + c];
    for (int64_t c = 0; c < n; ++c) {
      codes[r * n + c] = found[c];
      rounded[c] = isKept(r, c) ? values[c] : row[found[c] * n + c];
    }
  }

  /// H (wanted - got).
  void findGradient() {
    std::vector<float> e(k * n);
    for (int64_t i = 0; i < k * n; ++i)
      e[i] = wanted[i] - got[i];
    std::fill(gradient.begin(), gradient.end(), 0);
    addProducts(1.0f, moments.matrix.data(), k, e.data(), n, gradient.data(), n,
                k, n, k);
  }

  /// e^T H e, by output channel.
  std::vector<double> errors() const {
    std::vector<double> sums(n);
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        sums[c] +=
            double(wanted[r * n + c] - got[r * n + c]) * gradient[r * n + c];
    return sums;
  }

  void descend() {
    std::vector<float> values(n), rounded(n);
    for (int64_t from = 0; from < k; from += kBlock) {
      int64_t size = std::min(kBlock, k - from);
      std::vector<float> rows(size * k), local(size * n), changes(size * n);
      for (int64_t a = 0; a < size; ++a) {
        int64_t r = moments.order[from + a];
        std::copy_n(moments.matrix.data() + r * k, k, rows.data() + a * k);
        std::copy_n(gradient.data() + r * n, n, local.data() + a * n);
      }
      for (int64_t a = 0; a < size; ++a) {
        int64_t r = moments.order[from + a];
        const float *h = rows.data() + a * k;
        float inverse = 1 / h[r], *change = changes.data() + a * n,
              *to = got.data() + r * n;
        for (int64_t c = 0; c < n; ++c)
          values[c] = to[c] + local[a * n + c] * inverse;
        choose(r, values.data(), rounded.data());
        for (int64_t c = 0; c < n; ++c) {
          change[c] = rounded[c] - to[c];
          to[c] = rounded[c];
        }
        for (int64_t b = a + 1; b < size; ++b) {
          float share = h[moments.order[from + b]];
          for (int64_t c = 0; c < n; ++c)
            local[b * n + c] -= share * change[c];
        }
      }
      addProducts(-1.0f, rows.data(), k, changes.data(), n, gradient.data(), n,
                  k, n, size);
    }
  }

  /// Sums of rows of `from` [k][n] by code: A^T from, with A_rt = 1 where row r
  /// has code t and is not kept.
  std::vector<double> byCode(const std::vector<float> &from) const {
    std::vector<double> sums(count * n);
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        if (!isKept(r, c))
          sums[codes[r * n + c] * n + c] += from[r * n + c];
    return sums;
  }

  /// Entries t of least error for the codes: A^T H A t = A^T H (wanted - kept),
  /// by conjugate gradients from the entries as they are, all columns in step,
  /// with the diagonal as preconditioner. As many steps as unknowns are exact.
  void fitTables() {
    std::vector<double> residual = byCode(gradient), diagonal(count * n),
                        step(count * n), direction(count * n), z(count * n),
                        rho(n);
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        if (!isKept(r, c))
          diagonal[codes[r * n + c] * n + c] += moments.matrix[r * k + r];
    auto precondition = [&] {
      std::vector<double> products(n);
      for (int64_t t = 0; t < count; ++t)
        for (int64_t c = 0; c < n; ++c) {
          int64_t i = t * n + c;
          z[i] = diagonal[i] > 0 ? residual[i] / diagonal[i]
                                 : 0; // no code: the entry stays
          products[c] += z[i] * residual[i];
        }
      return products;
    };
    rho = precondition();
    direction = z;
    std::vector<double> start = rho;
    std::vector<float> spread(k * n), image(k * n);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t r = 0; r < k; ++r)
        for (int64_t c = 0; c < n; ++c)
          spread[r * n + c] =
              isKept(r, c) ? 0 : direction[codes[r * n + c] * n + c];
      std::fill(image.begin(), image.end(), 0);
      addProducts(1.0f, moments.matrix.data(), k, spread.data(), n,
                  image.data(), n, k, n, k);
      std::vector<double> curved = byCode(image), curvature(n);
      for (int64_t t = 0; t < count; ++t)
        for (int64_t c = 0; c < n; ++c)
          curvature[c] += direction[t * n + c] * curved[t * n + c];
      bool isDone = true;
      for (int64_t c = 0; c < n; ++c) {
        bool moves = rho[c] > enough * start[c] && curvature[c] > 0;
        double alpha = moves ? rho[c] / curvature[c] : 0;
        isDone &= !moves;
        for (int64_t t = 0; t < count; ++t) {
          step[t * n + c] += alpha * direction[t * n + c];
          residual[t * n + c] -= alpha * curved[t * n + c];
        }
      }
      if (isDone)
        break;
      std::vector<double> next = precondition();
      for (int64_t t = 0; t < count; ++t)
        for (int64_t c = 0; c < n; ++c)
          direction[t * n + c] =
              z[t * n + c] +
              (rho[c] > 0 ? next[c] / rho[c] : 0) * direction[t * n + c];
      rho = next;
    }
    takeTables(step);
  }

  /// Entries moved by `step`, rounded to the format, in the columns where that
  /// has less error.
  void takeTables(const std::vector<double> &step) {
    std::vector<double> before = errors(), entries(count);
    std::vector<float> oldLevels = levels, oldGot = got, some(count);
    std::vector<uint8_t> oldCodes = codes;
    std::vector<int> places(count);
    for (int64_t c = 0; c < n; ++c) {
      for (int64_t t = 0; t < count; ++t)
        entries[t] = levels[t * n + c] + step[t * n + c];
      // Entries may change places, and codes with them.
      std::iota(places.begin(), places.end(), 0);
      std::sort(places.begin(), places.end(), [&](int a, int b) {
        return entries[a] != entries[b] ? entries[a] < entries[b] : a < b;
      });
      std::vector<uint8_t> now(count);
      for (int64_t t = 0; t < count; ++t)
        now[places[t]] = t;
      for (int64_t r = 0; r < k; ++r)
        codes[r * n + c] = now[codes[r * n + c]];
      weight.writeLevels(first + c, 0, entries.data());
    }
    readLevels();
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        if (!isKept(r, c))
          got[r * n + c] = level(r, c);
    findGradient();
    std::vector<double> after = errors();
    bool isUndone = false;
    for (int64_t c = 0; c < n; ++c) {
      if (after[c] <= before[c])
        continue;
      isUndone = true;
      for (int64_t t = 0; t < count; ++t)
        entries[t] = oldLevels[t * n + c];
      weight.writeLevels(first + c, 0, entries.data());
      for (int64_t r = 0; r < k; ++r) {
        codes[r * n + c] = oldCodes[r * n + c];
        got[r * n + c] = oldGot[r * n + c];
      }
    }
    if (!isUndone)
      return;
    readLevels();
    // (Levels that are written again may be rounded in another way: the scale
    // of bytes.)
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        if (!isKept(r, c))
          got[r * n + c] = level(r, c);
    findGradient();
  }

  CompressedWeight &weight;
  const InputMoments &moments;
  double enough; // as in RefineOptions
  int64_t first, n, k, count;
  std::vector<float> wanted, got, gradient; // gradient: H (wanted - got)
  std::vector<uint8_t> kept, codes;
  std::vector<float> levels;  // [groups][2^bits][n]
  std::vector<float> middles; // [groups][2^bits - 1][n]: between two levels
};

} // namespace

void quantizer::refine(CompressedWeight &weight, const float *wanted,
                       const InputMoments &moments,
                       const std::vector<uint8_t> &removed,
                       const RefineOptions &options) {
  std::vector<float> kept(removed.empty() ? 0 : weight.n * weight.k);
  parallelFor(weight.n, columnsAtOnce(weight.n), options.threads,
              [&](int64_t from, int64_t to) {
                Slice slice(weight, wanted, moments, removed, options.enough,
                            from, to - from);
                slice.roundWithFeedback();
                double error = slice.error();
                for (int round = 0; round < options.rounds; ++round) {
                  double now = slice.improve();
                  bool isLast = now > (1 - options.leastGain) * error;
                  error = now;
                  if (isLast)
                    break;
                }
                slice.finish(kept.empty() ? nullptr : kept.data());
              });
  if (!removed.empty())
    weight.takeSparse(kept.data(), removed);
}
