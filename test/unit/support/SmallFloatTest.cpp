#include "lib/support/SmallFloat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace sq;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Values of the formats' specifications.
TEST(SmallFloat, ExtremesAreThoseOfTheSpecifications) {
  EXPECT_EQ(decodeSmallFloat(float8E4M3FN, 0x7e), 448);
  EXPECT_EQ(decodeSmallFloat(float8E4M3FN, 0x01), std::ldexp(1.0, -9));
  EXPECT_TRUE(std::isnan(decodeSmallFloat(float8E4M3FN, 0xff)));
  EXPECT_EQ(decodeSmallFloat(float8E4M3FNUZ, 0x7f), 240);
  EXPECT_TRUE(std::isnan(decodeSmallFloat(float8E4M3FNUZ, 0x80)));
  EXPECT_EQ(decodeSmallFloat(float8E5M2, 0x7b), 57344);
  EXPECT_EQ(decodeSmallFloat(float8E5M2, 0xfc), -infinity);
  EXPECT_TRUE(std::isnan(decodeSmallFloat(float8E5M2, 0x7d)));
  EXPECT_EQ(decodeSmallFloat(float8E5M2FNUZ, 0xff), -57344);
  EXPECT_EQ(decodeSmallFloat(float8E5M2FNUZ, 0x01), std::ldexp(1.0, -17));
  EXPECT_EQ(decodeSmallFloat(float8E8M0, 0), std::ldexp(1.0, -127));
  EXPECT_TRUE(std::isnan(decodeSmallFloat(float8E8M0, 0xff)));
  double fp4[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (int code = 0; code < 8; ++code)
    EXPECT_EQ(decodeSmallFloat(float4E2M1, code), fp4[code]);
}

TEST(SmallFloat, EveryCodeComesBack) {
  for (const SmallFloat *format : smallFloats)
    for (int code = 0; code < 1 << format->bits; ++code) {
      double value = decodeSmallFloat(*format, code);
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(decodeSmallFloat(*format, encodeSmallFloat(*format, value))));
      else
        EXPECT_EQ(encodeSmallFloat(*format, value, /*saturate=*/false), code) << format->name;
    }
}

// The tables of ONNX's Cast.
TEST(SmallFloat, SpecialValues) {
  EXPECT_EQ(encodeSmallFloat(float8E4M3FN, infinity), 0x7e);
  EXPECT_EQ(encodeSmallFloat(float8E4M3FN, -infinity, false), 0xff);
  EXPECT_EQ(encodeSmallFloat(float8E4M3FN, 463.9, false), 0x7e); // rounds to 448
  EXPECT_EQ(encodeSmallFloat(float8E4M3FN, 464, false), 0x7e);   // a tie, to the even code
  EXPECT_EQ(encodeSmallFloat(float8E4M3FN, 464.1, false), 0x7f);
  EXPECT_EQ(encodeSmallFloat(float8E5M2, infinity), 0x7b);
  EXPECT_EQ(encodeSmallFloat(float8E5M2, 1e6, false), 0x7c);
  EXPECT_EQ(encodeSmallFloat(float8E5M2FNUZ, -0.0), 0);
  EXPECT_EQ(encodeSmallFloat(float8E5M2FNUZ, -1e9, false), 0x80);
  EXPECT_EQ(encodeSmallFloat(float4E2M1, 1e9, false), 7);
  EXPECT_EQ(encodeSmallFloat(float4E2M1, 0.25), 0);
  EXPECT_EQ(encodeSmallFloat(float4E2M1, 0.75), 2);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, 0), 0);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, 0, false), 0xff);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, infinity, true, SmallRounding::Up), 0xfe);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, 1.25, true, SmallRounding::Up), 128);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, 1.75, true, SmallRounding::Down), 127);
  EXPECT_EQ(encodeSmallFloat(float8E8M0, 1.5, true, SmallRounding::NearestUp), 128);
}

} // namespace
