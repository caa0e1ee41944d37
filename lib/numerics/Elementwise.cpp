#include "lib/numerics/Elementwise.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;

Shape sq::numerics::broadcastShapes(const Shape &a, const Shape &b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) { // from the last dim
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      throw Error("shapes " + format(a) + " and " + format(b) + " do not broadcast");
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

std::vector<int64_t> sq::numerics::broadcastIndex(const Shape &from, const Shape &to) {
  if (from == to)
    return {};
  int64_t rank = to.size(), missing = rank - int64_t(from.size());
  if (missing < 0 || broadcastShapes(from, to) != to)
    throw Error("shape " + format(from) + " does not broadcast to " + format(to));
  std::vector<int64_t> strides(rank, 0), own = stridesOf(from);
  for (int64_t d = missing; d < rank; ++d)
    if (from[d - missing] != 1)
      strides[d] = own[d - missing];

  std::vector<int64_t> index(numElements(to)), position(rank, 0);
  int64_t source = 0;
  for (int64_t &entry : index) {
    entry = source;
    for (int64_t d = rank - 1; d >= 0; --d) {
      source += strides[d];
      if (++position[d] < to[d])
        break;
      source -= strides[d] * to[d];
      position[d] = 0;
    }
  }
  return index;
}

Tensor sq::numerics::map(const Tensor &x, double (*f)(double)) {
  if (!x.isFloat())
    throw Error(std::string("not defined for ") + name(x.dtype) + " elements");
  Tensor y = x;
  for (double &value : y.reals)
    value = f(value);
  return y;
}

double sq::numerics::reciprocal(double x) { return 1 / x; }
double sq::numerics::sigmoid(double x) {
  // exp of a positive number would overflow where the result is just 1.
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
double sq::numerics::relu(double x) { return x < 0 ? 0 : x; }
double sq::numerics::softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}
double sq::numerics::softsign(double x) { return x / (1 + std::fabs(x)); }
double sq::numerics::sign(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
double sq::numerics::gelu(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }
double sq::numerics::geluTanh(double x) {
  const double c = std::sqrt(2 / 3.14159265358979323846);
  return x / 2 * (1 + std::tanh(c * (x + 0.044715 * x * x * x)));
}
double sq::numerics::silu(double x) { return x * sigmoid(x); }
double sq::numerics::mish(double x) { return x * std::tanh(softplus(x)); }
double sq::numerics::hardSwish(double x) {
  return x * std::max(0.0, std::min(1.0, x / 6 + 0.5));
}

Tensor sq::numerics::negate(const Tensor &x) {
  Tensor y = x;
  for (double &value : y.reals)
    value = -value;
  for (int64_t &value : y.integers)
    value = wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(value)), x.dtype);
  return y;
}

Tensor sq::numerics::absolute(const Tensor &x) {
  Tensor y = x;
  for (double &value : y.reals)
    value = std::fabs(value);
  if (!isUnsigned(x.dtype))
    for (int64_t &value : y.integers)
      if (value < 0)
        value = wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(value)), x.dtype);
  return y;
}

Tensor sq::numerics::logicalNot(const Tensor &x) {
  if (x.dtype != DType::Bool)
    throw Error(std::string("logical not of ") + name(x.dtype) + " elements; expected bool");
  Tensor y = x;
  for (int64_t &value : y.integers)
    value = !value;
  return y;
}

Tensor sq::numerics::isNaN(const Tensor &x) {
  Tensor y = Tensor::zeros(DType::Bool, x.shape);
  for (int64_t i = 0, n = x.size(); i < n; ++i)
    y.integers[i] = std::isnan(x.real(i));
  return y;
}

Tensor sq::numerics::isInf(const Tensor &x, bool positive, bool negative) {
  Tensor y = Tensor::zeros(DType::Bool, x.shape);
  for (int64_t i = 0, n = x.size(); i < n; ++i) {
    double value = x.real(i);
    y.integers[i] = std::isinf(value) && (value > 0 ? positive : negative);
  }
  return y;
}

