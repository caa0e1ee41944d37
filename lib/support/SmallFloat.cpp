#include "lib/support/SmallFloat.h"

#include <cmath>
#include <limits>

namespace sq {

double decodeSmallFloat(const SmallFloat &format, uint8_t code) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (format.isScale())
    return code == format.nan ? nan : std::ldexp(1.0, code - format.bias);
  int magnitude = code & (format.signBit() - 1);
  bool isNegative = code & format.signBit();
  double value;
  if (format.isUnsignedZero && isNegative && magnitude == 0)
    value = nan;
  else if (format.infinity && magnitude == format.infinity)
    value = std::numeric_limits<double>::infinity();
  else if (magnitude > format.largest)
    value = nan;
  else if (int exponent = magnitude >> format.mantissa; exponent == 0)
    value = std::ldexp(magnitude, 1 - format.bias - format.mantissa);
  else
    value = std::ldexp((magnitude & ((1 << format.mantissa) - 1)) + (1 << format.mantissa),
                       exponent - format.bias - format.mantissa);
  return isNegative ? -value : value;
}

/// Whether a magnitude rounds above the largest finite one, as if the next code existed: a
/// tie does when that one is the even one.
static bool overflows(const SmallFloat &format, double magnitude) {
  int exponent = (format.largest >> format.mantissa) - format.bias;
  double middle =
      decodeSmallFloat(format, format.largest) + std::ldexp(0.5, exponent - format.mantissa);
  return magnitude > middle || (magnitude == middle && format.largest % 2);
}

static uint8_t encodeScale(const SmallFloat &format, double value, bool saturate,
                           SmallRounding rounding) {
  if (std::isnan(value))
    return format.nan;
  double least = decodeSmallFloat(format, 0), most = decodeSmallFloat(format, format.largest);
  if (value < least)
    return saturate ? 0 : format.nan;
  if (std::isinf(value))
    return saturate ? format.largest : format.nan;
  int code = std::ilogb(value) + format.bias;
  double below = std::ldexp(1.0, code - format.bias);
  bool roundsUp = rounding == SmallRounding::Up     ? value > below
                  : rounding == SmallRounding::Down ? false
                                                    : value >= 1.5 * below;
  code += roundsUp;
  if (code > format.largest || (value > most && !saturate && rounding != SmallRounding::Down))
    return saturate || code <= format.largest ? format.largest : format.nan;
  return static_cast<uint8_t>(code);
}

uint8_t encodeSmallFloat(const SmallFloat &format, double value, bool saturate,
                         SmallRounding rounding) {
  if (format.isScale())
    return encodeScale(format, value, saturate, rounding);
  bool isNegative = std::signbit(value);
  uint8_t sign = isNegative ? format.signBit() : 0;
  if (std::isnan(value))
    return format.nan == 0 ? format.signBit() : format.isUnsignedZero ? format.nan : format.nan | sign;
  double magnitude = std::fabs(value);
  if (overflows(format, magnitude) && !saturate && format.nan)
    return format.isUnsignedZero ? format.nan
                                 : (format.infinity ? format.infinity : format.nan) | sign;
  // Codes are in the order of their values: the last one that is not above, or the next.
  int best = 0;
  for (int step = 128; step > 0; step /= 2)
    if (best + step <= format.largest && decodeSmallFloat(format, best + step) <= magnitude)
      best += step;
  if (best < format.largest) {
    double below = magnitude - decodeSmallFloat(format, best);
    double above = decodeSmallFloat(format, best + 1) - magnitude;
    best += above < below || (above == below && best % 2);
  }
  return best == 0 && format.isUnsignedZero ? 0 : static_cast<uint8_t>(best | sign);
}

} // namespace sq
