#include "lib/numerics/Contraction.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Layout.h"
#include "lib/numerics/Packing.h"
#include "lib/numerics/Reduce.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

using namespace sq::numerics;

namespace {

Tensor f32(Shape shape, std::vector<double> values) {
  return Tensor::ofReals(DType::F32, std::move(shape), std::move(values));
}

/// The definition: products of broadcast operands, summed over k.
Tensor byDefinition(const Tensor &a, const Tensor &b) {
  Shape left = a.shape, right = b.shape;
  left.push_back(1);                      // [.., m, k, 1]
  right.insert(right.end() - 2, 1);       // [.., 1, k, n]
  Tensor product = binary(BinaryOp::Mul, reshape(a, left), reshape(b, right));
  return reduce(ReduceOp::Sum, product, {-2}, false);
}

TEST(Contraction, Matrices) {
  Tensor a = f32({2, 3}, {1, 2, 3, 4, 5, 6}), b = f32({3, 2}, {7, 8, 9, 10, 11, 12});
  EXPECT_EQ(matmul(a, b).reals, (std::vector<double>{58, 64, 139, 154}));
  Tensor x = f32({3}, {1, 0, -1});
  EXPECT_EQ(matmul(a, x).shape, (Shape{2}));
  EXPECT_EQ(matmul(a, x).reals, (std::vector<double>{-2, -2}));
  EXPECT_EQ(matmul(x, b).shape, (Shape{2}));
  EXPECT_EQ(matmul(x, x).shape, Shape{});
  EXPECT_EQ(matmul(x, x).reals[0], 2);
  EXPECT_THROW(matmul(a, a), Error);
  EXPECT_THROW(matmul(a, f32({}, {1})), Error);
}

TEST(Contraction, AsDefined) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    sq::test::Random random(seed);
    Shape batch = random.shape(random.integer(0, 2), 3), a = batch, b = batch;
    for (size_t d = 0; d < batch.size(); ++d)
      if (random.integer(0, 1))
        (random.integer(0, 1) ? a : b)[d] = 1;
    int64_t m = random.integer(0, 17), k = random.integer(0, 21), n = random.integer(0, 19);
    a.insert(a.end(), {m, k});
    b.insert(b.end(), {k, n});
    Tensor x = random.integers(a, -50, 50), y = random.integers(b, -50, 50);
    Tensor expected = byDefinition(x, y);
    Tensor exact = matmul(x, y), real = matmul(cast(x, DType::F64), cast(y, DType::F64));
    EXPECT_EQ(exact.shape, expected.shape) << "seed " << seed;
    EXPECT_EQ(exact.integers, expected.integers) << "seed " << seed;
    EXPECT_EQ(real.reals, cast(expected, DType::F64).reals) << "seed " << seed;
  }
}

TEST(Contraction, IntegersWrap) {
  Tensor x = Tensor::ofIntegers(DType::I32, {1}, {1 << 30});
  Tensor y = Tensor::ofIntegers(DType::I32, {1}, {4});
  EXPECT_EQ(matmul(x, y).integers[0], 0);
}

TEST(Contraction, Gemm) {
  Tensor a = f32({3, 2}, {1, 4, 2, 5, 3, 6}), b = f32({2, 3}, {7, 9, 11, 8, 10, 12});
  Tensor c = f32({2}, {1, -1});
  Tensor y = gemm(a, b, &c, 0.5, 2, true, true);
  EXPECT_EQ(y.reals, (std::vector<double>{31, 30, 71.5, 75}));
  EXPECT_EQ(gemm(a, b, nullptr, 1, 1, true, true).reals, (std::vector<double>{58, 64, 139, 154}));
  Tensor wide = f32({2, 2, 2}, std::vector<double>(8, 0));
  EXPECT_THROW(gemm(a, b, &wide, 1, 1, true, true), Error);
}

TEST(Packing, Panels) {
  std::vector<int> w = {1, 2, 3, 4, 5, 6}; // [2][3]
  EXPECT_EQ(packColumnPanels(w.data(), 2, 3, 3, 1, 2), (std::vector<int>{1, 2, 4, 5, 3, 0, 6, 0}));
  // The same memory as a transposed [3][2].
  EXPECT_EQ(packColumnPanels(w.data(), 3, 2, 1, 3, 2), (std::vector<int>{1, 4, 2, 5, 3, 6}));
  EXPECT_TRUE(packColumnPanels(w.data(), 0, 0, 1, 1, 16).empty());
}

TEST(Packing, EveryElementIsWhereTheTileLooks) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    sq::test::Random random(seed);
    int64_t k = random.integer(1, 33), n = random.integer(1, 70), width = random.integer(1, 48);
    std::vector<float> w(k * n);
    for (float &value : w)
      value = float(random.real());
    std::vector<float> packed = packColumnPanels(w.data(), k, n, n, 1, width);
    int64_t panels = (n + width - 1) / width;
    ASSERT_EQ(int64_t(packed.size()), panels * k * width);
    for (int64_t p = 0; p < panels; ++p)
      for (int64_t row = 0; row < k; ++row)
        for (int64_t i = 0; i < width; ++i) {
          int64_t column = p * width + i;
          ASSERT_EQ(packed[(p * k + row) * width + i], column < n ? w[row * n + column] : 0)
              << "seed " << seed;
        }
  }
}

} // namespace
