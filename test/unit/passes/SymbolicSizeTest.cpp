#include "passes/analysis/SymbolicSize.h"

#include <gtest/gtest.h>

#include "lib/support/SizeText.h"

using sq::SymbolicSize;

namespace {

const SymbolicSize b = SymbolicSize::symbol("b"), s = SymbolicSize::symbol("s");

TEST(SymbolicSize, Polynomials) {
  EXPECT_EQ(SymbolicSize(0).text(), "0");
  EXPECT_EQ((b * s * 4 + 12 + b).text(), "4*b*s + b + 12");
  EXPECT_EQ(((b + s) * (b - s)).text(), "b^2 - s^2");
  EXPECT_EQ((SymbolicSize(0) - b * b * s).text(), "-b^2*s");
  EXPECT_EQ((b - b).constant(), 0);
  EXPECT_EQ(b.constant(), std::nullopt);
  EXPECT_TRUE((b + 1) * s == b * s + s);
}

TEST(SymbolicSize, CertainResults) {
  EXPECT_EQ(SymbolicSize::max(b * s, b * s * 4).text(), "4*b*s");
  EXPECT_EQ(SymbolicSize::min(b * s + 1, b * s).text(), "b*s");
  EXPECT_EQ(SymbolicSize::max(b, s).text(), "max(b, s)");
  EXPECT_EQ(SymbolicSize::max(SymbolicSize::max(b, s), 7).text(), "max(b, s, 7)");
  EXPECT_EQ(SymbolicSize::max(SymbolicSize::max(b, s) * 2, 7).text(), "max(2*max(b, s), 7)");
  EXPECT_EQ(SymbolicSize::min(b * 2, b + 1).text(), "min(2*b, b + 1)");
  EXPECT_EQ(SymbolicSize::floorDiv(b * s * 12 + b * 4, b * 4).text(), "3*s + 1");
  EXPECT_EQ(SymbolicSize::floorDiv(b * s + 1, s).text(), "div(b*s + 1, s)");
  EXPECT_EQ(SymbolicSize::floorDiv(7, 2).constant(), 3);
  EXPECT_EQ(SymbolicSize::ceilDiv(7, 2).constant(), 4);
  EXPECT_EQ(SymbolicSize::ceilDiv(s, 4).text(), "ceil(s, 4)");
  EXPECT_EQ(SymbolicSize::mod(b * 6, 3).constant(), 0);
  EXPECT_EQ(SymbolicSize::mod(s, 3).text(), "mod(s, 3)");
  EXPECT_EQ(SymbolicSize::align(b * 128, 64).text(), "128*b");
  EXPECT_EQ(SymbolicSize::align(65, 64).constant(), 128);
  EXPECT_EQ(SymbolicSize::align(b * 4, 64).text(), "align(4*b, 64)");
}

TEST(SymbolicSize, Unknown) {
  SymbolicSize none = SymbolicSize::unknown();
  EXPECT_EQ((none * 0 + b).text(), "?");
  EXPECT_EQ(SymbolicSize::max(none, 1).text(), "?");
  EXPECT_EQ(SymbolicSize::floorDiv(b, 0).text(), "?");
  SymbolicSize large = int64_t(1) << 40;
  EXPECT_EQ((large * large).text(), "?"); // no wrapped coefficient
  EXPECT_EQ((SymbolicSize(INT64_MAX) + 1).text(), "?");
  EXPECT_FALSE(none == none);
}

/// A formula that would double with each step ends as one that nobody knows.
TEST(SymbolicSize, DoesNotDoubleForEver) {
  SymbolicSize size = b;
  for (int i = 0; i < 100; ++i)
    size = SymbolicSize::max(size + b, SymbolicSize::min(size + s, s * i));
  EXPECT_EQ(size.text(), "?");
}

/// What is simplified evaluates to the same, here for all small dims.
TEST(SymbolicSize, EvaluatesAsBuilt) {
  for (double n = 0; n < 9; ++n)
    for (double m = 1; m < 9; ++m) {
      auto evaluate = [&](const SymbolicSize &size) {
        double value = -1;
        EXPECT_TRUE(sq::evaluateSize(
            size.text(), [&](const std::string &name, double &v) { v = name == "b" ? n : m; return true; }, value))
            << size.text();
        return value;
      };
      EXPECT_EQ(evaluate(SymbolicSize::max(b * s + 3, b * 2)), std::max(n * m + 3, n * 2));
      EXPECT_EQ(evaluate(SymbolicSize::floorDiv(b * 6 + 5, s)), std::floor((n * 6 + 5) / m));
      EXPECT_EQ(evaluate(SymbolicSize::ceilDiv(b * s, b * 0 + 4)), std::ceil(n * m / 4));
      EXPECT_EQ(evaluate(SymbolicSize::mod(b, s) + SymbolicSize::floorDiv(b, s) * s), n);
      EXPECT_EQ(evaluate(SymbolicSize::align(b * 12 + s, 16)), std::ceil((n * 12 + m) / 16) * 16);
    }
}

} // namespace
