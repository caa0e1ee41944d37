/// The layout of packed weights.
#ifndef SQ_NUMERICS_PACKING_H
#define SQ_NUMERICS_PACKING_H

#include <cstdint>
#include <vector>

namespace sq::numerics {

/// A matrix w[k][n], element (k, n) at w[k * rowStride + n * columnStride],
/// as column panels of `width`: [ceil(n / width)][k][width], columns past n
/// zero. So a tile of `width` columns reads memory in one stream, and a
/// transposed weight is just other strides.
template <typename T>
std::vector<T> packColumnPanels(const T *w, int64_t k, int64_t n, int64_t rowStride,
                                int64_t columnStride, int64_t width) {
  int64_t panels = (n + width - 1) / width;
  std::vector<T> packed(panels * k * width, T(0));
  for (int64_t row = 0; row < k; ++row)
    for (int64_t column = 0; column < n; ++column)
      packed[(column / width * k + row) * width + column % width] =
          w[row * rowStride + column * columnStride];
  return packed;
}

} // namespace sq::numerics

#endif
