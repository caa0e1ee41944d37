#include "lib/numerics/Layout.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

using namespace sq::numerics;
using Integers = std::vector<int64_t>;

namespace {

const int64_t highest = std::numeric_limits<int64_t>::max();
const int64_t lowest = std::numeric_limits<int64_t>::min();

/// 0, 1, 2, ... in a shape.
Tensor counting(const Shape &shape) {
  Tensor t = Tensor::zeros(DType::I64, shape);
  std::iota(t.integers.begin(), t.integers.end(), 0);
  return t;
}
Tensor vector(Integers values) {
  Shape shape{int64_t(values.size())};
  return Tensor::ofIntegers(DType::I64, shape, std::move(values));
}
Tensor scalar(int64_t value) { return Tensor::ofIntegers(DType::I64, {}, {value}); }

TEST(Layout, ResolvesShapes) {
  EXPECT_EQ(resolveShape({2, 3, 4}, {0, -1}, false), (Shape{2, 12}));
  EXPECT_EQ(resolveShape({2, 3, 4}, {-1}, false), (Shape{24}));
  EXPECT_EQ(resolveShape({0, 3}, {0, 5}, true), (Shape{0, 5}));
  EXPECT_THROW(resolveShape({2, 3}, {-1, -1}, false), Error);
  EXPECT_THROW(resolveShape({2, 3}, {4, -1}, false), Error);
  EXPECT_THROW(resolveShape({2}, {1, 0}, false), Error);
  EXPECT_THROW(resolveShape({2}, {-2}, false), Error);
  EXPECT_THROW(reshape(counting({2, 3}), {7}), Error);
}

TEST(Layout, Transposes) {
  EXPECT_EQ(transpose(counting({2, 3}), {1, 0}).integers, (Integers{0, 3, 1, 4, 2, 5}));
  EXPECT_THROW(transpose(counting({2, 3}), {1, 1}), Error);
  EXPECT_THROW(transpose(counting({2, 3}), {0}), Error);
}

TEST(Layout, TransposingThereAndBackChangesNothing) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    sq::test::Random random(seed);
    int64_t rank = random.integer(0, 5);
    Tensor x = counting(random.shape(rank, 4));
    Integers order(rank), back(rank);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    for (int64_t d = 0; d < rank; ++d)
      back[order[d]] = d;
    Tensor y = transpose(transpose(x, order), back);
    EXPECT_EQ(y.shape, x.shape) << "seed " << seed;
    EXPECT_EQ(y.integers, x.integers) << "seed " << seed;
  }
}

TEST(Layout, Slices) {
  Tensor x = counting({10});
  EXPECT_EQ(slice(x, {2}, {8}, {0}, {3}).integers, (Integers{2, 5}));
  EXPECT_EQ(slice(x, {-3}, {highest}, {0}, {1}).integers, (Integers{7, 8, 9}));
  EXPECT_EQ(slice(x, {-1}, {lowest}, {0}, {-4}).integers, (Integers{9, 5, 1}));
  EXPECT_EQ(slice(x, {highest}, {lowest}, {0}, {lowest}).integers, (Integers{9}));
  EXPECT_EQ(slice(x, {lowest}, {highest}, {0}, {highest}).integers, (Integers{0}));
  EXPECT_EQ(slice(x, {8}, {2}, {0}, {1}).shape, (Shape{0}));
  EXPECT_EQ(slice(counting({0}), {0}, {5}, {0}, {-1}).shape, (Shape{0}));
  EXPECT_EQ(slice(counting({2, 3}), {1, 0}, {2, 2}, {-1, 0}, {1, 1}).integers, (Integers{1, 4}));
  EXPECT_THROW(slice(x, {0}, {1}, {0}, {0}), Error);
  EXPECT_THROW(slice(x, {0}, {1}, {1}, {1}), Error);
}

TEST(Layout, SplittingAndConcatenatingChangesNothing) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    sq::test::Random random(seed);
    int64_t rank = random.integer(1, 4), axis = random.integer(0, rank - 1);
    Tensor x = counting(random.shape(rank, 6));
    Integers sizes;
    int64_t left = x.shape[axis];
    for (; left > 0; left -= sizes.back())
      sizes.push_back(random.integer(0, left));
    sizes.push_back(0);
    Tensor y = concat(split(x, sizes, axis - rank), axis);
    EXPECT_EQ(y.shape, x.shape) << "seed " << seed;
    EXPECT_EQ(y.integers, x.integers) << "seed " << seed;
  }
  EXPECT_THROW(split(counting({3}), {1, 1}, 0), Error);
  EXPECT_THROW(split(counting({3}), {4, -1}, 0), Error);
  EXPECT_THROW(concat({counting({3}), counting({3, 1})}, 0), Error);
  EXPECT_THROW(concat({}, 0), Error);
}

TEST(Layout, Gathers) {
  Tensor x = counting({3, 2});
  Tensor y = gather(x, Tensor::ofIntegers(DType::I64, {1, 2}, {2, -3}), 0);
  EXPECT_EQ(y.shape, (Shape{1, 2, 2}));
  EXPECT_EQ(y.integers, (Integers{4, 5, 0, 1}));
  Tensor column = gather(x, scalar(1), 1);
  EXPECT_EQ(column.shape, (Shape{3}));
  EXPECT_EQ(column.integers, (Integers{1, 3, 5}));
  EXPECT_THROW(gather(x, scalar(3), 0), Error);
  EXPECT_THROW(gather(x, scalar(-4), 0), Error);
  EXPECT_EQ(gatherElements(x, Tensor::ofIntegers(DType::I64, {1, 2}, {2, -2}), 0).integers,
            (Integers{4, 3}));
  EXPECT_THROW(gatherElements(x, Tensor::ofIntegers(DType::I64, {1, 2}, {3, 0}), 0), Error);
}

TEST(Layout, TilesPadsAndCutsTriangles) {
  EXPECT_EQ(tile(vector({1, 2}), {2}).integers, (Integers{1, 2, 1, 2}));
  EXPECT_EQ(tile(counting({1, 2}), {2, 1}).integers, (Integers{0, 1, 0, 1}));
  EXPECT_EQ(pad(vector({1, 2, 3}), {1}, {-1}, scalar(7)).integers, (Integers{7, 1, 2}));
  EXPECT_EQ(triangle(counting({2, 3}), true, 1).integers, (Integers{0, 1, 2, 0, 0, 5}));
  EXPECT_EQ(triangle(counting({2, 3}), false, 0).integers, (Integers{0, 0, 0, 3, 4, 0}));
  EXPECT_THROW(pad(vector({1}), {-2}, {0}, scalar(0)), Error);
}

TEST(Layout, Ranges) {
  EXPECT_EQ(range(scalar(1), scalar(8), scalar(3)).integers, (Integers{1, 4, 7}));
  EXPECT_EQ(range(scalar(3), scalar(0), scalar(-2)).integers, (Integers{3, 1}));
  EXPECT_EQ(range(scalar(3), scalar(0), scalar(1)).shape, (Shape{0}));
  EXPECT_THROW(range(scalar(0), scalar(1), scalar(0)), Error);
  EXPECT_THROW(range(vector({0, 1}), scalar(1), scalar(1)), Error);
}

TEST(Layout, ExpandsBothWays) {
  EXPECT_EQ(expand(counting({3, 1}), {2}).integers, (Integers{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(expand(counting({2}), {1, 1}).shape, (Shape{1, 2}));
  EXPECT_EQ(fill(scalar(4), {2, 2}).integers, (Integers{4, 4, 4, 4}));
}

} // namespace
