#include "lib/numerics/Elementwise.h"

#include "lib/numerics/Layout.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace sq::numerics;
using Integers = std::vector<int64_t>;

namespace {

Tensor f32(Shape shape, std::vector<double> values) {
  return Tensor::ofReals(DType::F32, std::move(shape), std::move(values));
}
Tensor ints(DType type, Integers values) {
  Shape shape{int64_t(values.size())};
  return Tensor::ofIntegers(type, shape, std::move(values));
}

TEST(Elementwise, Broadcasts) {
  EXPECT_EQ(broadcastShapes({2, 1, 3}, {5, 1}), (Shape{2, 5, 3}));
  EXPECT_EQ(broadcastShapes({}, {0, 3}), (Shape{0, 3}));
  EXPECT_EQ(broadcastShapes({1}, {0}), (Shape{0}));
  EXPECT_THROW(broadcastShapes({2}, {3}), Error);
  EXPECT_THROW(broadcastShapes({2}, {0}), Error);
  Tensor y = binary(BinaryOp::Add, f32({2, 1}, {10, 20}), f32({3}, {1, 2, 3}));
  EXPECT_EQ(y.shape, (Shape{2, 3}));
  EXPECT_EQ(y.reals, (std::vector<double>{11, 12, 13, 21, 22, 23}));
}

// Broadcasting is the same as expanding both operands first.
TEST(Elementwise, BroadcastIsExpansion) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    sq::test::Random random(seed);
    Shape shape = random.shape(random.integer(0, 4), 5), a = shape, b = shape;
    for (size_t d = 0; d < shape.size(); ++d)
      (random.integer(0, 1) ? a : b)[d] = random.integer(0, 1) ? 1 : shape[d];
    if (random.integer(0, 1))
      a.erase(a.begin(), a.begin() + random.integer(0, a.size()));
    Tensor x = random.reals(a), y = random.reals(b);
    Shape both = broadcastShapes(a, b);
    Tensor z = binary(BinaryOp::Mul, x, y);
    EXPECT_EQ(z.shape, both) << "seed " << seed;
    EXPECT_EQ(z.reals, binary(BinaryOp::Mul, expand(x, both), expand(y, both)).reals)
        << "seed " << seed;
  }
}

TEST(Elementwise, IntegersWrapAndTruncate) {
  EXPECT_EQ(binary(BinaryOp::Add, ints(DType::U8, {250}), ints(DType::U8, {10})).integers[0], 4);
  EXPECT_EQ(binary(BinaryOp::Mul, ints(DType::I8, {100}), ints(DType::I8, {3})).integers[0], 44);
  EXPECT_EQ(binary(BinaryOp::Sub, ints(DType::U8, {1}), ints(DType::U8, {2})).integers[0], 255);
  EXPECT_EQ(binary(BinaryOp::Div, ints(DType::I32, {-7, 7}), ints(DType::I32, {2, -2})).integers,
            (Integers{-3, -3}));
  EXPECT_EQ(binary(BinaryOp::Mod, ints(DType::I32, {-7, 7}), ints(DType::I32, {2, -2})).integers,
            (Integers{1, -1}));
  EXPECT_EQ(binary(BinaryOp::FMod, ints(DType::I32, {-7, 7}), ints(DType::I32, {2, -2})).integers,
            (Integers{-1, 1}));
  // u64 beyond INT64_MAX.
  EXPECT_EQ(binary(BinaryOp::Div, ints(DType::U64, {-2}), ints(DType::U64, {2})).integers[0],
            std::numeric_limits<int64_t>::max());
  EXPECT_EQ(binary(BinaryOp::Less, ints(DType::U64, {-1}), ints(DType::U64, {1})).integers[0], 0);
  int64_t lowest = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(binary(BinaryOp::Div, ints(DType::I64, {lowest}), ints(DType::I64, {-1})).integers[0],
            lowest);
  EXPECT_EQ(negate(ints(DType::I8, {-128})).integers[0], -128);
  EXPECT_EQ(absolute(ints(DType::I8, {-128, -3})).integers, (Integers{-128, 3}));
  EXPECT_THROW(binary(BinaryOp::Div, ints(DType::I64, {1}), ints(DType::I64, {0})), Error);
  EXPECT_THROW(binary(BinaryOp::Add, ints(DType::I64, {1}), ints(DType::I32, {0})), Error);
}

TEST(Elementwise, Powers) {
  EXPECT_EQ(binary(BinaryOp::Pow, ints(DType::I32, {2, 3, 2}), ints(DType::I64, {10, 0, -1})).integers,
            (Integers{1024, 1, 0}));
  EXPECT_EQ(binary(BinaryOp::Pow, ints(DType::I32, {9}), f32({1}, {0.5})).integers[0], 3);
  EXPECT_EQ(binary(BinaryOp::Pow, f32({1}, {1.5}), ints(DType::I64, {2})).reals[0], 2.25);
}

TEST(Elementwise, MinMaxKeepNaN) {
  Tensor nan = f32({1}, {NAN}), one = f32({1}, {1});
  for (BinaryOp op : {BinaryOp::Min, BinaryOp::Max}) {
    EXPECT_TRUE(std::isnan(binary(op, nan, one).reals[0]));
    EXPECT_TRUE(std::isnan(binary(op, one, nan).reals[0]));
  }
  EXPECT_EQ(binary(BinaryOp::Equal, nan, nan).integers[0], 0);
}

TEST(Elementwise, Functions) {
  EXPECT_EQ(gelu(0), 0);
  EXPECT_NEAR(gelu(1), 0.8413447460685429, 1e-15); // the normal distribution's Phi(1)
  EXPECT_NEAR(gelu(-1), -0.15865525393145707, 1e-15);
  EXPECT_NEAR(geluTanh(1), 0.8411919906082768, 1e-15);
  EXPECT_EQ(sigmoid(0), 0.5);
  EXPECT_EQ(sigmoid(-1000), 0);
  EXPECT_EQ(sigmoid(1000), 1);
  EXPECT_NEAR(silu(2), 1.7615941559557649, 1e-15); // 2 / (1 + e^-2)
  EXPECT_NEAR(softplus(0), 0.6931471805599453, 1e-15);
  EXPECT_EQ(softplus(1000), 1000);
  EXPECT_EQ(hardSwish(3), 3);
  EXPECT_EQ(hardSwish(-3), 0);
  EXPECT_EQ(relu(-1), 0);
  EXPECT_TRUE(std::isnan(relu(NAN)));
  EXPECT_EQ(sign(-2), -1);
  EXPECT_EQ(sign(0), 0);
  EXPECT_THROW(map(ints(DType::I64, {1}), std::exp), Error);
}

TEST(Elementwise, Where) {
  Tensor c = Tensor::ofIntegers(DType::Bool, {2, 1}, {1, 0});
  Tensor y = where(c, f32({2}, {1, 2}), f32({}, {9}));
  EXPECT_EQ(y.shape, (Shape{2, 2}));
  EXPECT_EQ(y.reals, (std::vector<double>{1, 2, 9, 9}));
  EXPECT_THROW(where(f32({}, {1}), f32({}, {1}), f32({}, {1})), Error);
}

} // namespace
