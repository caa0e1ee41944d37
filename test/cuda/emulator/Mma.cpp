/// mma.sync with the fragments of the PTX ISA manual, "Matrix Fragments for
/// mma.m16n8k16", "... m16n8k8" and "... m16n8k32". In all of them lane
/// l = 4 * group + member holds of d rows group and group + 8, columns
/// 2 * member and the next.
#include "test/cuda/emulator/Block.h"

#include <cstring>

namespace sq::emulator {
namespace {

float bits(uint32_t x) {
  float f;
  std::memcpy(&f, &x, 4);
  return f;
}

template <int kK> struct Factors {
  float a[16][kK];
  float b[kK][8];
};

/// Two 16-bit values in a register: a's registers are (rows group, group + 8)
/// x (columns 2 * member.., 8 + 2 * member..), the row running first.
template <typename F>
void gather16(Call *const calls[32], Factors<16> &x, const F &convert) {
  for (int lane = 0; lane < 32; ++lane) {
    int group = lane / 4, member = lane % 4;
    const Call &call = *calls[lane];
    for (int i = 0; i < 4; ++i)
      for (int half = 0; half < 2; ++half)
        x.a[group + i % 2 * 8][i / 2 * 8 + member * 2 + half] =
            convert(static_cast<uint32_t>(call.a[i]) >> (16 * half) & 0xFFFF);
    for (int i = 0; i < 2; ++i)
      for (int half = 0; half < 2; ++half)
        x.b[i * 8 + member * 2 + half][group] =
            convert(static_cast<uint32_t>(call.b[i]) >> (16 * half) & 0xFFFF);
  }
}

void gatherTf32(Call *const calls[32], Factors<8> &x) {
  auto convert = [](int32_t value) {
    return bits(static_cast<uint32_t>(value) & ~0x1FFFu);
  };
  for (int lane = 0; lane < 32; ++lane) {
    int group = lane / 4, member = lane % 4;
    const Call &call = *calls[lane];
    for (int i = 0; i < 4; ++i)
      x.a[group + i % 2 * 8][i / 2 * 4 + member] = convert(call.a[i]);
    for (int i = 0; i < 2; ++i)
      x.b[i * 4 + member][group] = convert(call.b[i]);
  }
}

/// Products of these formats are exact in f32, and sums go along k: the same
/// with and without fused operations.
template <int kK>
void multiplyFloats(Call *const calls[32], const Factors<kK> &x) {
  float d[16][8];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      std::memcpy(&d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2],
                  &calls[lane]->c[i], 4);
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < kK; ++k)
      for (int column = 0; column < 8; ++column)
        d[row][column] += x.a[row][k] * x.b[k][column];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      std::memcpy(&calls[lane]->out[i],
                  &d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2], 4);
}

void multiplyS8(Call *const calls[32]) {
  // Unsigned sums, since without .satfinite they wrap.
  uint32_t a[16][32], b[32][8], d[16][8];
  auto byte = [](int32_t word, int i) {
    return static_cast<uint32_t>(
        static_cast<int8_t>(static_cast<uint32_t>(word) >> (8 * i)));
  };
  for (int lane = 0; lane < 32; ++lane) {
    int group = lane / 4, member = lane % 4;
    const Call &call = *calls[lane];
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        a[group + i % 2 * 8][i / 2 * 16 + member * 4 + j] = byte(call.a[i], j);
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 4; ++j)
        b[i * 16 + member * 4 + j][group] = byte(call.b[i], j);
    for (int i = 0; i < 4; ++i)
      d[group + i / 2 * 8][member * 2 + i % 2] = call.c[i];
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 32; ++k)
      for (int column = 0; column < 8; ++column)
        d[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      calls[lane]->out[i] =
          static_cast<int32_t>(d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
}

} // namespace

/// Exact. By a product with 2^112, which also makes subnormals right.
float fromF16(uint32_t x) {
  uint32_t magnitude = (x & 0x7FFF) << 13;
  float f = bits(magnitude) * bits(0x77800000);
  uint32_t sign = (x & 0x8000) << 16;
  if (magnitude >= 0x0F800000) // infinity, NaN
    return bits(sign | 0x7F800000 | (magnitude & 0x7FFFFF));
  return sign ? -f : f;
}

void multiply(int32_t kind, Call *const calls[32]) {
  switch (kind) {
  case SQ_EMU_MMA_F16_M16N8K16:
  case SQ_EMU_MMA_BF16_M16N8K16: {
    Factors<16> x;
    if (kind == SQ_EMU_MMA_F16_M16N8K16)
      gather16(calls, x, fromF16);
    else
      gather16(calls, x, [](uint32_t v) { return bits(v << 16); });
    return multiplyFloats(calls, x);
  }
  case SQ_EMU_MMA_TF32_M16N8K8: {
    Factors<8> x;
    gatherTf32(calls, x);
    return multiplyFloats(calls, x);
  }
  default:
    return multiplyS8(calls);
  }
}

} // namespace sq::emulator
