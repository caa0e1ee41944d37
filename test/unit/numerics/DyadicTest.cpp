#include "lib/numerics/Dyadic.h"

#include "lib/numerics/Tensor.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::numerics;

namespace {

constexpr IntegerRange wide = {INT32_MIN, INT32_MAX};
const IntegerRange int8 = IntegerRange::of(8);
constexpr Rounding roundings[] = {Rounding::HalfUp, Rounding::HalfAway, Rounding::HalfEven};

std::pair<int64_t, int> pairOf(Dyadic d) { return {d.m, d.e}; }
using Pair = std::pair<int64_t, int>;

TEST(Dyadic, Constants) {
  EXPECT_EQ(pairOf(Dyadic::of(0.0123456789)), Pair(1696777188, 37));
  EXPECT_EQ(pairOf(Dyadic::of(0.75)), Pair(1610612736, 31));
  EXPECT_EQ(pairOf(Dyadic::of(1)), Pair(1073741824, 30));
  EXPECT_EQ(pairOf(Dyadic::of(1.0 / 3)), Pair(1431655765, 32));
  EXPECT_EQ(pairOf(Dyadic::of(3.7e-5)), Pair(1301821767, 45));
  EXPECT_EQ(pairOf(Dyadic::of(2.5)), Pair(1342177280, 29));
  EXPECT_EQ(pairOf(Dyadic::of(1 - 0x1p-33)), Pair(1073741824, 30)); // not 2^31
  EXPECT_EQ(pairOf(Dyadic::of(0.02 * 0.0015 / 0.045)), Pair(1466015504, 41));
  EXPECT_EQ(pairOf(Dyadic::of(-0.75)), Pair(-1610612736, 31));
  EXPECT_EQ(pairOf(Dyadic::of(0.75, 16)), Pair(49152, 16));
  EXPECT_EQ(Dyadic::of(0).m, 0);
  EXPECT_THROW(Dyadic::of(NAN), Error);
  EXPECT_THROW(Dyadic::of(INFINITY), Error);
  EXPECT_THROW(Dyadic::of(1, 15), Error);
  EXPECT_THROW(Dyadic::of(1, 32), Error);
}

TEST(Dyadic, WidthBoundsTheError) {
  sq::test::Random random(1);
  for (int i = 0; i < 100000; ++i) {
    int width = random.integer(16, 31);
    double ratio = std::ldexp(random.real(), random.integer(-40, 40));
    Dyadic d = Dyadic::of(ratio, width);
    EXPECT_GE(std::abs(d.m), int64_t(1) << (width - 1));
    EXPECT_LT(std::abs(d.m), int64_t(1) << width);
    EXPECT_LE(std::fabs(std::ldexp(double(d.m), -d.e) - ratio), std::ldexp(std::fabs(ratio), -width));
  }
}

TEST(Dyadic, Apply) {
  Dyadic d = Dyadic::of(0.02 * 0.0015 / 0.045);
  for (Rounding r : roundings) {
    EXPECT_EQ(d.apply(12345, wide, r), 8);
    EXPECT_EQ(d.apply(100000, wide, r), 67);
    EXPECT_EQ(d.apply(-100000, wide, r), -67);
    EXPECT_EQ(d.apply(190000, wide, r), 127);
    EXPECT_EQ(d.apply(-200000, wide, r), -133);
    EXPECT_EQ(d.apply(-200000, int8, r), -128);
    EXPECT_EQ(d.apply(2147483647, wide, r), 1431656);
    EXPECT_EQ(d.apply(2147483647, int8, r), 127);
  }
}

TEST(Dyadic, Ties) {
  Dyadic half = Dyadic::of(0.5);
  EXPECT_EQ(pairOf(half), Pair(1073741824, 31));
  int64_t q[] = {1, -1, 3, -3, 5, -5};
  int64_t expected[3][6] = {{1, 0, 2, -1, 3, -2}, {1, -1, 2, -2, 3, -3}, {0, 0, 2, -2, 2, -2}};
  for (int r = 0; r < 3; ++r)
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(half.apply(q[i], wide, roundings[r]), expected[r][i]) << r << " " << q[i];
}

// Exponents outside 1..62, and negative factors.
TEST(Dyadic, ExtremeExponents) {
  for (Rounding r : roundings) {
    for (int64_t q : {int64_t(1), int64_t(-1), int64_t(INT32_MAX), int64_t(INT32_MIN)}) {
      EXPECT_EQ(Dyadic::of(0x1p-33).apply(q, wide, r), 0); // e = 63
      EXPECT_EQ(Dyadic::of(0x1p-500).apply(q, wide, r), 0);
      EXPECT_EQ(Dyadic::of(0x1p30).apply(q, int8, r), q < 0 ? -128 : 127);   // e = 0
      EXPECT_EQ(Dyadic::of(-0x1p31).apply(q, int8, r), q < 0 ? 127 : -128);  // e = -1
      EXPECT_EQ(Dyadic::of(0x1p500).apply(q, wide, r), q < 0 ? INT32_MIN : INT32_MAX);
      for (double ratio : {0x1p-33, 0x1p-500, 0x1p30, -0x1p31, 0x1p500, -0.3}) {
        Dyadic exact = Dyadic::of(ratio), encodable = exact.encodable();
        EXPECT_GE(encodable.e, 1);
        EXPECT_LE(encodable.e, 62);
        for (int bits : {2, 8, 22, 30})
          EXPECT_EQ(encodable.apply(q, IntegerRange::of(bits), r), exact.apply(q, IntegerRange::of(bits), r));
      }
    }
    for (double ratio : {0x1p-33, 0x1p30, -0x1p31, 0x1p500})
      EXPECT_EQ(Dyadic::of(ratio).apply(0, int8, r), 0);
    EXPECT_EQ(Dyadic::of(0x1p30).apply(1, wide, r), 1 << 30); // exact where it fits
    EXPECT_EQ(Dyadic::of(-0.75).apply(100, int8, r), -75);
  }
  EXPECT_EQ(Dyadic::of(0x1p-500).apply(5, {3, 9}), 3); // a range without 0
}

// Within half a unit and the error of the constant, 2^-31 of the result's magnitude.
TEST(Dyadic, RandomAgainstLongDouble) {
  sq::test::Random random(2);
  for (int i = 0; i < 200000; ++i) {
    double ratio = std::ldexp(random.real(), random.integer(-31, -1));
    int64_t q = random.integer(INT32_MIN, INT32_MAX);
    long double exact = (long double)q * ratio;
    if (std::fabs(exact) > 0x1p30L)
      continue;
    for (Rounding r : roundings) {
      long double difference = std::fabs(Dyadic::of(ratio).apply(q, wide, r) - exact);
      EXPECT_LE(difference, 0.5L + std::fabs(exact) * 0x1p-31L);
    }
  }
}

// The sum of two 8-bit tensors: one rounding is the correctly rounded sum for all pairs; two
// roundings, as the reference code has them, are not in a quarter of them.
TEST(DyadicSum, AllPairs) {
  const double a = 0.031, b = 0.0474, y = 0.0625;
  Dyadic da = Dyadic::of(a / y), db = Dyadic::of(b / y);
  EXPECT_EQ(pairOf(da), Pair(2130303779, 32));
  EXPECT_EQ(pairOf(db), Pair(1628651599, 31));
  DyadicSum sum = DyadicSum::of(a, b, y, 128, 128);
  EXPECT_EQ(sum.e, 31);
  EXPECT_EQ(sum.a, 1065151889);
  EXPECT_EQ(sum.b, 1628651599);
  EXPECT_EQ(sum.apply(100, -77, wide), -9);
  EXPECT_EQ(da.apply(100, wide) + db.apply(-77, wide), -8);
  int twice = 0;
  for (int qa = -128; qa < 128; ++qa)
    for (int qb = -128; qb < 128; ++qb) {
      double exact = (a * qa + b * qb) / y;
      EXPECT_EQ(sum.apply(qa, qb, wide), std::llrint(exact)) << qa << " " << qb;
      twice += da.apply(qa, wide) + db.apply(qb, wide) != std::llrint(exact);
    }
  EXPECT_NEAR(twice / 65536.0, 0.25, 0.005);
}

// Wide operands get wider constants; what cannot be precise is refused.
TEST(DyadicSum, Wide) {
  sq::test::Random random(3);
  for (int i = 0; i < 100000; ++i) {
    int bits = random.integer(8, 24);
    int64_t magnitude = int64_t(1) << (bits - 1);
    double y = 1, a = std::ldexp(1 + std::fabs(random.real()), random.integer(-12, 3)), b = 0.3;
    DyadicSum sum = DyadicSum::of(a, b, y, magnitude, 128);
    int64_t qa = random.integer(-magnitude, magnitude - 1), qb = random.integer(-128, 127);
    long double exact = (long double)qa * a + qb * (long double)b;
    EXPECT_LE(std::fabs(sum.apply(qa, qb, {-(1ll << 40), 1ll << 40}) - exact), 0.5L + 0x1p-7L);
  }
  EXPECT_THROW(DyadicSum::of(1e9, 1, 1, 1 << 23, 128), Error);
  EXPECT_THROW(DyadicSum::of(0, 1, 1, 128, 128), Error);
  EXPECT_THROW(DyadicSum::of(1, -1, 1, 128, 128), Error);
  EXPECT_THROW(DyadicSum::of(1, 1, NAN, 128, 128), Error);
}

TEST(IntegerRange, Of) {
  EXPECT_EQ(int8.lo, -128);
  EXPECT_EQ(int8.hi, 127);
  EXPECT_EQ(IntegerRange::of(8, true).hi, 255);
  EXPECT_EQ(IntegerRange::of(32, true).hi, UINT32_MAX);
  EXPECT_EQ(IntegerRange::of(22).magnitude(), 1 << 21);
  EXPECT_THROW(IntegerRange::of(0), Error);
  EXPECT_THROW(IntegerRange::of(33), Error);
}

} // namespace
