#include "lib/numerics/Divergence.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::numerics;

namespace {

TEST(Divergence, OfTwoClasses) {
  // p = 1/2, 1/2; q = 1/4, 3/4.
  const float p[] = {7, 7}, q[] = {0, std::log(3.f)};
  EXPECT_NEAR(klDivergence(p, q, 2),
              0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3), 1e-7);
  EXPECT_NEAR(klDivergence(q, p, 2),
              0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-7);
  EXPECT_NEAR(klDivergence(p, p, 2), 0, 1e-15);
}

TEST(Divergence, LargeLogitsAndShifts) {
  const float p[] = {1000, 1000, -1000}, q[] = {-500, -500, -2500};
  EXPECT_NEAR(klDivergence(p, q, 3), 0, 1e-12); // shifted by 1500
  const float excluded[] = {0, 0, -INFINITY};
  EXPECT_NEAR(klDivergence(excluded, excluded, 2), 0, 1e-15);
  const float even[] = {0, 0, 0};
  EXPECT_EQ(klDivergence(even, excluded, 3), INFINITY);
  EXPECT_NEAR(klDivergence(excluded, even, 3), std::log(1.5), 1e-7);
  const float broken[] = {NAN, 0, 0};
  EXPECT_TRUE(std::isnan(klDivergence(even, broken, 3)));
}

TEST(Divergence, RelativeSquares) {
  const float x[] = {3, 4}, y[] = {3, 3}, zero[] = {0, 0};
  EXPECT_DOUBLE_EQ(relativeSquares(x, y, 2), 1.0 / 25);
  EXPECT_EQ(relativeSquares(zero, zero, 2), 0);
  EXPECT_EQ(relativeSquares(zero, x, 2), INFINITY);
}

} // namespace
