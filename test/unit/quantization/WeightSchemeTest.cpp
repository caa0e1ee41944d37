#include "lib/quantization/WeightScheme.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace sq;

TEST(WeightScheme, Names) {
  WeightScheme scheme;
  EXPECT_EQ(parseWeightScheme("lut3", scheme), "");
  EXPECT_EQ(scheme.precision, LayerPrecision::Lut3);
  EXPECT_TRUE(scheme.isTable());
  EXPECT_EQ(parseWeightScheme("rtn4", scheme), "");
  EXPECT_EQ(scheme.precision, LayerPrecision::Rtn4);
  EXPECT_EQ(scheme.group, 128);
  EXPECT_FALSE(scheme.isTable() || scheme.isGptq());
  EXPECT_EQ(parseWeightScheme("gptq2-g32", scheme), "");
  EXPECT_EQ(scheme.group, 32);
  EXPECT_TRUE(scheme.isGptq());
  EXPECT_EQ(parseWeightScheme("sym4", scheme), "");
  EXPECT_EQ(scheme.group, 32);
  EXPECT_TRUE(scheme.isSymmetric());
  EXPECT_FALSE(scheme.isGptq() || scheme.isTable());
  for (const char *wrong :
       {"", "int8", "f32", "lut1", "rtn5", "gptq4g64", "-g64", "lut4 "})
    EXPECT_NE(parseWeightScheme(wrong, scheme), "") << wrong;
  for (const char *wrong :
       {"gptq4-g", "gptq4-gx", "gptq4-g7", "gptq4-g-64", "rtn4-g65537"})
    EXPECT_EQ(parseWeightScheme(wrong, scheme),
              "'" + std::string(wrong) +
                  "': a group has 8 to 65536 input channels");
}

TEST(WeightScheme, Bits) {
  for (const char *name : {"lut2", "rtn3", "gptq4", "sym2"}) {
    WeightScheme scheme;
    ASSERT_EQ(parseWeightScheme(name, scheme), "");
    EXPECT_EQ(precisionBits(scheme.precision), name[strlen(name) - 1] - '0');
    EXPECT_EQ(precisionName(scheme.precision).str(), name);
  }
  EXPECT_FALSE(isOfWeights(LayerPrecision::F32));
  EXPECT_FALSE(isOfWeights(LayerPrecision::Int8));
}

TEST(WeightScheme, Shares) {
  double percent = -1;
  EXPECT_EQ(parseShare("0.45%", percent), "");
  EXPECT_EQ(percent, 0.45);
  EXPECT_EQ(parseShare("100", percent), "");
  EXPECT_EQ(percent, 100);
  for (const char *wrong :
       {"", "%", "1%%", "-0.1%", "100.5%", "nan", "inf", "x"})
    EXPECT_NE(parseShare(wrong, percent), "") << wrong;
  EXPECT_EQ(outlierShares(0.45, true).sensitive, 0.05);
  EXPECT_NEAR(outlierShares(0.45, true).outliers, 0.4, 1e-12);
  EXPECT_EQ(outlierShares(0.03, true).sensitive, 0.03);
  EXPECT_EQ(outlierShares(0.03, true).outliers, 0);
  EXPECT_EQ(outlierShares(0.45, false).sensitive, 0);
  EXPECT_EQ(outlierShares(0.45, false).outliers, 0.45);
}
