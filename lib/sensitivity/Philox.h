/// Random numbers that are functions of their place: Philox4x32-10 (Salmon et
/// al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The same whatever
/// the number of threads and wherever a run was interrupted.
#ifndef SQ_LIB_SENSITIVITY_PHILOX_H
#define SQ_LIB_SENSITIVITY_PHILOX_H

#include <array>
#include <cmath>
#include <cstdint>

namespace sq::sensitivity {

/// Four words of the block `counter` of the stream `key`.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * counter[0],
             b = uint64_t(0xCD9E8D57) * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b),
               uint32_t(a >> 32) ^ counter[3] ^ key[1], uint32_t(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// Block `index` of what `purpose` and `number` (a layer, a sample, a probe)
/// use of a seed.
inline std::array<uint32_t, 4> randomBlock(uint64_t seed, uint32_t purpose,
                                           uint32_t number, uint64_t index) {
  return philox({uint32_t(index), uint32_t(index >> 32), number, purpose},
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
