#include "lib/numerics/Interval.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::numerics;

namespace {

TEST(Interval, ContractionBounds) {
  EXPECT_EQ(largestContraction(8, false, 8, false), 131071);
  EXPECT_EQ(largestContraction(8, true, 8, false), 65793);
  EXPECT_EQ(largestContraction(4, false, 8, false), (1 << 21) - 1);
  EXPECT_EQ(largestContraction(8, false, 8, false, 1 << 30), 65535);
  EXPECT_EQ(largestContraction(8, false, 8, false, INT64_C(1) << 31), 0);
}

TEST(Interval, Fits) {
  EXPECT_TRUE(Interval::ofBits(32).fits(32));
  EXPECT_FALSE(Interval::ofBits(32, true).fits(32));
  EXPECT_TRUE(Interval::ofBits(32, true).fits(33));
  EXPECT_FALSE((Interval::ofBits(32) + Interval::of(1)).fits(32));
}

// Every step on random intervals holds what it gives for values within them.
TEST(Interval, HoldsValues) {
  sq::test::Random random(1);
  auto interval = [&](int64_t lo, int64_t hi) {
    int64_t a = random.integer(lo, hi), b = random.integer(lo, hi);
    return Interval{std::min(a, b), std::max(a, b)};
  };
  auto pick = [&](Interval i) { return random.integer(int64_t(i.lo), int64_t(i.hi)); };
  auto holds = [](Interval i, int64_t value) { return i.lo <= value && value <= i.hi; };
  for (int n = 0; n < 20000; ++n) {
    Interval a = interval(-1000, 1000), b = interval(-1000, 1000), s = interval(0, 20), d = interval(1, 50);
    for (int k = 0; k < 5; ++k) {
      int64_t x = pick(a), y = pick(b), shift = pick(s), divisor = pick(d);
      EXPECT_TRUE(holds(a + b, x + y));
      EXPECT_TRUE(holds(a - b, x - y));
      EXPECT_TRUE(holds(a * b, x * y));
      EXPECT_TRUE(holds(a.shiftRight(s), x >> shift));
      EXPECT_TRUE(holds(a.shiftLeft(s), x * (int64_t(1) << shift)));
      EXPECT_TRUE(holds(a.minimum(b), std::min(x, y)));
      EXPECT_TRUE(holds(a.maximum(b), std::max(x, y)));
      EXPECT_TRUE(holds(a.join(b), x) && holds(a.join(b), y));
      if (a.lo >= 0)
        EXPECT_TRUE(holds(a.divide(d), x / divisor));
    }
  }
}

} // namespace
