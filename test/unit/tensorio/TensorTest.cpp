#include "lib/tensorio/Tensor.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

using namespace sq;

namespace {

Tensor parsed(const std::string &text) {
  Tensor t;
  Status s = parseTensor(text, t);
  EXPECT_TRUE(s.ok()) << s.message;
  return t;
}

std::string parseMessage(const std::string &text) {
  Tensor t;
  Status s = parseTensor(text, t);
  EXPECT_EQ(s.code, ExitCode::Usage) << text;
  return s.message;
}

uint16_t bitsOf16(DType dtype, double value) {
  Tensor t;
  EXPECT_TRUE(t.allocate(dtype, {1}).ok());
  t.setDouble(0, value);
  uint16_t bits;
  std::memcpy(&bits, t.bytes.data(), 2);
  return bits;
}

TEST(Tensor, TextRoundTrip) {
  for (const char *text :
       {"2x3xi64=1,-2,3,4,5,6", "f32=0.1", "3xf32=inf,-inf,nan", "2xf64=0.1,1e-300",
        "4xbool8=0,1,1,0", "2xu64=18446744073709551615,0", "2xi8=-128,127", "1x1xf16=0.333", "3xf32=10,100000,1e+10",
        "2xbf16=1,3.14", "0x4xi32="})
    EXPECT_EQ(formatTensor(parsed(text), 100), text);
  EXPECT_EQ(formatTensor(parsed("2xbool8=true,false"), 9), "2xbool8=1,0");
  EXPECT_EQ(formatTensor(parsed("3xi32=7"), 2), "3xi32=7,7,..."); // one value for all
  EXPECT_EQ(formatTensor(parsed("2x2xu8=1 2\n3, 4"), 9), "2x2xu8=1,2,3,4");
}

TEST(Tensor, TextRefused) {
  EXPECT_EQ(parseMessage("2xi64=1,2,3"),
            "2xi64 has 2 elements, given 3; give them all, or one for all");
  EXPECT_EQ(parseMessage("2xi8=1,128"), "element 1, '128', is not a value of i8");
  EXPECT_EQ(parseMessage("2xi64=1,99999999999999999999"),
            "element 1, '99999999999999999999', is not a value of i64");
  EXPECT_EQ(parseMessage("2xu64=-1,0"), "element 0, '-1', is not a value of u64");
  EXPECT_EQ(parseMessage("2xi64=1.5,2"), "unexpected '.5,2' after element 0");
  EXPECT_EQ(parseMessage("ax2xi64=1"), "'ax2xi64' is not SHAPExDTYPE, for example 2x3xi64");
  EXPECT_EQ(parseMessage("1,2,3"),
            "'1,2,3' is not SHAPExDTYPE=VALUES, for example 2x3xi64=1,2,3,4,5,6");
  for (const char *text : {"", "=", "x=1", "xf32=1", "-1xf32=1", "2xx3xf32=1", "2xstring=1", "i64="})
    EXPECT_NE(parseMessage(text), "");
}

TEST(Tensor, SizesThatOverflow) {
  Tensor t;
  EXPECT_EQ(t.allocate(DType::f32, {INT64_MAX, 2}).code, ExitCode::Refused);
  EXPECT_EQ(t.allocate(DType::f32, {int64_t(1) << 62}).code, ExitCode::Refused);
  EXPECT_EQ(t.allocate(DType::f32, {-1, 0}).code, ExitCode::Refused);
  EXPECT_TRUE(t.allocate(DType::f32, {INT64_MAX, INT64_MAX, 0}).ok());
  EXPECT_EQ(t.numElements(), 0);
  EXPECT_NE(t.bytes.data(), nullptr);
}

TEST(Tensor, ConvertKeepsValues) {
  Tensor t = parsed("3xi8=-128,0,127");
  ASSERT_TRUE(convert(t, DType::i64).ok());
  EXPECT_EQ(formatTensor(t, 9), "3xi64=-128,0,127");
  EXPECT_EQ(convert(t, DType::u64).message, "element 0 is -128, which does not fit u64");
  EXPECT_EQ(formatTensor(t, 9), "3xi64=-128,0,127"); // unchanged when refused

  t = parsed("2xu64=1,9223372036854775808");
  EXPECT_EQ(convert(t, DType::i64).message,
            "element 1 is 9223372036854775808, which does not fit i64");
  t = parsed("2xi64=0,2");
  EXPECT_EQ(convert(t, DType::bool8).message, "element 1 is 2, which does not fit bool8");
  t = parsed("2xf16=0.5,inf");
  ASSERT_TRUE(convert(t, DType::f32).ok());
  EXPECT_EQ(formatTensor(t, 9), "2xf32=0.5,inf");
  EXPECT_EQ(convert(t, DType::f16).message, "elements are f32, expected f16; convert the data");
  EXPECT_EQ(convert(t, DType::i64).message, "elements are f32, expected i64; convert the data");
}

// Every pattern of 16 bits comes back from its value.
TEST(Tensor, SixteenBitFloats) {
  for (DType dtype : {DType::f16, DType::bf16}) {
    Tensor t;
    ASSERT_TRUE(t.allocate(dtype, {1}).ok());
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      uint16_t half = bits;
      std::memcpy(t.bytes.data(), &half, 2);
      double value = t.asDouble(0);
      if (!std::isnan(value)) {
        ASSERT_EQ(bitsOf16(dtype, value), half) << dtypeName(dtype);
      }
    }
  }
  EXPECT_EQ(bitsOf16(DType::f16, 65519.9), 0x7bff);       // the largest, 65504
  EXPECT_EQ(bitsOf16(DType::f16, 65520), 0x7c00);         // a tie, to even: infinity
  EXPECT_EQ(bitsOf16(DType::f16, std::ldexp(1, -25)), 0); // half the smallest, a tie
  EXPECT_EQ(bitsOf16(DType::f16, std::ldexp(1.1, -25)), 1);
  EXPECT_EQ(bitsOf16(DType::f16, 2049), 0x6800); // between 2048 and 2050
  EXPECT_EQ(bitsOf16(DType::bf16, 1.00390625), 0x3f80); // 1 + 2^-8, a tie
}

TEST(Tensor, TypesBelowAByte) {
  EXPECT_EQ(formatTensor(parsed("4xi4=-8,7,0,-1"), 9), "4xi4=-8,7,0,-1");
  EXPECT_EQ(formatTensor(parsed("2xu2=3,0"), 9), "2xu2=3,0");
  EXPECT_EQ(formatTensor(parsed("3xf8e5m2=0.1,-inf,1e9"), 9), "3xf8e5m2=0.09,-inf,57344");
  EXPECT_EQ(formatTensor(parsed("2xf4e2m1=-0.5,5"), 9), "2xf4e2m1=-0.5,4");
  Tensor t = parsed("2xi8=7,8");
  EXPECT_EQ(convert(t, DType::i4).message, "element 1 is 8, which does not fit i4");
  t = parsed("2xi4=-8,7");
  ASSERT_TRUE(convert(t, DType::i64).ok());
  EXPECT_EQ(formatTensor(t, 9), "2xi64=-8,7");
  t = parsed("2xf8e4m3fn=448,nan");
  ASSERT_TRUE(convert(t, DType::f32).ok());
  EXPECT_EQ(formatTensor(t, 9), "2xf32=448,nan");
  t = parsed("2xu8=126,56"); // codes
  ASSERT_TRUE(convert(t, DType::f8e4m3fn).ok());
  EXPECT_EQ(formatTensor(t, 9), "2xf8e4m3fn=448,1");
}

} // namespace
