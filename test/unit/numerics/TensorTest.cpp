#include "lib/numerics/Tensor.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace sq::numerics;

namespace {

const double infinity = std::numeric_limits<double>::infinity();

TEST(Tensor, RoundsToF32LikeTheHardware) {
  sq::test::Random random(1);
  for (int i = 0; i < 100000; ++i) {
    double x = std::ldexp(random.real(), int(random.integer(-160, 130)));
    ASSERT_EQ(roundToF32(x), double(float(x))) << "seed 1, round " << i << ", x = " << x;
  }
  EXPECT_EQ(roundToF32(std::numeric_limits<float>::max()), std::numeric_limits<float>::max());
  EXPECT_EQ(roundToF32(std::ldexp(1, 128)), infinity);
  // Halfway between the largest finite value and the next: ties to even, up.
  EXPECT_EQ(roundToF32(std::ldexp(2 - std::ldexp(1, -24), 127)), infinity);
  EXPECT_TRUE(std::isnan(roundToF32(NAN)));
}

TEST(Tensor, RoundsToHalf) {
  EXPECT_EQ(roundToF16(65504), 65504);
  EXPECT_EQ(roundToF16(65519.99), 65504);
  EXPECT_EQ(roundToF16(65520), infinity);
  EXPECT_EQ(roundToF16(1 + std::ldexp(1, -11)), 1);                     // tie, to even
  EXPECT_EQ(roundToF16(1 + 3 * std::ldexp(1, -11)), 1 + std::ldexp(1, -9)); // tie, to even
  EXPECT_EQ(roundToF16(std::ldexp(1, -25)), 0);
  EXPECT_EQ(roundToF16(std::ldexp(1.5, -25)), std::ldexp(1, -24));
  // Through f32 this would round twice, to 1 + 2^-10.
  EXPECT_EQ(roundToF16(1 + std::ldexp(1, -11) - std::ldexp(1, -40)), 1);
  EXPECT_EQ(roundToBF16(1 + std::ldexp(1, -8)), 1);
  EXPECT_EQ(roundToBF16(1 + 3 * std::ldexp(1, -8)), 1 + std::ldexp(1, -6));
}

TEST(Tensor, EveryHalfSurvivesDecodingAndEncoding) {
  for (int bits = 0; bits < 65536; ++bits) {
    double f16 = decodeF16(bits), bf16 = decodeBF16(bits);
    if (!std::isnan(f16)) {
      ASSERT_EQ(encodeF16(f16), bits);
      ASSERT_EQ(roundToF16(f16), f16);
    }
    if (!std::isnan(bf16)) {
      ASSERT_EQ(encodeBF16(bf16), bits);
      ASSERT_EQ(roundToBF16(bf16), bf16);
    }
  }
}

TEST(Tensor, CastsToIntegers) {
  Tensor x = Tensor::ofReals(DType::F32, {6}, {1.9, -1.9, 300, -300, NAN, infinity});
  EXPECT_EQ(cast(x, DType::I8).integers, (std::vector<int64_t>{1, -1, 127, -128, 0, 127}));
  EXPECT_EQ(cast(x, DType::U8).integers, (std::vector<int64_t>{1, 0, 255, 0, 0, 255}));
  EXPECT_EQ(cast(x, DType::Bool).integers, (std::vector<int64_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(cast(x, DType::I64).integers[5], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(cast(x, DType::U64).integers[5], -1); // 2^64 - 1

  Tensor wide = Tensor::ofIntegers(DType::I64, {3}, {300, -1, 128});
  EXPECT_EQ(cast(wide, DType::I8).integers, (std::vector<int64_t>{44, -1, -128}));
  EXPECT_EQ(cast(wide, DType::U8).integers, (std::vector<int64_t>{44, 255, 128}));
}

TEST(Tensor, CastsToReals) {
  Tensor x = Tensor::ofIntegers(DType::I64, {2}, {(int64_t(1) << 24) + 1, -7});
  EXPECT_EQ(cast(x, DType::F32).reals, (std::vector<double>{16777216, -7}));
  EXPECT_EQ(cast(x, DType::F64).reals, (std::vector<double>{16777217, -7}));
  Tensor max = Tensor::ofIntegers(DType::U64, {1}, {-1});
  EXPECT_EQ(cast(max, DType::F64).reals[0], std::ldexp(1, 64));
  // What is f32 already stays as exact as it is.
  Tensor third = Tensor::ofReals(DType::F32, {1}, {1.0 / 3});
  EXPECT_EQ(cast(third, DType::F32).reals[0], 1.0 / 3);
  EXPECT_EQ(cast(third, DType::F16).reals[0], 0.333251953125);
}

TEST(Tensor, BytesRoundTrip) {
  sq::test::Random random(2);
  for (DType type : {DType::Bool, DType::I8, DType::I16, DType::I32, DType::I64, DType::U8,
                     DType::U16, DType::U32, DType::U64, DType::F16, DType::BF16, DType::F32,
                     DType::F64}) {
    Tensor x = cast(random.integers({3, 5}, -1000, 1000), type);
    std::vector<uint8_t> bytes = toBytes(x);
    ASSERT_EQ(bytes.size(), 15u * bitWidth(type) / 8);
    bytes.insert(bytes.begin(), 0); // read unaligned
    Tensor y = fromBytes(type, {3, 5}, bytes.data() + 1, bytes.size() - 1);
    EXPECT_EQ(x.reals, y.reals) << name(type);
    EXPECT_EQ(x.integers, y.integers) << name(type);
  }
  EXPECT_THROW(fromBytes(DType::F32, {3}, "", 11), Error);
}

TEST(Tensor, RefusesShapes) {
  EXPECT_EQ(numElements({}), 1);
  EXPECT_EQ(numElements({int64_t(1) << 40, int64_t(1) << 40, 0}), 0);
  EXPECT_THROW(numElements({-1}), Error);
  EXPECT_THROW(numElements({int64_t(1) << 40, 2}), Error);
  EXPECT_EQ(normalizeAxis(-1, 3), 2);
  EXPECT_THROW(normalizeAxis(3, 3), Error);
  EXPECT_THROW(normalizeAxis(0, 0), Error);
  EXPECT_THROW(Tensor::ofReals(DType::F32, {2}, {1}), Error);
}

} // namespace
