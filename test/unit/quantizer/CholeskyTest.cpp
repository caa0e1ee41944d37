#include "lib/quantizer/Cholesky.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq::quantizer;

TEST(Cholesky, ProductOfTheFactor) {
  for (int64_t n : {1, 2, 31, 32, 33, 100, 256, 257, 300}) {
    sq::test::Random random(n);
    std::vector<double> x(2 * n * n), a(n * n);
    for (double &value : x)
      value = random.real();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t t = 0; t < 2 * n; ++t)
          a[i * n + j] += x[t * n + i] * x[t * n + j];
    std::vector<double> r = a;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < i; ++j)
        r[i * n + j] = NAN; // is not read
    std::vector<double> other = r;
    ASSERT_TRUE(factorize(r, n));
    ASSERT_TRUE(factorize(other, n, /*threads=*/3));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i; j < n; ++j)
        ASSERT_EQ(other[i * n + j], r[i * n + j]) << "by three threads";
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p <= i; ++p)
          sum += r[p * n + i] * r[p * n + j];
        EXPECT_NEAR(sum, a[i * n + j], 1e-12 * a[i * n + i] * n);
      }
  }
}

TEST(Cholesky, NotPositiveDefinite) {
  for (std::vector<double> a : {std::vector<double>{1, 1, 1, 1}, {1, 2, 2, 1}, {0, 0, 0, 1}, {1, 0, 0, NAN}, {INFINITY, 0, 0, 1}})
    EXPECT_FALSE(factorize(a, 2));
}
