/// Random numbers of sq-sensitivity, functions of their place (lib/numerics/Philox.h).
#ifndef SQ_LIB_SENSITIVITY_PHILOX_H
#define SQ_LIB_SENSITIVITY_PHILOX_H

#include <cmath>

#include "lib/numerics/Philox.h"

namespace sq::sensitivity {

/// Block `index` of what `purpose` and `number` (a layer, a sample, a probe)
/// use of a seed.
inline std::array<uint32_t, 4> randomBlock(uint64_t seed, uint32_t purpose,
                                           uint32_t number, uint64_t index) {
  return numerics::philox({uint32_t(index), uint32_t(index >> 32), number, purpose},
                {uint32_t(seed), uint32_t(seed >> 32)});
}

/// Uniform in (0, 1).
inline double uniform(uint32_t high, uint32_t low) {
  return (double((uint64_t(high) << 21) ^ (low >> 11)) + 0.5) * 0x1p-53;
}

/// N(0, 1), of one block (Box and Muller 1958).
inline double normal(const std::array<uint32_t, 4> &block) {
  return std::sqrt(-2 * std::log(uniform(block[0], block[1]))) *
         std::cos(6.283185307179586477 * uniform(block[2], block[3]));
}

} // namespace sq::sensitivity

#endif
