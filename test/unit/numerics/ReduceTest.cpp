#include "lib/numerics/Reduce.h"

#include "lib/numerics/Elementwise.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace sq::numerics;
using Integers = std::vector<int64_t>;
using Reals = std::vector<double>;

namespace {

Tensor f32(Shape shape, Reals values) {
  return Tensor::ofReals(DType::F32, std::move(shape), std::move(values));
}

TEST(Reduce, Reals) {
  Tensor x = f32({2, 3}, {1, -2, 3, 4, 5, -6});
  EXPECT_EQ(reduce(ReduceOp::Sum, x, {1}, false).reals, (Reals{2, 3}));
  EXPECT_EQ(reduce(ReduceOp::Sum, x, {0}, true).reals, (Reals{5, 3, -3}));
  EXPECT_EQ(reduce(ReduceOp::Sum, x, {0}, true).shape, (Shape{1, 3}));
  EXPECT_EQ(reduce(ReduceOp::Mean, x, {-1}, false).reals, (Reals{2.0 / 3, 1}));
  EXPECT_EQ(reduce(ReduceOp::Min, x, {0, 1}, false).reals, (Reals{-6}));
  EXPECT_EQ(reduce(ReduceOp::Max, x, {0, 1}, false).reals, (Reals{5}));
  EXPECT_EQ(reduce(ReduceOp::Prod, x, {1}, false).reals, (Reals{-6, -120}));
  EXPECT_EQ(reduce(ReduceOp::L1, x, {1}, false).reals, (Reals{6, 15}));
  EXPECT_EQ(reduce(ReduceOp::SumSquare, x, {1}, false).reals, (Reals{14, 77}));
  EXPECT_EQ(reduce(ReduceOp::L2, f32({2}, {3, 4}), {0}, false).reals, (Reals{5}));
  EXPECT_EQ(reduce(ReduceOp::LogSumExp, f32({2}, {1000, 1000}), {0}, false).reals[0],
            1000 + std::log(2.0));
  EXPECT_EQ(reduce(ReduceOp::Sum, f32({2, 0}, {}), {1}, false).reals, (Reals{0, 0}));
  EXPECT_TRUE(std::isnan(reduce(ReduceOp::Max, f32({2}, {NAN, 1}), {0}, false).reals[0]));
  EXPECT_THROW(reduce(ReduceOp::Sum, x, {0, -2}, false), Error);
  EXPECT_THROW(reduce(ReduceOp::Sum, x, {2}, false), Error);
}

TEST(Reduce, Integers) {
  Tensor x = Tensor::ofIntegers(DType::I8, {2, 2}, {100, 100, -7, 4});
  EXPECT_EQ(reduce(ReduceOp::Sum, x, {1}, false).integers, (Integers{-56, -3})); // wraps
  EXPECT_EQ(reduce(ReduceOp::Mean, x, {1}, false).integers, (Integers{100, -1}));
  EXPECT_EQ(reduce(ReduceOp::Max, x, {0}, false).integers, (Integers{100, 100}));
  EXPECT_EQ(reduce(ReduceOp::L1, x, {1}, false).integers, (Integers{-56, 11}));
  Tensor none = Tensor::zeros(DType::I8, {0});
  EXPECT_EQ(reduce(ReduceOp::Max, none, {0}, false).integers[0], -128);
  EXPECT_EQ(reduce(ReduceOp::Min, none, {0}, false).integers[0], 127);
  EXPECT_EQ(reduce(ReduceOp::Prod, none, {0}, false).integers[0], 1);
  EXPECT_THROW(reduce(ReduceOp::Mean, none, {0}, false), Error);
  Tensor large = Tensor::ofIntegers(DType::U64, {2}, {-1, 1});
  EXPECT_EQ(reduce(ReduceOp::Max, large, {0}, false).integers[0], -1);
  EXPECT_EQ(reduce(ReduceOp::Min, large, {0}, false).integers[0], 1);
}

// A sum over several dims is the sum of sums, in whatever order they come.
TEST(Reduce, SumOfSums) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    sq::test::Random random(seed);
    Tensor x = random.integers(random.shape(4, 5), -9, 9);
    int64_t a = random.integer(0, 3), b = (a + random.integer(1, 3)) % 4;
    Tensor once = reduce(ReduceOp::Sum, x, {a, b}, true);
    Tensor twice = reduce(ReduceOp::Sum, reduce(ReduceOp::Sum, x, {b}, true), {a - 4}, true);
    EXPECT_EQ(once.shape, twice.shape) << "seed " << seed;
    EXPECT_EQ(once.integers, twice.integers) << "seed " << seed;
  }
}

