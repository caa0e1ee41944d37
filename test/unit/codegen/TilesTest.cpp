/// Tile sizes fit registers, panels and caches, whatever the user asks for.
#include "codegen/host/HostTarget.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

/// Sums, a row of weights and an element of the left operand in registers; whole panels.
void expectFits(const HostTarget &target, const Tiles &tiles) {
  EXPECT_GE(tiles.rows, 1);
  EXPECT_GE(tiles.vectors, 1);
  EXPECT_LE(tiles.rows * tiles.vectors + tiles.vectors + 1, target.registers);
  EXPECT_EQ(kPanelColumns % (target.lanes * tiles.vectors), 0);
  EXPECT_GE(tiles.keys, 1);
  EXPECT_GE(tiles.batch, 1);
}

TEST(Tiles, Chosen) {
  for (const HostTarget &target : hostTargets()) {
    Tiles tiles = chooseTiles(target, {});
    expectFits(target, tiles);
    // Enough sums to hide four cycles of latency behind two multiply-adds a cycle.
    EXPECT_GE(tiles.rows * tiles.vectors, 8) << target.level.str();
    for (int64_t depth : {1, 64, 384, 1536, 11008, 1 << 20}) {
      int64_t block = chooseBlock(target, tiles, depth);
      EXPECT_EQ(block % tiles.rows, 0);
      EXPECT_GE(block, 32);
      EXPECT_LE(block, 128 + tiles.rows);
      if (block > 32 + tiles.rows) {
        EXPECT_LE((block - tiles.rows) * depth * 4, target.l2 / 2) << target.level.str() << " " << depth;
      }
    }
  }
}

TEST(Tiles, Measured) {
  // What bench/README.md's figures were measured with.
  Tiles avx512 = chooseTiles(*findHostTarget("avx512"), {});
  EXPECT_EQ(avx512.rows, 8);
  EXPECT_EQ(avx512.vectors, 3);
}

TEST(Tiles, Asked) {
  for (const HostTarget &target : hostTargets())
    for (int64_t rows = 0; rows <= 16; ++rows)
      for (int64_t vectors = 0; vectors <= 7; ++vectors) {
        Tiles asked;
        asked.rows = rows;
        asked.vectors = vectors;
        Tiles tiles = chooseTiles(target, asked);
        expectFits(target, tiles);
        bool possible = rows * vectors + vectors + 1 <= target.registers && rows && vectors &&
                        kPanelColumns % (target.lanes * vectors) == 0;
        if (possible) {
          EXPECT_EQ(tiles.rows, rows);
          EXPECT_EQ(tiles.vectors, vectors);
        }
      }
}

TEST(Tiles, DepthInEqualPartsOfAtMostWhatFits) {
  for (const HostTarget &target : hostTargets())
    for (int64_t depth = 1; depth <= 5000; depth += 37) {
      int64_t steps = choosePart(target, Tiles(), depth), parts = (depth + steps - 1) / steps;
      EXPECT_LE(steps, depth);
      EXPECT_LE(steps * kPanelColumns * 4, std::max(target.l1 * 3 / 4, target.l2 / 12)) << depth;
      EXPECT_GE((steps + 1) * parts, depth);
      EXPECT_LT(parts * steps - depth, parts) << depth; // the last is not much shorter
    }
  Tiles asked;
  asked.depth = 100;
  EXPECT_EQ(choosePart(hostTargets()[1], asked, 384), 96);
  EXPECT_EQ(choosePart(hostTargets()[1], asked, 60), 60);
  // In L1 where L2 is small, else K of a small model at once.
  EXPECT_EQ(choosePart(*findHostTarget("x86-64-v3"), Tiles(), 384), 128);
  EXPECT_EQ(choosePart(*findHostTarget("avx512"), Tiles(), 384), 384);
  EXPECT_EQ(choosePart(*findHostTarget("avx512"), Tiles(), 1536), 384);
}

TEST(Tiles, Parsed) {
  Tiles tiles;
  EXPECT_EQ(parseTiles("", tiles), "");
  EXPECT_EQ(parseTiles("rows=6,block=96,depth=50,batch=4096", tiles), "");
  EXPECT_EQ(tiles.rows, 6);
  EXPECT_EQ(tiles.block, 96);
  EXPECT_EQ(tiles.depth, 50);
  EXPECT_EQ(tiles.batch, 4096);
  EXPECT_EQ(tiles.keys, 0);
  for (const char *wrong : {"rows", "rows=", "rows=0", "rows=-1", "rows=17", "block=5000", "tile=1", "=", "rows=8;keys=1"})
    EXPECT_NE(parseTiles(wrong, tiles), "") << wrong;
}

} // namespace
