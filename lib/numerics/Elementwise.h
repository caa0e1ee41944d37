/// Operators that work element by element, with ONNX's (numpy's) broadcasting.
#ifndef SQ_NUMERICS_ELEMENTWISE_H
#define SQ_NUMERICS_ELEMENTWISE_H

#include "lib/numerics/Tensor.h"

namespace sq::numerics {

/// The shape that `a` and `b` broadcast to: aligned at the last dim, a missing
/// or 1-sized dim takes the other's size. Throws Error when they do not fit.
Shape broadcastShapes(const Shape &a, const Shape &b);

/// For each element of `to`, which element of `from` it is, where `from`
/// broadcasts to `to`; empty when both are one shape.
std::vector<int64_t> broadcastIndex(const Shape &from, const Shape &to);

/// f of each element of a floating-point tensor.
Tensor map(const Tensor &x, double (*f)(double));

// Scalar functions for `map` that the C library lacks.
double reciprocal(double x);
double sigmoid(double x);
/// max(0, x); NaN stays NaN.
double relu(double x);
double softplus(double x);
double softsign(double x);
/// -1, 0 or 1; NaN stays NaN.
double sign(double x);
/// x * Phi(x) = x/2 (1 + erf(x / sqrt 2)); Hendrycks and Gimpel 2016.
double gelu(double x);
/// The same paper's approximation, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
double geluTanh(double x);
/// x * sigmoid(x).
double silu(double x);
double mish(double x);
double hardSwish(double x);

/// Any type: integers wrap.
Tensor negate(const Tensor &x);
Tensor absolute(const Tensor &x);
Tensor logicalNot(const Tensor &x);
Tensor isNaN(const Tensor &x);
/// With the sign asked for.
Tensor isInf(const Tensor &x, bool positive, bool negative);

enum class BinaryOp {
  Add,
  Sub,
  Mul,
  Div,  // integers truncate; a zero divisor is an Error
  Mod,  // sign of the divisor (Python); integers only
  FMod, // sign of the dividend (C)
  Pow,  // the base's type; b may have any type
  Min,  // NaN if one is NaN
  Max,
  And, // And, Or, Xor: bitwise; on bool that is logical
  Or,
  Xor,
  Equal, // Equal and below give bool
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual
};

/// Both operands have one type, except for Pow. Throws Error otherwise.
Tensor binary(BinaryOp op, const Tensor &a, const Tensor &b);

/// condition ? a : b, all three broadcast.
Tensor where(const Tensor &condition, const Tensor &a, const Tensor &b);

} // namespace sq::numerics

#endif