namespace {

bool isComparison(BinaryOp op) { return op >= BinaryOp::Equal; }

double onReals(BinaryOp op, double a, double b) {
  switch (op) {
  case BinaryOp::Add:
    return a + b;
  case BinaryOp::Sub:
    return a - b;
  case BinaryOp::Mul:
    return a * b;
  case BinaryOp::Div:
    return a / b;
  case BinaryOp::FMod:
    return std::fmod(a, b);
  case BinaryOp::Pow:
    return std::pow(a, b);
  case BinaryOp::Min:
    return std::isnan(a) ? a : std::isnan(b) ? b : std::min(a, b);
  case BinaryOp::Max:
    return std::isnan(a) ? a : std::isnan(b) ? b : std::max(a, b);
  default:
    throw Error("this operator is not defined for floating-point elements");
  }
}

/// T is int64_t or, for unsigned types, uint64_t.
template <typename T> int64_t onIntegers(BinaryOp op, T a, T b) {
  // Sums and products wrap: computed unsigned, where overflow is defined.
  uint64_t x = a, y = b;
  switch (op) {
  case BinaryOp::Add:
    return x + y;
  case BinaryOp::Sub:
    return x - y;
  case BinaryOp::Mul:
    return x * y;
  case BinaryOp::Div:
  case BinaryOp::Mod:
  case BinaryOp::FMod: {
    if (b == 0)
      throw Error("integer division by zero");
    if (b == T(-1) && T(-1) < T(0)) // the one quotient that overflows
      return op == BinaryOp::Div ? 0 - x : 0;
    if (op == BinaryOp::Div)
      return a / b;
    T rest = a % b;
    bool otherSign = op == BinaryOp::Mod && rest != 0 && (rest < T(0)) != (b < T(0));
    return otherSign ? rest + b : rest;
  }
  case BinaryOp::Min:
    return std::min(a, b);
  case BinaryOp::Max:
    return std::max(a, b);
  case BinaryOp::And:
    return x & y;
  case BinaryOp::Or:
    return x | y;
  case BinaryOp::Xor:
    return x ^ y;
  default:
    throw Error("this operator is not defined for integer elements");
  }
}

template <typename T> bool compare(BinaryOp op, T a, T b) {
  switch (op) {
  case BinaryOp::Equal:
    return a == b;
  case BinaryOp::Less:
    return a < b;
  case BinaryOp::LessOrEqual:
    return a <= b;
  case BinaryOp::Greater:
    return a > b;
  default:
    return a >= b;
  }
}

/// base^exponent with wrap-around; as ONNX's reference, 0 for a fraction.
int64_t integerPower(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, square = base;
  for (; exponent; exponent >>= 1, square *= square)
    if (exponent & 1)
      result *= square;
  return result;
}

} // namespace

Tensor sq::numerics::binary(BinaryOp op, const Tensor &a, const Tensor &b) {
  if (a.dtype != b.dtype && op != BinaryOp::Pow)
    throw Error(std::string("operands of ") + name(a.dtype) + " and " + name(b.dtype) +
                "; expected one type");
  Shape shape = broadcastShapes(a.shape, b.shape);
  std::vector<int64_t> indexA = broadcastIndex(a.shape, shape);
  std::vector<int64_t> indexB = broadcastIndex(b.shape, shape);
  Tensor y = Tensor::zeros(isComparison(op) ? DType::Bool : a.dtype, shape);
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    int64_t ia = indexA.empty() ? i : indexA[i];
    int64_t ib = indexB.empty() ? i : indexB[i];
    if (isComparison(op)) {
      if (a.isFloat())
        y.integers[i] = compare(op, a.reals[ia], b.reals[ib]);
      else if (isUnsigned(a.dtype))
        y.integers[i] = compare(op, uint64_t(a.integers[ia]), uint64_t(b.integers[ib]));
      else
        y.integers[i] = compare(op, a.integers[ia], b.integers[ib]);
    } else if (a.isFloat()) {
      y.reals[i] = onReals(op, a.reals[ia], b.real(ib));
    } else if (op == BinaryOp::Pow) {
      y.integers[i] = b.isFloat()
                          ? cast(Tensor::ofReals(DType::F64, {}, {std::pow(a.real(ia), b.real(ib))}),
                                 a.dtype)
                                .integers[0]
                          : wrap(integerPower(a.integers[ia], b.integers[ib]), a.dtype);
    } else {
      int64_t value = isUnsigned(a.dtype) ? onIntegers<uint64_t>(op, a.integers[ia], b.integers[ib])
                                          : onIntegers<int64_t>(op, a.integers[ia], b.integers[ib]);
      y.integers[i] = wrap(value, a.dtype);
    }
  }
  return y;
}

Tensor sq::numerics::where(const Tensor &condition, const Tensor &a, const Tensor &b) {
  if (condition.dtype != DType::Bool || a.dtype != b.dtype)
    throw Error(std::string("where(") + name(condition.dtype) + ", " + name(a.dtype) + ", " +
                name(b.dtype) + "); expected bool and two operands of one type");
  Shape shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape));
  std::vector<int64_t> indexC = broadcastIndex(condition.shape, shape);
  std::vector<int64_t> indexA = broadcastIndex(a.shape, shape);
  std::vector<int64_t> indexB = broadcastIndex(b.shape, shape);
  Tensor y = Tensor::zeros(a.dtype, shape);
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    bool first = condition.integers[indexC.empty() ? i : indexC[i]];
    const Tensor &source = first ? a : b;
    const std::vector<int64_t> &index = first ? indexA : indexB;
    int64_t j = index.empty() ? i : index[i];
    if (y.isFloat())
      y.reals[i] = source.reals[j];
    else
      y.integers[i] = source.integers[j];
  }
  return y;
}
