#include "lib/numerics/IntegerActivations.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace sq::numerics;
using Kind = IntegerSigmoid::Kind;

namespace {

const IntegerRange int8 = IntegerRange::of(8);

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

TEST(IntegerGelu, FineScale) {
  IntegerGelu g = IntegerGelu::of(1e-4, 6.0 / 127, int8);
  EXPECT_EQ(g.b, 25017);
  EXPECT_EQ(g.c, 692520776);
  EXPECT_EQ(g.shift, 15);
  EXPECT_EQ(g.one, 21134);
  EXPECT_NEAR(g.rawScale, 2.3658496e-9, 1e-16);
  EXPECT_EQ(g.hi, 60474);
  EXPECT_EQ(g.out.m, 902109734);
  EXPECT_EQ(g.out.e, 54);
  int64_t vector[][3] = {{5000, 150200000, 8},       {-5000, -61140000, -3},  {10000, 353860000, 18},
                         {-10000, -68820000, -3},    {23498, 991568604, 50},  {-23498, -1644860, 0},
                         {25018, 1057460824, 53},    {-25018, 0, 0},          {30000, 1268040000, 63}};
  for (auto [q, product, result] : vector) {
    EXPECT_EQ(g.product(q), product) << q;
    EXPECT_EQ(g.apply(q, int8), result) << q;
  }
}

TEST(IntegerGelu, CoarseScale) {
  IntegerGelu g = IntegerGelu::of(8.0 / 127, 8.0 / 127, int8);
  EXPECT_EQ(g.b, 40);
  EXPECT_EQ(g.c, 1745);
  EXPECT_EQ(g.shift, 0);
  EXPECT_EQ(g.one, 1745);
  EXPECT_EQ(g.out.m, 1259997106);
  EXPECT_EQ(g.out.e, 42);
  int64_t q[] = {-127, -40, -39, -32, -16, -8, -4, -1, 0, 1, 4, 8, 16, 32, 39, 40, 64, 127};
  int64_t y[] = {0, 0, 0, -1, -3, -2, -1, 0, 0, 1, 3, 6, 13, 31, 39, 40, 64, 127};
  for (int i = 0; i < 18; ++i)
    EXPECT_EQ(g.apply(q[i], int8), y[i]) << q[i];
}

// Against exact GELU on |x| <= 8: the polynomial's 0.0182, half a unit of the result, and 0.004
// for a coarse input. Beyond, and at the ends of int32, GELU is x or 0.
TEST(IntegerGelu, Error) {
  for (double scale : {2e-5, 1e-4, 1e-3, 4.0 / 127, 8.0 / 127, 0.1, 0.25}) {
    double resultScale = 8.0 / 127;
    IntegerGelu g = IntegerGelu::of(scale, resultScale, int8);
    double bound = 0.0182 + resultScale / 2 + (scale > 1e-2 ? 0.004 : 0);
    int64_t limit = 8 / scale, step = std::max<int64_t>(1, limit / 20000);
    for (int64_t q = -limit; q <= limit; q += step)
      EXPECT_LE(std::fabs(g.apply(q, int8) * resultScale - gelu(q * scale)), bound) << scale << " " << q;
    EXPECT_EQ(g.apply(INT32_MAX, int8), 127);
    EXPECT_EQ(g.apply(INT32_MIN, int8), 0);
  }
}

// Every 8-bit input: never more than one from the best result.
TEST(IntegerGelu, EightBits) {
  double scale = 8.0 / 127;
  IntegerGelu g = IntegerGelu::of(scale, scale, int8);
  Table exact = tableOf(false, scale, 0, gelu, scale, 0, int8);
  Table own = tableOf(false, [&](int64_t q) { return g.apply(q, int8); });
  for (int i = 0; i < 256; ++i)
    EXPECT_LE(std::abs(exact[i] - own[i]), 1) << i;
}

TEST(IntegerGelu, Refusals) {
  EXPECT_THROW(IntegerGelu::of(0.34, 0.1, int8), Error);
  EXPECT_THROW(IntegerGelu::of(0, 0.1, int8), Error);
  EXPECT_THROW(IntegerGelu::of(1e-3, -1, int8), Error);
  EXPECT_THROW(IntegerGelu::of(1e-10, 0.1, int8), Error);
  EXPECT_THROW(IntegerGelu::of(1e-6, 0.1, IntegerRange::of(16)), Error);
}

//===----------------------------------------------------------------------===//
// Exponential
//===----------------------------------------------------------------------===//

TEST(IntegerExp, Constants) {
  IntegerExp e = IntegerExp::of(0.05 * 0.05 / 8);
  EXPECT_EQ(e.u, 1);
  EXPECT_EQ(e.ln2, 4436);
  EXPECT_EQ(e.b, 8663);
  EXPECT_EQ(e.c, 39309835);
  EXPECT_EQ(e.one, 114357404);
  EXPECT_EQ(e.apply(0), e.one);
  EXPECT_EQ(e.apply(INT64_C(1) << 32), 0);
}

TEST(IntegerExp, Error) {
  for (double scale : {1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.37, 1.0}) {
    IntegerExp e = IntegerExp::of(scale);
    EXPECT_GE(e.one, 1 << 26);
    EXPECT_LT(e.one, 1 << 29);
    // The polynomial's 1.91e-3 and the constants'; a fine scale is rounded to a coarser one first,
    // by half a unit of that.
    double bound = 1.96e-3 + (e.u < 0 ? std::ldexp(scale, -e.u) / 2 : 0);
    int64_t limit = 25 / scale, step = std::max<int64_t>(1, limit / 50000), last = e.one;
    for (int64_t d = 0; d <= limit; d += step) {
      int64_t value = e.apply(d);
      EXPECT_NEAR(value / double(e.one), std::exp(-scale * d), bound) << scale << " " << d;
      EXPECT_GE(value, 0);
      // Each octave of the polynomial starts within its error of where the last one ended.
      EXPECT_LE(value, last + last / 200 + 1) << scale << " " << d;
      last = value;
    }
  }
  EXPECT_THROW(IntegerExp::of(0), Error);
  EXPECT_THROW(IntegerExp::of(1e-20), Error);
  EXPECT_THROW(IntegerExp::of(1e20), Error);
}

//===----------------------------------------------------------------------===//
// Sigmoid, tanh, SiLU
//===----------------------------------------------------------------------===//

double exact(Kind kind, double x) {
  return kind == Kind::Sigmoid ? sigmoid(x) : kind == Kind::Tanh ? std::tanh(x) : silu(x);
}

TEST(IntegerSigmoid, Error) {
  IntegerRange int16 = IntegerRange::of(16);
  for (double scale : {1e-4, 1e-3, 8.0 / 127, 0.1})
    for (Kind kind : {Kind::Sigmoid, Kind::Tanh, Kind::Silu}) {
      double resultScale = kind == Kind::Silu ? 10.0 / 32767 : 1.0 / 32767;
      double bound = (kind == Kind::Tanh ? 1.6e-3 : 8e-4) + resultScale / 2 +
                     (kind == Kind::Silu ? 8 * 0x1p-16 : 0); // the unit of 2^-15, times x
      IntegerSigmoid s = IntegerSigmoid::of(kind, scale, resultScale, int16);
      int64_t limit = 9 / scale, step = std::max<int64_t>(1, limit / 20000);
      for (int64_t q = -limit; q <= limit; q += step) {
        EXPECT_NEAR(s.apply(q, int16) * resultScale, exact(kind, q * scale), bound)
            << scale << " " << q;
        if (kind == Kind::Tanh) {
          EXPECT_EQ(s.unit15(-q), -s.unit15(q));
        } else {
          EXPECT_EQ(s.unit15(-q) + s.unit15(q), q == 0 ? s.unit15(0) * 2 : 1 << 15);
        }
      }
      for (int64_t q : {int64_t(INT32_MAX), int64_t(INT32_MIN)}) {
        int64_t most = kind == Kind::Silu ? 32767 : Dyadic::of(1 / resultScale).apply(1, int16);
        int64_t least = kind == Kind::Tanh ? -most : 0;
        EXPECT_EQ(s.apply(q, int16), q > 0 ? most : least);
      }
    }
}

// Every 8-bit input, into 8 bits: within a unit of the best, as their errors are below 0.4 units.
TEST(IntegerSigmoid, EightBits) {
  for (Kind kind : {Kind::Sigmoid, Kind::Tanh, Kind::Silu}) {
    double scale = 8.0 / 127, resultScale = kind == Kind::Silu ? scale : 1.0 / 127;
    IntegerSigmoid s = IntegerSigmoid::of(kind, scale, resultScale, int8);
    Table best = tableOf(false, scale, 0, [&](double x) { return exact(kind, x); }, resultScale, 0, int8);
    for (int q = -128; q < 128; ++q)
      EXPECT_LE(std::abs(s.apply(q, int8) - best[uint8_t(q)]), 1) << q;
  }
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

TEST(Table, IndexedByBits) {
  Table identity = tableOf(false, 0.5, 0, [](double x) { return x; }, 0.5, 0, int8);
  EXPECT_EQ(identity[0], 0);
  EXPECT_EQ(identity[127], 127);
  EXPECT_EQ(identity[128], -128);
  EXPECT_EQ(identity[255], -1);
  Table shifted = tableOf(true, 0.5, 128, [](double x) { return x; }, 1, 3, IntegerRange::of(8, true));
  EXPECT_EQ(shifted[0], 0); // -64 + 3 saturates
  EXPECT_EQ(shifted[128], 3);
  EXPECT_EQ(shifted[129], 3); // 0.5 is a tie
  EXPECT_EQ(shifted[131], 5); // 1.5 as well
  EXPECT_EQ(shifted[255], 67);
  EXPECT_THROW(tableOf(false, 1, 0, [](double x) { return std::log(x); }, 1, 0, int8), Error);
  Table exponential = tableOf(false, 1, 0, [](double x) { return std::exp(10 * x); }, 1, 0, int8);
  EXPECT_EQ(exponential[100], 127); // infinity saturates
}

} // namespace
