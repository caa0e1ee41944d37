#include "lib/numerics/Interval.h"

#include <algorithm>

using namespace sq::numerics;

using Wide = __int128;

Interval Interval::ofBits(int bits, bool isUnsigned) {
  if (isUnsigned)
    return {0, (Wide(1) << bits) - 1};
  return {-(Wide(1) << (bits - 1)), (Wide(1) << (bits - 1)) - 1};
}

Interval Interval::operator*(Interval other) const {
  auto [least, most] = std::minmax({lo * other.lo, lo * other.hi, hi * other.lo, hi * other.hi});
  return {least, most};
}

Interval Interval::shiftRight(Interval by) const {
  return {lo >> int(lo < 0 ? by.lo : by.hi), hi >> int(hi < 0 ? by.hi : by.lo)};
}

Interval Interval::shiftLeft(Interval by) const {
  return *this * Interval{Wide(1) << int(by.lo), Wide(1) << int(by.hi)};
}

Interval Interval::minimum(Interval other) const {
  return {std::min(lo, other.lo), std::min(hi, other.hi)};
}

Interval Interval::maximum(Interval other) const {
  return {std::max(lo, other.lo), std::max(hi, other.hi)};
}

Interval Interval::join(Interval other) const {
  return {std::min(lo, other.lo), std::max(hi, other.hi)};
}

int64_t sq::numerics::largestContraction(int bitsA, bool unsignedA, int bitsB, bool unsignedB,
                                         int64_t bias) {
  Interval product = Interval::ofBits(bitsA, unsignedA) * Interval::ofBits(bitsB, unsignedB);
  Wide largest = std::max(-product.lo, product.hi), room = INT32_MAX - Wide(bias);
  return room < 0 ? 0 : static_cast<int64_t>(room / largest);
}
