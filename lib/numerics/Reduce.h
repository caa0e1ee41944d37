/// Operators that run along dims: reductions, softmax, normalizations.
#ifndef SQ_NUMERICS_REDUCE_H
#define SQ_NUMERICS_REDUCE_H

#include "lib/numerics/Tensor.h"

namespace sq::numerics {

enum class ReduceOp { Sum, Mean, Min, Max, Prod, SumSquare, L1, L2, LogSum, LogSumExp };

/// Over `axes` (each -rank..rank-1, no dim twice; none: x unchanged but for
/// the element function, e.g. the square). Of no elements: 0, for Prod 1, for
/// Mean NaN, for Max and Min -inf and inf; integers then have their type's
/// limit, and Mean is an Error. The logarithms need floating point; L2 of
/// integers is truncated.
Tensor reduce(ReduceOp op, const Tensor &x, const std::vector<int64_t> &axes, bool keepDims);

/// Index of the first (or last) largest (or smallest) element along `axis`.
Tensor argExtreme(const Tensor &x, int64_t axis, bool largest, bool keepDims, bool last);

/// Running sums along `axis`; `exclusive`: without the element itself.
Tensor cumulativeSum(const Tensor &x, int64_t axis, bool exclusive, bool reverse);

/// exp(x - max) / sum exp(x - max) along `axis`.
Tensor softmax(const Tensor &x, int64_t axis);
Tensor logSoftmax(const Tensor &x, int64_t axis);

struct Normalized {
  Tensor y, mean, inverseStdDev; // the latter two with 1-sized normalized dims
};
/// y = (x - mean) / sqrt(var + epsilon) * scale + bias over dims [axis, rank),
/// var biased; Ba et al. 2016, equations 3 and 4. `scale` and `bias` (may be
/// null) broadcast to x.
Normalized layerNorm(const Tensor &x, const Tensor &scale, const Tensor *bias, int64_t axis,
                     double epsilon);
/// y = x / sqrt(mean(x^2) + epsilon) * scale; Zhang and Sennrich 2019.
Tensor rmsNorm(const Tensor &x, const Tensor &scale, int64_t axis, double epsilon);

} // namespace sq::numerics

#endif