TEST(Reduce, Extremes) {
  Tensor x = f32({2, 3}, {1, 3, 3, -1, -2, -2});
  EXPECT_EQ(argExtreme(x, 1, true, false, false).integers, (Integers{1, 0}));
  EXPECT_EQ(argExtreme(x, 1, true, false, true).integers, (Integers{2, 0}));
  EXPECT_EQ(argExtreme(x, 1, false, true, false).integers, (Integers{0, 1}));
  EXPECT_EQ(argExtreme(x, 0, false, false, false).shape, (Shape{3}));
}

TEST(Reduce, RunningSums) {
  Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(cumulativeSum(x, 1, false, false).reals, (Reals{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(cumulativeSum(x, 1, true, true).reals, (Reals{5, 3, 0, 11, 6, 0}));
  EXPECT_EQ(cumulativeSum(x, 0, false, false).reals, (Reals{1, 2, 3, 5, 7, 9}));
}

TEST(Reduce, SoftmaxRowsSumToOne) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    sq::test::Random random(seed);
    Shape shape = random.shape(3, 7);
    int64_t axis = random.integer(-3, 2);
    Tensor x = random.reals(shape);
    for (double &value : x.reals)
      value *= 500; // exp would overflow without the shift
    Tensor y = softmax(x, axis);
    for (double sum : reduce(ReduceOp::Sum, y, {axis}, false).reals)
      if (shape[normalizeAxis(axis, 3)])
        EXPECT_NEAR(sum, 1, 1e-12) << "seed " << seed;
    Tensor logs = logSoftmax(x, axis);
    for (int64_t i = 0; i < y.size(); ++i)
      EXPECT_NEAR(std::exp(logs.reals[i]), y.reals[i], 1e-12) << "seed " << seed;
  }
  Tensor y = softmax(f32({3}, {0, std::log(2.0), std::log(5.0)}), 0);
  EXPECT_NEAR(y.reals[0], 0.125, 1e-15);
  EXPECT_NEAR(y.reals[1], 0.25, 1e-15);
  EXPECT_NEAR(y.reals[2], 0.625, 1e-15);
  double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(softmax(f32({2}, {-infinity, 3}), 0).reals, (Reals{0, 1}));
}

TEST(Reduce, LayerNorm) {
  // Mean 3, variance 4.
  Tensor x = f32({1, 2}, {1, 5}), scale = f32({2}, {2, 3}), bias = f32({2}, {10, 20});
  Normalized result = layerNorm(x, scale, &bias, -1, 0);
  EXPECT_EQ(result.y.reals, (Reals{8, 23}));
  EXPECT_EQ(result.mean.reals, (Reals{3}));
  EXPECT_EQ(result.inverseStdDev.reals, (Reals{0.5}));
  EXPECT_EQ(result.mean.shape, (Shape{1, 1}));
  EXPECT_NEAR(layerNorm(x, scale, nullptr, 1, 5).y.reals[1], 2.0 / 3 * 3, 1e-15);
  // Rms of (6, 8) is sqrt(50).
  EXPECT_NEAR(rmsNorm(f32({2}, {6, 8}), scale, 0, 0).reals[1], 24 / std::sqrt(50.0), 1e-15);
}

TEST(Reduce, LayerNormHasMeanZeroAndVarianceOne) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    sq::test::Random random(seed);
    int64_t width = random.integer(2, 33);
    Tensor x = random.reals({3, width}), one = f32({}, {1});
    Tensor y = layerNorm(x, one, nullptr, 1, 0).y;
    for (double mean : reduce(ReduceOp::Mean, y, {1}, false).reals)
      EXPECT_NEAR(mean, 0, 1e-12) << "seed " << seed;
    for (double sum : reduce(ReduceOp::SumSquare, y, {1}, false).reals)
      EXPECT_NEAR(sum / double(width), 1, 1e-12) << "seed " << seed;
  }
}

} // namespace
