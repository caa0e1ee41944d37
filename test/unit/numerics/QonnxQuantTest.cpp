#include "lib/numerics/QonnxQuant.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::numerics;

namespace {

/// A Quant node with one scale.
float quant(float x, float scale, float zero, QuantRange range,
            Rounding rounding = Rounding::HalfEven) {
  return quantValue(quantSteps(x, scale, zero, range, rounding), scale, zero);
}

// Specification mixed-precision.md 10.
TEST(QonnxQuant, RoundingTable) {
  const Rounding modes[] = {
      Rounding::HalfEven, Rounding::Ceil,   Rounding::Floor,   Rounding::Up,
      Rounding::Down,     Rounding::HalfUp, Rounding::HalfDown};
  const float table[][2][8] = {
      {{5.5, 6, 6, 5, 6, 5, 6, 5}, {-5.5, -6, -5, -6, -6, -5, -6, -5}},
      {{2.5, 2, 3, 2, 3, 2, 3, 2}, {-2.5, -2, -2, -3, -3, -2, -3, -2}},
      {{1.6, 2, 2, 1, 2, 1, 2, 2}, {-1.6, -2, -1, -2, -2, -1, -2, -2}},
      {{1.1, 1, 2, 1, 2, 1, 1, 1}, {-1.1, -1, -1, -2, -2, -1, -1, -1}},
      {{1, 1, 1, 1, 1, 1, 1, 1}, {-1, -1, -1, -1, -1, -1, -1, -1}}};
  for (const auto &pair : table)
    for (const float *row : {pair[0], pair[1]})
      for (int mode = 0; mode < 7; ++mode)
        EXPECT_EQ(roundBy(modes[mode], row[0]), row[mode + 1])
            << row[0] << " mode " << mode;
}

TEST(QonnxQuant, Names) {
  EXPECT_EQ(findRounding("Round"), Rounding::HalfEven);
  EXPECT_EQ(findRounding("half_even"), Rounding::HalfEven);
  EXPECT_EQ(findRounding("HALF_DOWN"), Rounding::HalfDown);
  EXPECT_EQ(findRounding("nearest"), std::nullopt);
}

TEST(QonnxQuant, Values) {
  EXPECT_EQ(quant(9, 1, 0, {4, true, false}), 7);
  EXPECT_EQ(quant(-9, 1, 0, {4, true, false}), -8);
  EXPECT_EQ(quant(-9, 1, 0, {4, true, true}), -7);
  EXPECT_EQ(quant(300, 1, 0, {8, false, false}), 255);
  EXPECT_EQ(quant(300, 1, 0, {8, false, true}), 254);
  EXPECT_EQ(quant(0.37f, 0.25f, 0, {3, true, false}), 0.25f);
  // One signed bit is -1 or 1.
  EXPECT_EQ(quant(0.1f, 1, 0, {1, true, false}), 1);
  EXPECT_EQ(quant(-0.1f, 1, 0, {1, true, false}), -1);
  EXPECT_EQ(quant(0.6f, 1, 0, {1, false, false}), 1);
  EXPECT_TRUE(std::isnan(quant(NAN, 1, 0, {8, true, false})));
}

// The clamp is before the rounding and the zero point within it: not as
// QuantizeLinear (11.3).
TEST(QonnxQuant, OddZeroPoints) {
  EXPECT_EQ(quant(0.5f, 1, 1, {8, false, false}), 1);
  EXPECT_EQ(quant(1.5f, 1, 1, {8, false, false}), 1);
  EXPECT_EQ(quant(2.5f, 1, 1, {8, false, false}), 3);
}

TEST(QonnxQuant, Bipolar) {
  EXPECT_EQ(bipolarQuant(0.3f, 2), 2);
  EXPECT_EQ(bipolarQuant(-0.0f, 2), 2);
  EXPECT_EQ(bipolarQuant(-1, 2), -2);
  EXPECT_EQ(bipolarQuant(NAN, 2), -2);
}

TEST(QonnxQuant, Trunc) {
  EXPECT_EQ(truncBits(21, 1, 0, 4, Rounding::Floor), 1);
  EXPECT_EQ(truncBits(-21, 1, 0, 4, Rounding::Floor), -2);
  QuantRange four{4, true, false};
  EXPECT_EQ(truncToScale(21, 1, 0, 16, four, Rounding::Floor), 16);
  EXPECT_EQ(truncToScale(-21, 1, 0, 16, four, Rounding::Floor), -32);
  EXPECT_EQ(truncToScale(-21, 1, 0, 16, four, Rounding::HalfEven), -16);
  EXPECT_EQ(truncBits(200, 1, 0, 4, Rounding::Floor), 12);
  EXPECT_EQ(truncToScale(200, 1, 0, 16, four, Rounding::Floor),
            112); // 7 at most
}

} // namespace
