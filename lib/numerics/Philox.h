/// Random numbers that are functions of their place: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
/// as easy as 1, 2, 3", SC 2011). The same whatever the number of threads, and wherever a run was interrupted. Header only: the
/// runtime, which samples tokens, has nothing of the C++ library's compiled part.
#ifndef SQ_NUMERICS_PHILOX_H
#define SQ_NUMERICS_PHILOX_H

#include <array>
#include <cstdint>

namespace sq::numerics {

/// Four words of the block `counter` of the stream `key`.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * counter[0], b = uint64_t(0xCD9E8D57) * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1], uint32_t(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

} // namespace sq::numerics

#endif
