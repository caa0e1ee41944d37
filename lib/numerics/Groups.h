/// Weights as codes on an even grid for each group of inputs: what
/// `sq.grouped_matmul` multiplies by, readable. Codes are as in Codes.h.
#ifndef SQ_NUMERICS_GROUPS_H
#define SQ_NUMERICS_GROUPS_H

#include "lib/numerics/Codes.h"

namespace sq::numerics {

/// Scales of a row, and offsets, as kernels read them: as many as whole blocks
/// of codes have, and as a vector of 16 where there are more. Those past the
/// last group are 0. `group` is a power of 2 from 16 on, or at least k.
int64_t storedGroups(int64_t k, int bits, int64_t group);

/// W[n][k] = scale (code - zero), or scale code + minimum, for groups of
/// `group` codes of a row; the last one may be shorter.
struct GroupedWeight {
  int64_t n, k;
  int bits;
  int64_t group;
  int zeroPoint;                  // of all groups that have no `zeros`
  const uint32_t *codes;          // [n][rowWords(k, bits)]
  const float *scales;            // [n][groups()]
  const float *minima = nullptr;  // the same; zero points are 0 then
  const uint8_t *zeros = nullptr; // the same, instead of `zeroPoint`

  int64_t groups() const { return (k + group - 1) / group; }
  int zeroOf(int64_t at) const { return zeros ? zeros[at] : zeroPoint; }
};

/// The weight in f32: scale (code - zero) is rounded once, and so is its sum
/// with a minimum.
std::vector<float> decodeGroups(const GroupedWeight &w);

/// y[m][n] = sum_k x[m][k] W[n][k] in float64 with W exact: what every kernel
/// is compared with.
std::vector<double> groupedProduct(const float *x, int64_t m,
                                   const GroupedWeight &w);

/// The same with each row of x rounded to bytes as `codedByteProduct` has it;
/// sums of a group are then integers, exact, and all else is in float64.
std::vector<double> groupedByteProduct(const float *x, int64_t m,
                                       const GroupedWeight &w);

} // namespace sq::numerics

#endif
