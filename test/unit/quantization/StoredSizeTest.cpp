#include "lib/quantization/StoredSize.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

StoredSize sizeOf(const char *text, int64_t n, int64_t k,
                  const StorageOptions &options = {}) {
  LayerFormat format;
  Status status = parseFormat(text, format);
  EXPECT_TRUE(status.ok()) << status.message;
  return storedSize(format, n, k, options);
}

TEST(StoredSize, CountsAsTheSpecification) {
  // dense-and-sparse.md 5.3: codes, tables, sparse values with columns and row
  // starts.
  EXPECT_EQ(sizeOf("f32", 96, 4096).counted, 4.0 * 96 * 4096);
  EXPECT_EQ(sizeOf("int8", 96, 4096).counted, 96 * 4096 + 4.0 * 96);
  EXPECT_EQ(sizeOf("lut4", 96, 4096).counted,
            96 * 4096 / 2 + 2.0 * 96 * 16); // f16 tables: 0.0625 bits a weight
  EXPECT_EQ(sizeOf("lut3", 96, 512).counted,
            96 * 512 * 3 / 8 + 96 * (8.0 + 2)); // bytes with a scale
  EXPECT_EQ(sizeOf("lut3", 96, 512, {"f16", true}).counted,
            96 * 512 * 3 / 8 + 2.0 * 96 * 8);
  int64_t sparse = 96 * 4096 * 45 / 10000;
  EXPECT_EQ(sizeOf("lut4+0.45%", 96, 4096).counted,
            sizeOf("lut4", 96, 4096).counted + 4.0 * sparse + 4.0 * 96);
  EXPECT_EQ(sizeOf("rtn4/64", 96, 4096).counted, 96 * 4096 / 2 + 4.0 * 96 * 64);
  EXPECT_EQ(sizeOf("sym4", 96, 4096).counted, 96 * 4096 / 2 + 2.0 * 96 * 128);
}

TEST(StoredSize, PadsAsTheKernels) {
  EXPECT_EQ(sizeOf("f32", 49, 10).bytes, 4.0 * 96 * 10); // panels of 48 columns
  EXPECT_EQ(sizeOf("lut4", 64, 128, {"auto", false}).bytes,
            64 * 64 + 2.0 * 64 * 16);
  // Blocks of 512 codes of 3 bits: 384 of them take as much as 512, no less
  // than 4 bits would.
  EXPECT_EQ(sizeOf("lut3", 64, 384, {"auto", false}).bytes,
            64 * 192 + 2.0 * 64 * 8);
  EXPECT_EQ(sizeOf("lut3", 64, 512, {"auto", false}).bytes,
            sizeOf("lut3", 64, 384, {"auto", false}).bytes);
  EXPECT_EQ(sizeOf("lut4", 64, 128).bytes,
            64 * 64 + 64 * 16 +
                8.0 * 64); // tables of bytes, each with scale and least entry
  EXPECT_EQ(sizeOf("rtn4/32", 64, 2048).bytes,
            64 * 1024 + 2 * 2.0 * 64 * 64); // scales and least values
  EXPECT_EQ(sizeOf("sym4", 64, 2048).bytes, 64 * 1024 + 2.0 * 64 * 64);
  EXPECT_EQ(sizeOf("rtn4/32", 64, 896).bytes,
            64 * 448 + 2 * 2.0 * 64 * 32); // whole vectors of scales
  for (const char *none : {"rtn4/24", "rtn6", "rtn4/8"}) // no kernel
    EXPECT_EQ(sizeOf(none, 48, 256).bytes, sizeOf("f32", 48, 256).bytes);
}

TEST(StoredSize, BytesHaveScalesSumsBiasesAndFactors) {
  EXPECT_EQ(sizeOf("int8", 16, 32).bytes,
            16 * 64 + 3 * 64 + 128.0); // as sq-compile --report shows them
}

TEST(StoredSize, Bf16InPairs) {
  EXPECT_EQ(sizeOf("bf16", 70, 40).bytes, 2.0 * 96 * 64);
  EXPECT_EQ(sizeOf("bf16", 70, 40).counted, 2.0 * 70 * 40);
}

TEST(StoredSize, FewerBitsLieInFewerBytes) {
  EXPECT_EQ(sizeOf("int6", 16, 32).bytes, 16 * 48 + 3 * 64 + 128.0);
  EXPECT_EQ(sizeOf("int6", 96, 4096).counted, 96 * 4096 * 3 / 4 + 4.0 * 96);
}

TEST(StoredSize, AShareBelowAWeightIsNone) {
  LayerFormat format(LayerPrecision::Lut3);
  EXPECT_FALSE(hasOutliers(format, 64, 64));
  format.outliers = 0.45;
  EXPECT_FALSE(hasOutliers(format, 8, 16));
  EXPECT_TRUE(hasOutliers(format, 8, 32));
}

TEST(StoredSize, TablesInBytes) {
  EXPECT_TRUE(tableInBytes("auto", 16, 2559));
  EXPECT_FALSE(tableInBytes("auto", 16, 2560)); // 0.1 bits a weight
  EXPECT_TRUE(tableInBytes("int8", 16, 1 << 20));
  EXPECT_FALSE(tableInBytes("f16", 16, 1));
}

} // namespace
