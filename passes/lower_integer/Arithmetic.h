/// Integer arithmetic in the body of a loop that knows what its values can be.
#ifndef SQ_PASSES_LOWER_INTEGER_ARITHMETIC_H
#define SQ_PASSES_LOWER_INTEGER_ARITHMETIC_H

#include "lib/numerics/IntegerActivations.h"
#include "lib/numerics/Interval.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <string>

namespace sq {

/// An integer of 32 or 64 bits, and its intervals: one, or one per channel where constants are
/// per channel, so that a wide scale of one does not count against another.
struct Ranged {
  mlir::Value value; // null for a constant, until it is used
  llvm::SmallVector<numerics::Interval, 1> ranges;

  bool isConstant() const { return !value; }
  /// Of all channels.
  numerics::Interval range() const;
};

/// Each step has the width its operands and its result need. A result that could leave 64 bits
/// is a problem, which `problem` then tells; what is built is of no use.
class Arithmetic {
public:
  Arithmetic(mlir::ImplicitLocOpBuilder &b, std::string &problem) : b(b), problem(problem) {}

  Ranged constant(int64_t value);
  /// `v`, of any width, as an integer in `ranges`.
  Ranged input(mlir::Value v, llvm::ArrayRef<numerics::Interval> ranges, bool isUnsigned);
  Ranged input(mlir::Value v, numerics::IntegerRange range, bool isUnsigned) {
    return input(v, numerics::Interval{range.lo, range.hi}, isUnsigned);
  }
  /// `x` again, where more is known about it than intervals show.
  Ranged assume(Ranged x, numerics::Interval range);

  Ranged add(Ranged x, Ranged y);
  Ranged sub(Ranged x, Ranged y);
  Ranged mul(Ranged x, Ranged y);
  Ranged shiftLeft(Ranged x, Ranged by);
  /// Where the amount depends on x such that the result is 64-bit and in `range`.
  Ranged shiftLeftTo(Ranged x, Ranged by, numerics::Interval range);
  Ranged shiftRight(Ranged x, Ranged by); // to minus infinity
  /// x >= 0, y >= 1.
  Ranged divide(Ranged x, Ranged y);
  Ranged minimum(Ranged x, Ranged y);
  Ranged maximum(Ranged x, Ranged y);
  Ranged clamp(Ranged x, Ranged lo, Ranged hi) { return minimum(maximum(x, lo), hi); }
  Ranged absolute(Ranged x);
  /// x < 0 ? negative : other.
  Ranged selectNegative(Ranged x, Ranged negative, Ranged other);
  /// condition ? x : y.
  Ranged select(mlir::Value condition, Ranged x, Ranged y);
  /// x >= 0.
  Ranged bitLength(Ranged x);
  /// floor(sqrt(x)), x >= 0.
  Ranged root(Ranged x);

  /// x / 2^by rounded, by >= 0 (>= 1 unless rounded half up).
  Ranged shiftRounded(Ranged x, Ranged by, numerics::Rounding rounding);
  /// What exponentials are, d >= 0.
  Ranged exponential(const numerics::IntegerExp &exp, Ranged d);

  /// clamp(x + zero) in an integer type.
  mlir::Value result(Ranged x, int64_t zero, numerics::IntegerRange range, mlir::Type type);
  /// x, which is known to fit, in an integer type.
  mlir::Value as(Ranged x, mlir::Type type);

private:
  mlir::ImplicitLocOpBuilder &b;
  std::string &problem;

  int widthOf(llvm::ArrayRef<const Ranged *> values) const;
  mlir::Value at(const Ranged &x, int width);
  using Step = llvm::function_ref<numerics::Interval(numerics::Interval, numerics::Interval)>;
  template <typename Op> Ranged binary(const char *name, Ranged x, Ranged y, Step step);
};

/// floor(sqrt(n)) of an unsigned integer of 32 or 64 bits.
mlir::Value integerSqrt(mlir::ImplicitLocOpBuilder &b, mlir::Value n);

} // namespace sq

#endif
