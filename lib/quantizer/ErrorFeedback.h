/// Rounding of a weight where rows yet to come take over the errors of those that are done.
///
/// The rows of a weight [k][n] are its input channels. Rounding W to Q costs sum over columns of
/// e^T H e, e = w - q, with H [k][k] the second moments of the inputs (or their covariance, where a
/// bias takes over the mean). With R^T R = H, R upper triangular, that is the length of R e: rows are
/// rounded from the last to the first, each after the value that makes its element of R e zero was
/// added to it. It is GPTQ (Frantar et al. 2022), which has the same steps with the factor of the
/// inverse of H, and Babai's nearest plane (1986): each element of R e is at most R_ii / 2 steps.
#ifndef SQ_LIB_QUANTIZER_ERRORFEEDBACK_H
#define SQ_LIB_QUANTIZER_ERRORFEEDBACK_H

#include <cstdint>
#include <functional>
#include <vector>

namespace sq::quantizer {

class ErrorFeedback {
public:
  /// `moments` is [k][k], of which the upper triangle is read, and `noise` is added to its diagonal:
  /// what each channel has in addition that depends on no other channel, such as the rounding
  /// of x. False when that has no factor: it holds NaN or infinities, or is not positive definite.
  /// The same for any number of threads (0: all cores).
  bool prepare(const double *moments, int64_t k, const double *noise, int threads = 1);

  /// How much of the squared error of rounding row r remains after feedback: the variance of channel r
  /// given those that are rounded after it.
  const std::vector<double> &remaining() const { return left; }

  /// Rounds `weight` [k][n], `round` row by row: it gets the row's number, its n elements and where
  /// the n rounded ones go. `weight` is what is wanted, and holds e afterwards.
  void round(float *weight, int64_t n, const std::function<void(int64_t row, const float *wanted, float *rounded)> &round) const;

private:
  int64_t k = 0;
  std::vector<int64_t> order;     // the channel at each place; the last one is rounded first
  std::vector<float> shares;      // [j][i], i < j: R_ij / R_ii
  std::vector<double> left;       // by channel
};

} // namespace sq::quantizer

#endif
