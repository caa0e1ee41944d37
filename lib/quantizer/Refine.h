/// Codes and tables of a compressed weight fitted to what its layer reads.
///
/// With e = w - q of one output channel and H [k][k] the second moments of the
/// inputs, the layer's squared error is e^T H e. Three steps lower it: rounding
/// where the input channels yet to come take over errors (ErrorFeedback.h),
/// with the levels as the grid; for tables, the entries of least error for
/// given codes, a small linear system for each output channel (weighted least
/// squares under H); and one input channel after the other, the code of least
/// error while all others stay (coordinate descent). The latter two are
/// repeated. Each output channel is a problem of its own.
#ifndef SQ_LIB_QUANTIZER_REFINE_H
#define SQ_LIB_QUANTIZER_REFINE_H

#include <cstdint>
#include <vector>

#include "lib/quantizer/CompressedWeight.h"
#include "lib/quantizer/ErrorFeedback.h"

namespace sq::quantizer {

/// H of the layers that read one value.
class InputMoments {
public:
  /// `moments` [k][k] are means of x_i x_j over rows of the input, of which the
  /// upper triangle is read. The share `damping` of the mean of its diagonal is
  /// added to it. False where that has no factor: NaN, infinities, all 0. The
  /// same for any number of threads (0: all cores), here and below.
  bool prepare(const double *moments, int64_t k, double damping,
               int threads = 1);
  /// Only what errors() needs, as `moments` are.
  void prepareError(const double *moments, int64_t k, int threads = 1);

  int64_t channels() const { return k; }
  /// e^T H e, damping included, of each row of `wanted` - `got`, both
  /// [n][k]; `got` may be null, for zeros.
  std::vector<double> errors(const float *wanted, const float *got, int64_t n,
                             int threads) const;

  std::vector<float> matrix;  // [k][k], all of it, damping included
  std::vector<int64_t> order; // input channels by falling power
  ErrorFeedback feedback;

private:
  int64_t k = 0;
};

struct RefineOptions {
  int rounds =
      4; // of tables and codes, at most; 0: only rounding with feedback
  double leastGain = 2e-3; // a round that takes less than this share of the
                           // error off is the last
  double enough = 1e-4;    // tables are fitted until the square of the residual
                           // is less than this share of what it was: codes
                           // change next, so that exact is not better
  int threads = 0;         // 0: all cores
};

/// Chooses the codes of `weight`, whose levels are there, and for tables better
/// levels too. Uniform and Table only. What `removed` [n][k] marks (it may be
/// empty) is kept in 16 bits beside the codes and takes over errors without
/// making any; weight.sparse holds it afterwards. The same for any number of
/// threads.
void refine(CompressedWeight &weight, const float *wanted,
            const InputMoments &moments, const std::vector<uint8_t> &removed,
            const RefineOptions &options);

} // namespace sq::quantizer

#endif
