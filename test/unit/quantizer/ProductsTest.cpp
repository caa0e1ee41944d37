#include "lib/quantizer/Products.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

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
