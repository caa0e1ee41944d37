#include "lib/run/Compare.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

Comparison compareTexts(const char *actual, const char *expected, Tolerance tolerance = {}) {
  Tensor a, e;
  EXPECT_TRUE(parseTensor(actual, a).ok());
  EXPECT_TRUE(parseTensor(expected, e).ok());
  return compare(a, e, tolerance);
}

TEST(Compare, FailsOnlyWhenBothToleranceAreExceeded) {
  EXPECT_TRUE(compareTexts("2xf32=1000.5,0.000001", "2xf32=1000,0").passed);
  EXPECT_FALSE(compareTexts("1xf32=1.01", "1xf32=1").passed);
  EXPECT_TRUE(compareTexts("1xf32=1.01", "1xf32=1", {-1, 0.1}).passed);
  EXPECT_TRUE(compareTexts("1xf32=1.01", "1xf32=1", {0.1, 0}).passed);
  EXPECT_FALSE(compareTexts("1xf32=0.01", "1xf32=0", {0.1, 0}).passed); // relative to zero
  EXPECT_TRUE(compareTexts("1xf32=0.01", "1xf32=0", {0.1, 0.1}).passed);
}

TEST(Compare, Report) {
  Comparison c = compareTexts("2x2xf32=1,2,3.5,4", "2x2xf32=1,2,3,4");
  EXPECT_FALSE(c.passed);
  EXPECT_EQ(c.text, "max abs 0.5 at [1,0], max rel 0.167 at [1,0]; 1 of 4 elements exceed rtol "
                    "0.001 and atol 1e-05, the first at [1,0]: 3.5, expected 3");
  EXPECT_EQ(compareTexts("0xf32=", "0xf32=").text, "no elements");
}

TEST(Compare, NotNumbers) {
  EXPECT_TRUE(compareTexts("3xf32=nan,inf,-inf", "3xf32=nan,inf,-inf").passed);
  EXPECT_FALSE(compareTexts("1xf32=nan", "1xf32=1", {1e9, 1e9}).passed);
  EXPECT_FALSE(compareTexts("1xf32=1", "1xf32=nan", {1e9, 1e9}).passed);
  EXPECT_FALSE(compareTexts("1xf32=inf", "1xf32=-inf", {1e9, 1e9}).passed);
}

TEST(Compare, IntegersAreExact) {
  EXPECT_FALSE(compareTexts("1xi64=1000001", "1xi64=1000000").passed);
  EXPECT_TRUE(compareTexts("1xi64=1000001", "1xi64=1000000", {-1, 1}).passed);
  EXPECT_TRUE(compareTexts("1xi64=5", "1xi8=5").passed); // stored narrow
  // Equal as doubles.
  EXPECT_FALSE(compareTexts("1xi64=9007199254740993", "1xi64=9007199254740992").passed);
}

TEST(Compare, OtherShapeOrKind) {
  EXPECT_EQ(compareTexts("1x2xf32=1", "2xf32=1").text, "is 1x2xf32, expected 2xf32");
  EXPECT_EQ(compareTexts("2xi64=1", "2xf32=1").text, "is 2xi64, expected 2xf32");
}

} // namespace
