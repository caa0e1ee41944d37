#include "lib/numerics/Reduce.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Layout.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace sq::numerics;

namespace {

/// x with the reduced dims moved behind the kept ones: a matrix of
/// [kept elements, reduced elements], and what its results' shape is.
struct Rows {
  Tensor matrix;
  int64_t count, length;
  Shape shape;
};

Rows toRows(const Tensor &x, const std::vector<int64_t> &axes, bool keepDims) {
  std::vector<bool> reduced(x.rank(), false);
  for (int64_t axis : axes) {
    axis = normalizeAxis(axis, x.rank());
    if (reduced[axis])
      throw Error("dim " + std::to_string(axis) + " is reduced twice");
    reduced[axis] = true;
  }
  Rows rows{{}, 1, 1, {}};
  std::vector<int64_t> order;
  for (bool second : {false, true})
    for (int64_t d = 0; d < x.rank(); ++d)
      if (reduced[d] == second) {
        order.push_back(d);
        (second ? rows.length : rows.count) *= x.shape[d];
      }
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (!reduced[d])
      rows.shape.push_back(x.shape[d]);
    else if (keepDims)
      rows.shape.push_back(1);
  }
  bool inPlace = std::is_sorted(order.begin(), order.end());
  rows.matrix = inPlace ? x : transpose(x, order);
  return rows;
}

double reduceReals(ReduceOp op, const double *x, int64_t n) {
  const double infinity = std::numeric_limits<double>::infinity();
  double sum = 0, product = 1, largest = -infinity, smallest = infinity;
  switch (op) {
  case ReduceOp::Sum:
  case ReduceOp::Mean:
  case ReduceOp::LogSum:
    for (int64_t i = 0; i < n; ++i)
      sum += x[i];
    return op == ReduceOp::Mean ? sum / double(n) : op == ReduceOp::LogSum ? std::log(sum) : sum;
  case ReduceOp::SumSquare:
  case ReduceOp::L2:
    for (int64_t i = 0; i < n; ++i)
      sum += x[i] * x[i];
    return op == ReduceOp::L2 ? std::sqrt(sum) : sum;
  case ReduceOp::L1:
    for (int64_t i = 0; i < n; ++i)
      sum += std::fabs(x[i]);
    return sum;
  case ReduceOp::Prod:
    for (int64_t i = 0; i < n; ++i)
      product *= x[i];
    return product;
  case ReduceOp::Min:
    for (int64_t i = 0; i < n; ++i)
      smallest = std::isnan(x[i]) || std::isnan(smallest) ? NAN : std::min(smallest, x[i]);
    return smallest;
  case ReduceOp::Max:
  case ReduceOp::LogSumExp:
    for (int64_t i = 0; i < n; ++i)
      largest = std::isnan(x[i]) || std::isnan(largest) ? NAN : std::max(largest, x[i]);
    if (op == ReduceOp::Max || std::isinf(largest))
      return largest;
    for (int64_t i = 0; i < n; ++i)
      sum += std::exp(x[i] - largest);
    return largest + std::log(sum);
  }
  throw Error("unknown reduction");
}

/// T is int64_t or, for unsigned types, uint64_t.
template <typename T> int64_t reduceIntegers(ReduceOp op, const int64_t *x, int64_t n, DType type) {
  uint64_t sum = 0, product = 1; // unsigned: overflow wraps
  int64_t limit = isUnsigned(type) ? 0 : std::numeric_limits<int64_t>::min() >> (64 - bitWidth(type));
  T largest = static_cast<T>(limit), smallest = static_cast<T>(wrap(~limit, type));
  for (int64_t i = 0; i < n; ++i) {
    uint64_t value = x[i];
    switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Mean:
      sum += value;
      break;
    case ReduceOp::SumSquare:
    case ReduceOp::L2:
      sum += value * value;
      break;
    case ReduceOp::L1:
      sum += T(x[i]) < T(0) ? 0 - value : value;
      break;
    case ReduceOp::Prod:
      product *= value;
      break;
    case ReduceOp::Min:
      smallest = std::min(smallest, T(x[i]));
      break;
    case ReduceOp::Max:
      largest = std::max(largest, T(x[i]));
      break;
    default:
      throw Error("the logarithm of integers");
    }
  }
  switch (op) {
  case ReduceOp::Prod:
    return product;
  case ReduceOp::Min:
    return smallest;
  case ReduceOp::Max:
    return largest;
  case ReduceOp::L2:
    return static_cast<int64_t>(std::sqrt(static_cast<double>(sum)));
  case ReduceOp::Mean:
    if (n == 0)
      throw Error("the mean of no integers");
    return static_cast<int64_t>(static_cast<T>(sum) / static_cast<T>(n));
  default:
    return sum;
  }
}

} // namespace

