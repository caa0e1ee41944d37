#include "lib/assign/Costs.h"

#include <gtest/gtest.h>

using namespace sq::assign;

namespace {

TEST(Costs, BitOperationsOfHawq) {
  const double resnet18 = 1.814e9;
  EXPECT_NEAR(bitOperations(resnet18, 32, 32) / 1e9, 1858, 0.5);
  EXPECT_NEAR(bitOperations(resnet18, 8, 8) / 1e9, 116, 0.5);
  // BERT base: the linear layers of 12 blocks at 128 tokens, and the attention between them.
  const double weights = 12.0 * (4 * 768 * 768 + 2 * 768 * 3072);
  EXPECT_EQ(weights, 84934656);
  EXPECT_EQ(weights * 128, 10871635968);
  EXPECT_EQ(12 * attentionMultiplications(128, 128, 768), 301989888);
  EXPECT_NEAR(bitOperations(weights * 128, 8, 8) / 1e9, 695.8, 0.05);
  EXPECT_NEAR(bitOperations(301989888, 8, 8) / 1e9, 19.3, 0.05);
  EXPECT_NEAR(bitOperations(weights * 128, 4, 8) / 1e9, 347.9, 0.05);
}

TEST(Costs, BitOperationsOfFpga) {
  const int64_t widths[] = {16, 64, 32, 32, 5};
  auto of = [&](int layer, double weightBits, double activationBits) {
    return bitOperationsFpga(widths[layer], widths[layer + 1], weightBits, activationBits);
  };
  double sum = 0;
  const double full[] = {1118208, 2240512, 1119232, 174880};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(of(i, 32, 32), full[i]);
    sum += of(i, 32, 32);
  }
  EXPECT_EQ(sum, 4652832);
  const double w4[] = {90112, 92160, 45056, 7040}, w8[] = {159744, 231424, 114688, 17920};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(of(i, 4, i == 0 ? 16 : 7), w4[i]); // 16 bits come in, weight bits + 3 inside
    EXPECT_EQ(of(i, 8, i == 0 ? 16 : 11), w8[i]);
  }
  EXPECT_EQ(bitOperationsFpga(64, 32, 4, 7, 0.5), 64 * 32 * (14 + 11 + 6));
}

TEST(Costs, Bytes) {
  const double weights = 84934656;
  for (auto [bits, megabytes] : {std::pair(8, 84.93), {4, 42.47}, {2, 21.23}})
    EXPECT_NEAR(storedBytes({int64_t(weights) / 768, 768, bits, 1, 0, 0}) / 1e6, megabytes, 0.005);
  EXPECT_EQ(storedBytes({1, 32, 3, 32, 0, 0}), 12);     // 32 values in 12 bytes
  EXPECT_EQ(storedBytes({2, 33, 3, 32, 0, 0}), 2 * 24); // rows are padded to the unit
  EXPECT_EQ(storedBytes({3, 5, 4, 1, 0, 0}), 3 * 3);    // and to bytes
  EXPECT_EQ(storedBytes({10, 64, 8, 1, 0, 4}), 640 + 40);
  // 16 / g bits a weight for scales in f16; zero points of 4 bits are packed.
  EXPECT_EQ(storedBytes({128, 1024, 4, 1, 128, 2}) * 8 / (128 * 1024), 4.125);
  EXPECT_EQ(storedBytes({128, 1024, 4, 1, 64, 2}) * 8 / (128 * 1024), 4.25);
  EXPECT_EQ(storedBytes({128, 1024, 4, 1, 128, 2, 4}) * 8 / (128 * 1024), 4.125 + 4.0 / 128);
  EXPECT_EQ(storedBytes({1, 100, 8, 1, 64, 2}), 100 + 2 * 2); // the last group is short
  Storage lut{8, 100, 4, 1, 0, 2};
  lut.tableBytes = 16;
  lut.extraBytes = 77;
  EXPECT_EQ(storedBytes(lut), 8 * (50 + 2 + 16) + 77);
}

TEST(Costs, Roofline) {
  EXPECT_DOUBLE_EQ(rooflineSeconds(1e-6, 2e9, 1e12, 1e6, 1e10), 1e-6 + 2e-3);
  EXPECT_DOUBLE_EQ(rooflineSeconds(1e-6, 2e6, 1e12, 1e6, 1e10), 1e-6 + 1e-4);
}

} // namespace
