#include "lib/quantizer/Products.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using namespace sq::quantizer;

/// Against a plain loop, for sizes around those of tiles; what lies between rows stays.
template <typename T> static void check(int64_t m, int64_t n, int64_t depth, bool upper, double tolerance) {
  sq::test::Random random(m * 1000 + n * 10 + depth);
  const int64_t lda = m + 3, ldb = n + 1, ldc = n + 5;
  std::vector<T> a(lda * depth + 1), b(ldb * depth + 1), c(ldc * m + 1);
  for (std::vector<T> *matrix : {&a, &b, &c})
    for (T &x : *matrix)
      x = random.real();
  std::vector<T> before = c;
  addProducts(T(-2), a.data(), lda, b.data(), ldb, c.data(), ldc, m, n, depth, upper);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < ldc; ++j) {
      double expected = before[i * ldc + j];
      for (int64_t p = 0; p < depth && j < n; ++p)
        expected -= 2.0 * a[p * lda + i] * b[p * ldb + j];
      if (j >= i || !upper || j >= n) {
        ASSERT_NEAR(c[i * ldc + j], expected, tolerance) << m << "x" << n << "x" << depth << " at " << i << ", " << j;
      }
    }
}

TEST(Products, AllSizes) {
  for (int64_t m : {1, 4, 7, 8, 9, 33})
    for (int64_t n : {1, 15, 16, 31, 32, 65})
      for (int64_t depth : {0, 1, 5, 40})
        for (bool upper : {false, true}) {
          // 40 products of normal numbers: 6e-8 of sums of about 20, or 1e-16.
          check<float>(m, n, depth, upper, 1e-4);
          check<double>(m, n, depth, upper, 1e-12);
        }
}

// More terms than operands are packed of at once.
TEST(Products, LongSums) {
  for (int64_t depth : {255, 256, 257, 511, 512, 513, 1100})
    for (bool upper : {false, true}) {
      check<float>(9, 33, depth, upper, 1e-3); // 1100 products: 6e-8 of sums of about 1000
      check<double>(9, 33, depth, upper, 1e-11);
    }
}

// In one call or in several: the bits of factors and second moments depend on it.
TEST(Products, PartsOfSumsAreTheSame) {
  constexpr int64_t kM = 13, kN = 37, kDepth = 700;
  sq::test::Random random(4);
  std::vector<float> a(kM * kDepth), b(kN * kDepth), once(kM * kN, 0.25f);
  for (std::vector<float> *matrix : {&a, &b})
    for (float &x : *matrix)
      x = random.real();
  std::vector<float> parts = once;
  addProducts(1.0f, a.data(), kM, b.data(), kN, once.data(), kN, kM, kN, kDepth);
  for (int64_t from = 0, next; from < kDepth; from = next) {
    next = std::min(kDepth, from + 1 + from);
    addProducts(1.0f, a.data() + from * kM, kM, b.data() + from * kN, kN, parts.data(), kN, kM, kN, next - from);
  }
  EXPECT_EQ(once, parts);
}
