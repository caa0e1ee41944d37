#include "lib/numerics/Contraction.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Layout.h"
#include "lib/numerics/Packing.h"

#include <algorithm>

using namespace sq::numerics;

namespace {

/// c[m][n] = a[m][k] b[k][n]. Blocks of 4 rows times one panel keep their sums
/// in registers and a panel in cache: MiniLM at 1x512 takes seconds instead of
/// minutes. Every sum still runs over k in order.
template <typename T>
void multiply(const T *a, const T *b, T *c, int64_t m, int64_t k, int64_t n) {
  constexpr int64_t rows = 4, width = 8;
  std::vector<T> panels = packColumnPanels(b, k, n, n, 1, width);
  for (int64_t column = 0; column < n; column += width) {
    const T *panel = panels.data() + column * k;
    for (int64_t row = 0; row < m; row += rows) {
      const T *from[rows]; // the last row again where there are fewer
      for (int64_t r = 0; r < rows; ++r)
        from[r] = a + std::min(row + r, m - 1) * k;
      T sums[rows][width] = {};
      for (int64_t i = 0; i < k; ++i)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t w = 0; w < width; ++w)
            sums[r][w] += from[r][i] * panel[i * width + w];
      for (int64_t r = 0; r < std::min(rows, m - row); ++r)
        std::copy_n(sums[r], std::min(width, n - column), c + (row + r) * n + column);
    }
  }
}

} // namespace

Tensor sq::numerics::matmul(const Tensor &a, const Tensor &b) {
  if (a.rank() == 0 || b.rank() == 0 || a.dtype != b.dtype)
    throw Error(std::string("matmul of ") + name(a.dtype) + format(a.shape) + " and " +
                name(b.dtype) + format(b.shape));
  Shape left = a.shape, right = b.shape;
  if (a.rank() == 1)
    left.insert(left.begin(), 1);
  if (b.rank() == 1)
    right.push_back(1);
  int64_t m = left.end()[-2], k = left.end()[-1], n = right.end()[-1];
  if (right.end()[-2] != k)
    throw Error("matmul of " + format(a.shape) + " and " + format(b.shape) + ": " +
                std::to_string(k) + " columns, " + std::to_string(right.end()[-2]) + " rows");

  Shape batchA(left.begin(), left.end() - 2), batchB(right.begin(), right.end() - 2);
  Shape batch = broadcastShapes(batchA, batchB);
  std::vector<int64_t> indexA = broadcastIndex(batchA, batch);
  std::vector<int64_t> indexB = broadcastIndex(batchB, batch);
  Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor c = Tensor::zeros(a.dtype, shape);
  std::vector<uint64_t> x(a.integers.begin(), a.integers.end());
  std::vector<uint64_t> y(b.integers.begin(), b.integers.end());
  std::vector<uint64_t> z(c.integers.size()); // unsigned: sums wrap
  for (int64_t i = 0, count = numElements(batch); i < count; ++i) {
    int64_t ia = (indexA.empty() ? i : indexA[i]) * m * k;
    int64_t ib = (indexB.empty() ? i : indexB[i]) * k * n;
    if (a.isFloat())
      multiply(a.reals.data() + ia, b.reals.data() + ib, c.reals.data() + i * m * n, m, k, n);
    else
      multiply(x.data() + ia, y.data() + ib, z.data() + i * m * n, m, k, n);
  }
  for (size_t i = 0; i < z.size(); ++i)
    c.integers[i] = wrap(z[i], a.dtype);

  if (a.rank() == 1)
    shape.erase(shape.end() - 2);
  if (b.rank() == 1)
    shape.pop_back();
  return reshape(c, shape);
}

Tensor sq::numerics::gemm(const Tensor &a, const Tensor &b, const Tensor *c, double alpha,
                          double beta, bool transposeA, bool transposeB) {
  if (a.rank() != 2 || b.rank() != 2)
    throw Error("gemm of " + format(a.shape) + " and " + format(b.shape) + "; expected matrices");
  Tensor y = matmul(transposeA ? transpose(a, {1, 0}) : a, transposeB ? transpose(b, {1, 0}) : b);
  auto scale = [](Tensor t, double factor) {
    for (double &value : t.reals)
      value *= factor;
    for (int64_t &value : t.integers)
      value = wrap(static_cast<int64_t>(static_cast<double>(value) * factor), t.dtype);
    return t;
  };
  if (alpha != 1)
    y = scale(y, alpha);
  if (!c)
    return y;
  Tensor bias = expand(beta != 1 ? scale(*c, beta) : *c, y.shape);
  if (bias.shape != y.shape)
    throw Error("bias of shape " + format(c->shape) + " for a product of " + format(y.shape));
  return binary(BinaryOp::Add, y, bias);
}
