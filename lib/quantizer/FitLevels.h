/// The levels of a compressed weight, before its codes are chosen.
#ifndef SQ_LIB_QUANTIZER_FITLEVELS_H
#define SQ_LIB_QUANTIZER_FITLEVELS_H

#include <cstdint>
#include <vector>

#include "lib/quantizer/CompressedWeight.h"

namespace sq::quantizer {

/// How much the error of an element counts: of all rows alike, or each for
/// itself. One of them, or neither: all count alike.
struct Importance {
  const double *channels = nullptr; // [k], not below 0
  const float *elements = nullptr;  // [n][k], see checkSensitivities
};

/// Tables of least squared error by exact k-means of each row of `wanted`
/// [n][k]. What `removed` [n][k] marks has no say; it may be empty. The same
/// for any number of threads (0: all cores).
void fitTables(CompressedWeight &weight, const float *wanted,
               Importance importance, const std::vector<uint8_t> &removed,
               int threads);

/// Even grids of groups. Uniform: from the least to the largest value of a
/// group; Symmetric: so that the value of largest magnitude is the level
/// -2^(bits - 1), as in Q4_0. With `search` those values times 1 to 0.6,
/// whichever has the least error by `channels` (null: all count alike).
void fitUniform(CompressedWeight &weight, const float *wanted,
                const double *channels, bool search, int threads);

} // namespace sq::quantizer

#endif
