/// wgmma.mma_async with the layouts of the PTX ISA manual, "Asynchronous warpgroup
/// level matrix shared memory layout" and "Register fragments for
/// wgmma.mma_async.m64nNk16": warp w of the group has rows 16 w and after; in it
/// lane 4 * group + member has, of each 8 columns, rows group and group + 8,
/// columns 2 * member and the next.
#include "test/cuda/emulator/Block.h"

#include <cstring>

namespace sq::emulator {
namespace {

/// A matrix descriptor ("Matrix descriptor format"), all in bytes.
struct Matrix {
  int64_t start, leading, stride;

  /// The address in shared memory, of which a descriptor has 18 bits.
  Matrix(int64_t descriptor, const char *where) {
    Block &block = *currentBlock;
    auto field = [&](int shift) { return (descriptor >> shift & 0x3FFF) << 4; };
    auto base = reinterpret_cast<intptr_t>(block.shared);
    start = (field(0) - base) & 0x3FFFF;
    leading = field(16);
    stride = field(32);
    if (static_cast<uint64_t>(descriptor) >> 62 != 1 ||
        (descriptor >> 49 & 7) != 0)
      block.fail(Fault::Trap, block.self(), where,
                 "wgmma with a swizzle other than of 128 bytes, or a base "
                 "offset: descriptor 0x%llx",
                 static_cast<unsigned long long>(descriptor));
  }

  /// Where the 64 columns that `n` is of begin at `k`, before the permutation.
  int64_t row(int32_t n, int32_t k) const {
    return start + n / 64 * leading + k / 8 * stride + k % 8 * 128;
  }

  /// Byte `at` after the start: bits 4-6 of the address are xored with 7-9.
  int64_t swizzled(int64_t at) const {
    int64_t address = start + at;
    return address ^ (address >> 7 & 7) << 4;
  }
};

float widen(int32_t kind, const uint8_t *bytes) {
  uint16_t x;
  std::memcpy(&x, bytes, 2);
  if (kind == 0)
    return fromF16(x);
  uint32_t word = static_cast<uint32_t>(x) << 16;
  float f;
  std::memcpy(&f, &word, 4);
  return f;
}

} // namespace

void multiplyShared(int32_t kind, int32_t columns, int64_t a, int64_t b,
                    float *d, const char *where) {
  constexpr int kDeep = 16;
  Block &block = *currentBlock;
  Thread &self = block.self();
  if (kind < 0 || kind > 1 || columns % 8 || columns < 8 || columns > 256)
    block.fail(Fault::Trap, self, where, "wgmma of kind %d, %d columns", kind,
               columns);
  for (int32_t i = 0; i < self.sreg[SQ_EMU_NTID_X]; ++i)
    if (block.at(i).isUnfenced)
      block.fail(Fault::Failed, self, where,
                 "wgmma while thread %d has written shared memory without a "
                 "fence.proxy.async since",
                 i);
  Matrix ma(a, where), mb(b, where);
  int32_t group = self.lane / 4, member = self.lane % 4;
  float rows[2][kDeep];
  for (int half = 0; half < 2; ++half) {
    // Along k: rows of 128 bytes in groups of eight.
    int32_t row = self.warp % 4 * 16 + half * 8 + group;
    for (int k = 0; k < kDeep; k += 8) {
      const uint8_t *piece = block.readAsync(
          ma.swizzled(row / 8 * ma.stride + row % 8 * 128 + k * 2), 16, where);
      for (int i = 0; i < 8; ++i)
        rows[half][k + i] = widen(kind, piece + 2 * i);
    }
  }
  // Along n: each k has rows of 128 bytes for 64 columns each. All lanes read
  // all of them; one of each warp is checked.
  if (self.lane == 0)
    for (int32_t n = 0; n < columns; n += 64)
      for (int k = 0; k < kDeep; ++k)
        block.readAsync(mb.row(n, k) & ~int64_t{127}, 128, where);
  for (int32_t j = 0; j < columns / 8; ++j)
    for (int k = 0; k < kDeep; ++k) {
      int32_t n = j * 8 + member * 2;
      int64_t at = mb.row(n, k) + n % 64 * 2;
      const uint8_t *pair = block.shared + (at ^ (at >> 7 & 7) << 4);
      for (int i = 0; i < 2; ++i) {
        float factor = widen(kind, pair + 2 * i);
        for (int half = 0; half < 2; ++half)
          d[j * 4 + half * 2 + i] += rows[half][k] * factor;
      }
    }
}

} // namespace sq::emulator
