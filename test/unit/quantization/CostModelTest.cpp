#include "lib/quantization/CostModel.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

TEST(CostModel, Levels) {
  for (const char *level : {"x86-64-v3", "avx512", "vnni", "amx"})
    EXPECT_TRUE(levelCost(level)) << level;
  EXPECT_FALSE(levelCost("i386"));
}

/// What was measured (an EPYC of family 26, 128 rows), so far from equal that similar machines agree.
TEST(CostModel, WhichIsFaster) {
  auto ratio = [](const char *level, int64_t k, int64_t n, int64_t rows = 128) {
    LayerTimes times = predictTimes(*levelCost(level), {k, n, rows});
    return times.int8 / times.f32;
  };
  EXPECT_LT(ratio("vnni", 384, 1536), 0.35); // 0.26
  EXPECT_LT(ratio("vnni", 768, 2), 0.6);     // 0.44
  EXPECT_GT(ratio("vnni", 1, 1), 1.5);       // 2.0
  EXPECT_GT(ratio("vnni", 2, 48), 1.2);      // 1.6
  EXPECT_LT(ratio("avx512", 384, 384), 0.9); // 0.70
  EXPECT_LT(ratio("x86-64-v3", 384, 384), 0.9); // 0.72
  EXPECT_GT(ratio("x86-64-v3", 4, 64), 1.1);    // 1.37
  // A single row is as long as its weight takes to come from memory.
  EXPECT_NEAR(ratio("vnni", 4096, 4096, 1), 0.25, 0.03);
}

TEST(CostModel, GrowsWithTheWork) {
  LevelCost cost = *levelCost("avx512");
  LayerTimes small = predictTimes(cost, {64, 64, 16}), large = predictTimes(cost, {64, 64, 160});
  EXPECT_GT(large.f32, small.f32);
  EXPECT_GT(large.int8, small.int8);
}

} // namespace
