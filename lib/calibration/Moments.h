/// Second moments of a linear layer's input: what its weight's rounding can be fitted to.
#ifndef SQ_LIB_CALIBRATION_MOMENTS_H
#define SQ_LIB_CALIBRATION_MOMENTS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sq::calibration {

/// X^T X and the sums of the columns of X, whose rows are some of those that calibration saw. Memory is
/// channels^2 floats, however many rows there were.
class Moments {
public:
  Moments() = default;
  explicit Moments(size_t channels) : sums(channels), products(channels * channels) {}

  /// `count` rows from `values`, `wanted` of them, evenly spread; those are kept until flush().
  /// Which ones depends on `phase` in [0, 1) as well, so that runs of equal length show all positions.
  void add(const float *values, int64_t count, int64_t wanted, double phase);
  /// Adds what waits. When that is done changes nothing, to the bit; many rows at once are faster.
  void flush();
  /// As if the rows of `other`, which has as many channels, had come as well; up to rounding.
  void merge(const Moments &other);

  size_t channels() const { return sums.size(); }
  bool isEmpty() const { return rows == 0; }
  /// [channels][channels], of which the upper triangle counts: E[(x - E x)(x - E x)^T].
  std::vector<double> covariance() const;

  /// The same with E[x x^T]: what matters where no bias takes up the mean of an error.
  std::vector<double> secondMoments() const;

  uint64_t rows = 0;           // that are added
  std::vector<double> sums;    // of x, by channel
  std::vector<float> products; // of x_i x_j, [i][j]; only j >= i counts

private:
  std::vector<float> waiting; // rows
};

} // namespace sq::calibration

#endif
