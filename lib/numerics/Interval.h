/// Intervals of integers, to prove that integer arithmetic stays within its type.
#ifndef SQ_NUMERICS_INTERVAL_H
#define SQ_NUMERICS_INTERVAL_H

#include <cstdint>

namespace sq::numerics {

/// All values of one step, [lo, hi]. 128 bits hold what any step on 64-bit operands can give but
/// shifts to the left by more than 62, which are not asked for.
struct Interval {
  __int128 lo = 0, hi = 0;

  static Interval of(int64_t value) { return {value, value}; }
  /// Of `bits` (1..64), in two's complement or without sign.
  static Interval ofBits(int bits, bool isUnsigned = false);

  bool contains(Interval other) const { return lo <= other.lo && other.hi <= hi; }
  /// True when two's complement of `bits` holds all values.
  bool fits(int bits) const { return ofBits(bits).contains(*this); }

  Interval operator+(Interval other) const { return {lo + other.lo, hi + other.hi}; }
  Interval operator-(Interval other) const { return {lo - other.hi, hi - other.lo}; }
  Interval operator*(Interval other) const;
  /// Floor shift by any amount within `by`, 0..63.
  Interval shiftRight(Interval by) const;
  /// By any amount within `by`, 0..62.
  Interval shiftLeft(Interval by) const;
  /// Quotient of values >= 0 by divisors >= 1.
  Interval divide(Interval by) const { return {lo / by.hi, hi / by.lo}; }
  Interval minimum(Interval other) const;
  Interval maximum(Interval other) const;
  /// The least interval around both.
  Interval join(Interval other) const;
};

/// The largest K for which a sum of K products of the two kinds of integers, onto a start value
/// of at most `bias`, cannot leave int32 (specs: 131071 for int8 x int8, 65793 for uint8 x int8);
/// 0 when the start value alone does.
int64_t largestContraction(int bitsA, bool unsignedA, int bitsB, bool unsignedB, int64_t bias = 0);

} // namespace sq::numerics

#endif
