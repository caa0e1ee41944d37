/// Floating-point types of 8 bits and less, as tables of values.
///
/// Formats: OCP 8-bit Floating Point (E4M3FN, E5M2), Noune et al. 2206.02915 (the FNUZ
/// ones), OCP Microscaling Formats (E8M0, E2M1); conversions by the tables of ONNX's
/// Cast. Free of MLIR and exceptions: artifacts contain it. Compiled programs convert by
/// integer arithmetic of their own (passes/lower_onnx/SmallFloats.cpp), which is tested
/// against this.
#ifndef SQ_LIB_SUPPORT_SMALLFLOAT_H
#define SQ_LIB_SUPPORT_SMALLFLOAT_H

#include <cstdint>

namespace sq {

/// A format: sign (but for E8M0), exponent, `mantissa` bits; 2^-bias * 2 is the smallest normal.
struct SmallFloat {
  const char *name;
  int bits, mantissa, bias;
  uint8_t largest;  // code of the largest finite magnitude
  uint8_t infinity; // 0: none
  uint8_t nan;      // the code that conversions give; 0: none
  /// No negative zero: its code is the only NaN.
  bool isUnsignedZero;

  bool isScale() const { return mantissa == 0; } // E8M0: powers of two, no sign, no zero
  uint8_t signBit() const { return isScale() ? 0 : 1 << (bits - 1); }
};

constexpr SmallFloat float8E4M3FN{"f8e4m3fn", 8, 3, 7, 0x7e, 0, 0x7f, false};
constexpr SmallFloat float8E4M3FNUZ{"f8e4m3fnuz", 8, 3, 8, 0x7f, 0, 0x80, true};
constexpr SmallFloat float8E5M2{"f8e5m2", 8, 2, 15, 0x7b, 0x7c, 0x7e, false};
constexpr SmallFloat float8E5M2FNUZ{"f8e5m2fnuz", 8, 2, 16, 0x7f, 0, 0x80, true};
constexpr SmallFloat float8E8M0{"f8e8m0", 8, 0, 127, 0xfe, 0, 0xff, false};
constexpr SmallFloat float4E2M1{"f4e2m1", 4, 1, 1, 0x7, 0, 0, false};
constexpr const SmallFloat *smallFloats[] = {&float8E4M3FN,   &float8E4M3FNUZ, &float8E5M2,
                                             &float8E5M2FNUZ, &float8E8M0,     &float4E2M1};

/// How values between two codes are rounded; E8M0 knows all, the others only nearest
/// with ties to even.
enum class SmallRounding { NearestEven, NearestUp, Up, Down };

/// The value of a code; bits above those of the format are ignored.
double decodeSmallFloat(const SmallFloat &format, uint8_t code);
/// The code of a value. Beyond the largest finite one: that one when `saturate`, else
/// infinity or NaN. E2M1 always saturates; NaN, which it lacks, becomes -0 as in
/// ml_dtypes. E8M0 has no sign and no zero: what is below its least value, negative values
/// too, gives that one when `saturate`, else NaN.
uint8_t encodeSmallFloat(const SmallFloat &format, double value, bool saturate = true,
                         SmallRounding rounding = SmallRounding::NearestEven);

} // namespace sq

#endif
