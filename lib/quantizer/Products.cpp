#include "lib/quantizer/Products.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace sq::quantizer {
namespace {

// One body, compiled for each vector length where it is inlined, as the tools themselves are built
// for any x86-64. The compilers contract x * a + b to one instruction where the target has it.
#define SQ_INLINE inline __attribute__((always_inline))
#define SQ_AVX2 __attribute__((target("avx2,fma")))
#define SQ_AVX512 __attribute__((target("avx512f,avx2,fma")))

using Floats4 = float __attribute__((vector_size(16)));
using Floats8 = float __attribute__((vector_size(32)));
using Floats16 = float __attribute__((vector_size(64)));
using Doubles2 = double __attribute__((vector_size(16)));
using Doubles4 = double __attribute__((vector_size(32)));
using Doubles8 = double __attribute__((vector_size(64)));

template <typename T> struct Operands {
  T factor;
  const T *a;
  int64_t lda;
  const T *b;
  int64_t ldb;
  T *c;
  int64_t ldc, m, n, depth;
  bool upper;
};

/// Columns of a matrix in groups of `width`, each group as rows one after the other, zeros behind the last.
template <typename T>
SQ_INLINE void pack(const T *from, int64_t ld, int64_t columns, int64_t depth, int64_t width, T factor, T *to) {
  for (int64_t first = 0; first < columns; first += width) {
    int64_t used = std::min(width, columns - first);
    T *group = to + first * depth;
    for (int64_t p = 0; p < depth; ++p) {
      for (int64_t i = 0; i < used; ++i)
        group[p * width + i] = factor * from[p * ld + first + i];
      for (int64_t i = used; i < width; ++i)
        group[p * width + i] = 0;
    }
  }
}

/// A tile of kRows x 2 vectors: the sums of its products stay in registers.
template <typename T, typename V, int kRows> SQ_INLINE void multiply(const Operands<T> &o) {
  constexpr int64_t kLanes = sizeof(V) / sizeof(T), kColumns = 2 * kLanes;
  // A tile's operands over so many terms stay in the first cache, those of the other tiles of its columns in the second.
  constexpr int64_t kDepth = 2048 / sizeof(T);
  int64_t most = std::min(kDepth, o.depth);
  std::unique_ptr<T[]> packedA(new T[(o.m + kRows - 1) / kRows * kRows * most]),
      packedB(new T[(o.n + kColumns - 1) / kColumns * kColumns * most]);
  for (int64_t begin = 0; begin < o.depth; begin += kDepth) {
    int64_t depth = std::min(kDepth, o.depth - begin);
    pack<T>(o.a + begin * o.lda, o.lda, o.m, depth, kRows, o.factor, packedA.get());
    pack<T>(o.b + begin * o.ldb, o.ldb, o.n, depth, kColumns, T(1), packedB.get());
    for (int64_t j = 0; j < o.n; j += kColumns)
      for (int64_t i = 0; i < o.m && !(o.upper && j + kColumns <= i); i += kRows) {
        int64_t rows = std::min<int64_t>(kRows, o.m - i), columns = std::min(kColumns, o.n - j);
        bool isWhole = rows == kRows && columns == kColumns;
        T *c = o.c + i * o.ldc + j, found[kRows][kColumns] = {};
        V sums[kRows][2];
        if (isWhole) {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r)
            std::memcpy(sums[r], c + r * o.ldc, sizeof sums[r]);
        } else {
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t s = 0; s < columns; ++s)
              found[r][s] = c[r * o.ldc + s];
          std::memcpy(sums, found, sizeof sums);
        }
        const T *a = packedA.get() + i * depth, *b = packedB.get() + j * depth;
        for (int64_t p = 0; p < depth; ++p, a += kRows, b += kColumns) {
          V left, right;
          std::memcpy(&left, b, sizeof left);
          std::memcpy(&right, b + kLanes, sizeof right);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            sums[r][0] += left * a[r];
            sums[r][1] += right * a[r];
          }
        }
        if (isWhole) {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r)
            std::memcpy(c + r * o.ldc, sums[r], sizeof sums[r]);
          continue;
        }
        std::memcpy(found, sums, sizeof found);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t s = 0; s < columns; ++s)
            c[r * o.ldc + s] = found[r][s];
      }
  }
}

SQ_AVX512 void multiply512(const Operands<float> &o) { multiply<float, Floats16, 8>(o); }
SQ_AVX512 void multiply512(const Operands<double> &o) { multiply<double, Doubles8, 8>(o); }
SQ_AVX2 void multiply256(const Operands<float> &o) { multiply<float, Floats8, 4>(o); }
SQ_AVX2 void multiply256(const Operands<double> &o) { multiply<double, Doubles4, 4>(o); }
void multiply128(const Operands<float> &o) { multiply<float, Floats4, 4>(o); }
void multiply128(const Operands<double> &o) { multiply<double, Doubles2, 4>(o); }

} // namespace

template <typename T>
void addProducts(T factor, const T *a, int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc, int64_t m, int64_t n,
                 int64_t depth, bool upper) {
  static const int vectorBytes = __builtin_cpu_supports("avx512f")                                    ? 64
                                 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 32
                                                                                                      : 16;
  Operands<T> operands{factor, a, lda, b, ldb, c, ldc, m, n, depth, upper};
  if (vectorBytes == 64)
    multiply512(operands);
  else if (vectorBytes == 32)
    multiply256(operands);
  else
    multiply128(operands);
}

template void addProducts(float, const float *, int64_t, const float *, int64_t, float *, int64_t, int64_t, int64_t, int64_t,
                          bool);
template void addProducts(double, const double *, int64_t, const double *, int64_t, double *, int64_t, int64_t, int64_t,
                          int64_t, bool);

} // namespace sq::quantizer