Tensor sq::numerics::reduce(ReduceOp op, const Tensor &x, const std::vector<int64_t> &axes,
                            bool keepDims) {
  Rows rows = toRows(x, axes, keepDims);
  Tensor y = Tensor::zeros(x.dtype, rows.shape);
  for (int64_t r = 0; r < rows.count; ++r) {
    if (x.isFloat()) {
      y.reals[r] = reduceReals(op, rows.matrix.reals.data() + r * rows.length, rows.length);
      continue;
    }
    const int64_t *row = rows.matrix.integers.data() + r * rows.length;
    y.integers[r] = wrap(isUnsigned(x.dtype)
                             ? reduceIntegers<uint64_t>(op, row, rows.length, x.dtype)
                             : reduceIntegers<int64_t>(op, row, rows.length, x.dtype),
                         x.dtype);
  }
  return y;
}

Tensor sq::numerics::argExtreme(const Tensor &x, int64_t axis, bool largest, bool keepDims,
                                bool last) {
  Rows rows = toRows(x, {axis}, keepDims);
  if (rows.length == 0)
    throw Error("the extreme of no elements");
  Tensor y = Tensor::zeros(DType::I64, rows.shape);
  BinaryOp op = largest ? (last ? BinaryOp::GreaterOrEqual : BinaryOp::Greater)
                        : (last ? BinaryOp::LessOrEqual : BinaryOp::Less);
  for (int64_t r = 0; r < rows.count; ++r) {
    int64_t best = r * rows.length;
    for (int64_t i = best + 1; i < (r + 1) * rows.length; ++i)
      if (binary(op, pick(rows.matrix, {}, {i}), pick(rows.matrix, {}, {best})).integers[0])
        best = i;
    y.integers[r] = best - r * rows.length;
  }
  return y;
}

Tensor sq::numerics::cumulativeSum(const Tensor &x, int64_t axis, bool exclusive, bool reverse) {
  axis = normalizeAxis(axis, x.rank());
  Tensor y = x;
  int64_t stride = stridesOf(x.shape)[axis], dim = x.shape[axis];
  for (int64_t i = 0, n = x.size(); i < n; ++i) {
    if (i / stride % dim) // once for each line, at its first element
      continue;
    double real = 0;
    uint64_t integer = 0;
    for (int64_t step = 0; step < dim; ++step) {
      int64_t at = i + (reverse ? dim - 1 - step : step) * stride;
      if (x.isFloat()) {
        y.reals[at] = exclusive ? real : real + x.reals[at];
        real += x.reals[at];
      } else {
        uint64_t with = integer + uint64_t(x.integers[at]);
        y.integers[at] = wrap(exclusive ? integer : with, x.dtype);
        integer = with;
      }
    }
  }
  return y;
}

Tensor sq::numerics::softmax(const Tensor &x, int64_t axis) {
  Tensor largest = reduce(ReduceOp::Max, x, {axis}, true);
  Tensor e = map(binary(BinaryOp::Sub, x, largest), std::exp);
  return binary(BinaryOp::Div, e, reduce(ReduceOp::Sum, e, {axis}, true));
}

Tensor sq::numerics::logSoftmax(const Tensor &x, int64_t axis) {
  return binary(BinaryOp::Sub, x, reduce(ReduceOp::LogSumExp, x, {axis}, true));
}

namespace {

std::vector<int64_t> axesFrom(int64_t axis, int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t d = normalizeAxis(axis, rank); d < rank; ++d)
    axes.push_back(d);
  return axes;
}

/// 1 / sqrt(mean(x^2) + epsilon) over `axes`.
Tensor inverseRoot(const Tensor &x, const std::vector<int64_t> &axes, double epsilon) {
  Tensor square = binary(BinaryOp::Mul, x, x);
  Tensor y = reduce(ReduceOp::Mean, square, axes, true);
  for (double &value : y.reals)
    value = 1 / std::sqrt(value + epsilon);
  return y;
}

} // namespace

Normalized sq::numerics::layerNorm(const Tensor &x, const Tensor &scale, const Tensor *bias,
                                   int64_t axis, double epsilon) {
  std::vector<int64_t> axes = axesFrom(axis, x.rank());
  Normalized result;
  result.mean = reduce(ReduceOp::Mean, x, axes, true);
  Tensor centered = binary(BinaryOp::Sub, x, result.mean);
  result.inverseStdDev = inverseRoot(centered, axes, epsilon);
  result.y = binary(BinaryOp::Mul, binary(BinaryOp::Mul, centered, result.inverseStdDev), scale);
  if (bias)
    result.y = binary(BinaryOp::Add, result.y, *bias);
  return result;
}

Tensor sq::numerics::rmsNorm(const Tensor &x, const Tensor &scale, int64_t axis, double epsilon) {
  Tensor root = inverseRoot(x, axesFrom(axis, x.rank()), epsilon);
  return binary(BinaryOp::Mul, binary(BinaryOp::Mul, x, root), scale);
}
