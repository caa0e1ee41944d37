/// Products of tall matrices: what second moments, their factors and feedback of errors are made of.
#ifndef SQ_LIB_QUANTIZER_PRODUCTS_H
#define SQ_LIB_QUANTIZER_PRODUCTS_H

#include <cstdint>

namespace sq::quantizer {

/// c[i][j] += factor * sum over p < depth of a[p][i] * b[p][j], for i < m and j < n.
///
/// Matrices are row-major, `lda`, `ldb`, `ldc` elements from row to row, and do not overlap c. With
/// `upper` only what has j >= i is sure to be added; below, it is or is not. On the calling thread;
/// the same call on the same CPU gives the same bits. Each element of c is a sum of T in the order of p: two calls
/// give what one for all of their rows gives, to the bit.
template <typename T>
void addProducts(T factor, const T *a, int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc, int64_t m, int64_t n,
                 int64_t depth, bool upper = false);

extern template void addProducts(float, const float *, int64_t, const float *, int64_t, float *, int64_t, int64_t, int64_t,
                                 int64_t, bool);
extern template void addProducts(double, const double *, int64_t, const double *, int64_t, double *, int64_t, int64_t,
                                 int64_t, int64_t, bool);

} // namespace sq::quantizer

#endif
