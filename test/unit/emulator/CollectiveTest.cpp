/// What threads do together, against models written from the manual.
#include "test/unit/emulator/Gpu.h"

#include <cstring>
#include <numeric>
#include <random>

namespace sq::test {
namespace {

class Collective : public Gpu {};

TEST_F(Collective, BarrierReduction) {
  std::vector<float> in(40 * 256);
  std::iota(in.begin(), in.end(), 0.f);
  CUdeviceptr x = upload(in), y = upload(std::vector<float>(40));
  for (const char *seed : {"0", "1", "77"}) {
    setenv("SQ_EMULATOR_SEED", seed, 1);
    SQ_EXPECT_CU(cuMemsetD32Async(y, 0, 40, stream));
    SQ_EXPECT_CU(launch("reduce", 40, 256, 1024, y, x));
    std::vector<float> sums = download<float>(y, 40);
    for (int i = 0; i < 40; ++i)
      EXPECT_EQ(sums[i], 256.f * (256 * i) + 255 * 128) << i;
  }
}

TEST_F(Collective, IndicesOfThreeDimensions) {
  const unsigned g[3] = {3, 2, 4}, b[3] = {5, 3, 7};
  size_t threads = 5 * 3 * 7, all = threads * 24;
  CUdeviceptr out = upload(std::vector<int32_t>(all));
  void *params[] = {&out};
  SQ_EXPECT_CU(cuLaunchKernel(kernel("indices"), g[0], g[1], g[2], b[0], b[1],
                              b[2], 0, stream, params, nullptr));
  std::vector<int32_t> lanes = download<int32_t>(out, all);
  for (size_t i = 0; i < all; ++i)
    ASSERT_EQ(lanes[i], static_cast<int32_t>(i % threads % 32 + 1)) << i;
}

/// CUDA's __shfl_*_sync by its words: segments of `width` lanes.
int source(int mode, int lane, int b, int width, bool &valid) {
  int first = lane / width * width, last = first + width - 1, from = lane;
  switch (mode) {
  case SQ_EMU_SHFL_UP:
    from = lane - b;
    valid = from >= first;
    break;
  case SQ_EMU_SHFL_DOWN:
    from = lane + b;
    valid = from <= last;
    break;
  case SQ_EMU_SHFL_BFLY: // lower segments may be reached
    from = lane ^ b;
    valid = from <= last;
    break;
  case SQ_EMU_SHFL_IDX:
    from = first + b % width;
    valid = true;
    break;
  }
  return valid ? from : lane;
}

TEST_F(Collective, ShuffleModes) {
  std::mt19937 random(1);
  CUdeviceptr out = upload(std::vector<int32_t>(64)),
              lanes = upload(std::vector<int32_t>(32));
  for (int mode = SQ_EMU_SHFL_UP; mode <= SQ_EMU_SHFL_IDX; ++mode)
    for (int width = 1; width <= 32; width *= 2)
      for (int round = 0; round < 8; ++round) {
        std::vector<int32_t> b(32);
        for (int32_t &x : b)
          x = random() % 32;
        SQ_EXPECT_CU(cuMemcpyHtoD_v2(lanes, b.data(), 128));
        int clamp = (32 - width) << 8 | (mode == SQ_EMU_SHFL_UP ? 0 : 31);
        SQ_EXPECT_CU(launch("shuffle", 1, 32, 0, out, lanes, mode, -1, clamp));
        std::vector<int32_t> got = download<int32_t>(out, 64);
        for (int lane = 0; lane < 32; ++lane) {
          bool valid;
          int from = source(mode, lane, b[lane], width, valid);
          ASSERT_EQ(got[lane], 1000 + from)
              << "mode " << mode << " width " << width << " lane " << lane;
          ASSERT_EQ(got[32 + lane], valid);
        }
      }
}

TEST_F(Collective, ShuffleClampsBelowTheSegment) {
  CUdeviceptr out = upload(std::vector<int32_t>(64)),
              lanes = upload(std::vector<int32_t>(32, 3));
  SQ_EXPECT_CU(
      launch("shuffle", 1, 32, 0, out, lanes, int{SQ_EMU_SHFL_DOWN}, -1, 9));
  std::vector<int32_t> got = download<int32_t>(out, 64);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(got[lane], 1000 + (lane <= 6 ? lane + 3 : lane));
    EXPECT_EQ(got[32 + lane], lane <= 6);
  }
}

// Fragments by the formulas of the PTX ISA manual, element by element: of
// element i of a lane, its row and column.
struct Place {
  int row, column;
};
Place placeA(int kind, int lane, int i) {
  int group = lane >> 2, member = lane % 4;
  if (kind == SQ_EMU_MMA_TF32_M16N8K8)
    return {i == 0 || i == 2 ? group : group + 8, i < 2 ? member : member + 4};
  if (kind == SQ_EMU_MMA_S8_M16N8K32)
    return {i < 4 || (8 <= i && i < 12) ? group : group + 8,
            member * 4 + (i & 3) + (i < 8 ? 0 : 16)};
  return {i < 2 || (4 <= i && i < 6) ? group : group + 8,
          member * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}
Place placeB(int kind, int lane, int i) {
  int group = lane >> 2, member = lane % 4;
  if (kind == SQ_EMU_MMA_TF32_M16N8K8)
    return {i == 0 ? member : member + 4, group};
  if (kind == SQ_EMU_MMA_S8_M16N8K32)
    return {member * 4 + (i & 3) + (i < 4 ? 0 : 16), group};
  return {member * 2 + (i & 1) + (i < 2 ? 0 : 8), group};
}
Place placeC(int lane, int i) {
  return {(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)};
}

/// Bits of a random number of the format, and its value.
uint32_t draw(int kind, std::mt19937 &random, double &value) {
  float f = std::uniform_real_distribution<float>(-2, 2)(random);
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  switch (kind) {
  case SQ_EMU_MMA_S8_M16N8K32:
    bits = random() & 255;
    value = static_cast<int8_t>(bits);
    return bits;
  case SQ_EMU_MMA_TF32_M16N8K8: {
    uint32_t rounded = bits & ~0x1FFFu; // what hardware ignores stays in bits
    std::memcpy(&f, &rounded, 4);
    value = f;
    return bits;
  }
  case SQ_EMU_MMA_BF16_M16N8K16: {
    bits &= 0xFFFF0000;
    std::memcpy(&f, &bits, 4);
    value = f;
    return bits >> 16;
  }
  default: { // sign, exponent, mantissa; subnormal ones too
    uint32_t half =
        (random() & 0x8000) | (random() % 17 << 10) | (random() & 0x3FF);
    int exponent = half >> 10 & 31, mantissa = half & 0x3FF;
    value = exponent ? std::ldexp(1024 + mantissa, exponent - 25)
                     : std::ldexp(mantissa, -24);
    if (half & 0x8000)
      value = -value;
    return half;
  }
  }
}

class Mma : public Gpu, public testing::WithParamInterface<int> {};

TEST_P(Mma, IsANaiveProduct) {
  int kind = GetParam();
  bool s8 = kind == SQ_EMU_MMA_S8_M16N8K32;
  int bitsEach = s8 ? 8 : kind == SQ_EMU_MMA_TF32_M16N8K8 ? 32 : 16;
  int perRegister = 32 / bitsEach, depth = 8 * perRegister;
  std::mt19937 random(kind + 3);
  for (int round = 0; round < 10; ++round) {
    std::vector<uint32_t> a(128), b(64), c(128);
    double av[16][32], bv[32][8], cv[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 4 * perRegister; ++i) {
        Place p = placeA(kind, lane, i);
        a[lane * 4 + i / perRegister] |= draw(kind, random, av[p.row][p.column])
                                         << (i % perRegister * bitsEach);
      }
      for (int i = 0; i < 2 * perRegister; ++i) {
        Place p = placeB(kind, lane, i);
        b[lane * 2 + i / perRegister] |= draw(kind, random, bv[p.row][p.column])
                                         << (i % perRegister * bitsEach);
      }
      for (int i = 0; i < 4; ++i) {
        Place p = placeC(lane, i);
        float f = static_cast<float>(static_cast<int>(random() % 2001) - 1000);
        cv[p.row][p.column] = f;
        if (s8)
          c[lane * 4 + i] = static_cast<uint32_t>(static_cast<int32_t>(f));
        else
          std::memcpy(&c[lane * 4 + i], &f, 4);
      }
    }
    CUdeviceptr pa = upload(a), pb = upload(b), pc = upload(c),
                pd = upload(std::vector<uint32_t>(128));
    SQ_EXPECT_CU(launch("multiply", 1, 32, 0, pa, pb, pc, pd, kind));
    std::vector<uint32_t> d = download<uint32_t>(pd, 128);
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i) {
        Place p = placeC(lane, i);
        // Products are exact in f32, sums are rounded one by one.
        float sum = static_cast<float>(cv[p.row][p.column]);
        for (int k = 0; k < depth; ++k)
          sum += static_cast<float>(av[p.row][k] * bv[k][p.column]);
        if (s8) {
          ASSERT_EQ(static_cast<int32_t>(d[lane * 4 + i]), sum);
          continue;
        }
        float got;
        std::memcpy(&got, &d[lane * 4 + i], 4);
        ASSERT_EQ(got, sum) << "row " << p.row << " column " << p.column;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Mma,
                         testing::Values(int{SQ_EMU_MMA_F16_M16N8K16},
                                         int{SQ_EMU_MMA_BF16_M16N8K16},
                                         int{SQ_EMU_MMA_TF32_M16N8K8},
                                         int{SQ_EMU_MMA_S8_M16N8K32}));

TEST_F(Collective, LoadsMatrices) {
  std::vector<uint16_t> in(32 * 8);
  std::iota(in.begin(), in.end(), uint16_t{100});
  CUdeviceptr x = upload(in), y = upload(std::vector<int32_t>(128));
  for (int count : {1, 2, 4})
    for (int transposed : {0, 1}) {
      SQ_EXPECT_CU(launch("matrices", 1, 32, 0, y, x, count, transposed));
      std::vector<uint32_t> out = download<uint32_t>(y, 128);
      for (int lane = 0; lane < 32; ++lane)
        for (int m = 0; m < 4; ++m) {
          auto element = [&](int i, int j) -> uint32_t {
            return transposed ? in[(8 * m + j) * 8 + i]
                              : in[(8 * m + i) * 8 + j];
          };
          int i = lane / 4, j = lane % 4 * 2;
          uint32_t expected =
              m < count ? element(i, j) | element(i, j + 1) << 16 : 0;
          ASSERT_EQ(out[lane * 4 + m], expected)
              << "lane " << lane << " matrix " << m;
        }
    }
}

TEST_F(Collective, CopiesArriveByGroups) {
  std::vector<int32_t> in(2 * 64);
  std::iota(in.begin(), in.end(), 5);
  CUdeviceptr x = upload(in), y = upload(std::vector<int32_t>(128));
  for (int sourceBytes : {4, 2, 0}) {
    SQ_EXPECT_CU(launch("copies", 3, 64, 512, y, x, sourceBytes));
    std::vector<int32_t> out = download<int32_t>(y, 128);
    for (int i = 0; i < 128; ++i)
      ASSERT_EQ(out[i], sourceBytes ? in[i / 64 * 64 + (i + 1) % 64] : 0);
  }
}

TEST_F(Collective, SyncWarpOrdersItsLanes) {
  CUdeviceptr y = upload(std::vector<int32_t>(256));
  for (const char *seed : {"0", "3"}) {
    setenv("SQ_EMULATOR_SEED", seed, 1);
    // All lanes of a warp, then halves of it.
    SQ_EXPECT_CU(launch("warp_transpose", 1, 256, 0, y, -1, 16));
    SQ_EXPECT_CU(cuCtxSynchronize());
  }
}

TEST_F(Collective, SyncWarpOrdersSomeLanes) {
  CUdeviceptr y = upload(std::vector<int32_t>(256));
  SQ_EXPECT_CU(launch("warp_transpose", 1, 256, 0, y, 0xFFFF, 3));
  SQ_EXPECT_CU(cuCtxSynchronize());
  std::vector<int32_t> out = download<int32_t>(y, 256);
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(out[i], 2 + ((i & 31) ^ 3));
}

} // namespace
} // namespace sq::test
