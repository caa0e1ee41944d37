/// Second moments of a linear layer's input: what its weight's rounding can be fitted to.
#ifndef SQ_LIB_CALIBRATION_MOMENTS_H
#define SQ_LIB_CALIBRATION_MOMENTS_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/tensorio/Tensor.h"

namespace sq::calibration {

/// X^T X and the sums of the columns of X, whose rows are some of those that calibration saw. Memory is
/// about half of channels^2 floats, however many rows there were.
///
/// Products lie in panels of kPanel rows, each from the column of its first row on: row i of panel p has
/// channels - kPanel p elements, of which those left of the diagonal are 0. It is how stats files have them,
/// so that those of a file are used where they are mapped. Copies share products until one is changed.
class Moments {
public:
  static constexpr size_t kPanel = 128;

  Moments() = default;
  explicit Moments(size_t channels) : sums(channels) {}
  /// With the products of a file, [storedElements(channels)]; `owner` keeps them there. They are not written to.
  Moments(size_t channels, const float *products, std::shared_ptr<const void> owner);

  /// Products are added up in a file of `folder` from now on, which has no name: its pages are the system's to
  /// write and to take away, like those of weights. Refused when it cannot be made that long.
  Status moveToFile(const std::string &folder);

  /// `count` rows from `values`, `wanted` of them, evenly spread; those are kept until flush().
  /// Which ones depends on `phase` in [0, 1) as well, so that runs of equal length show all positions.
  void add(const float *values, int64_t count, int64_t wanted, double phase);
  /// Adds what waits. When that is done changes nothing, to the bit; many rows at once are faster.
  void flush();
  /// Bytes of rows that wait.
  size_t waitingBytes() const { return waiting.size() * sizeof(float); }
  /// As if the rows of `other`, which has as many channels, had come as well; up to rounding.
  void merge(const Moments &other);

  size_t channels() const { return sums.size(); }
  bool isEmpty() const { return rows == 0; }
  /// Of x_i x_j, where i <= j.
  float product(size_t i, size_t j) const { return products ? products.get()[place(i, j, channels())] : 0; }
  void setProduct(size_t i, size_t j, float value) { writable()[place(i, j, channels())] = value; }
  /// [channels][channels], of which the upper triangle counts: E[(x - E x)(x - E x)^T].
  std::vector<double> covariance() const;

  /// The same with E[x x^T]: what matters where no bias takes up the mean of an error.
  std::vector<double> secondMoments() const;

  /// Of the panels, together.
  static size_t storedElements(size_t channels);
  /// The panels; null: all 0, as there are no rows.
  const float *stored() const { return products.get(); }

  uint64_t rows = 0;        // that are added
  std::vector<double> sums; // of x, by channel

private:
  /// Of an element in the panels.
  static size_t place(size_t i, size_t j, size_t channels) {
    size_t first = i / kPanel * kPanel;
    return first * channels - first * (first - kPanel) / 2 + (i - first) * (channels - first) + j - first;
  }
  float *writable();

  std::shared_ptr<float> products;
  bool isReadOnly = false;    // as it is in a file
  std::vector<float> waiting; // rows
};

} // namespace sq::calibration

#endif
