//===-- Tiles.cpp - tile sizes from registers and caches -----------------------===//
//
// The contraction tile is judged by the cycles that a step of k takes for a panel
// of 48 columns: two fused multiply-adds and two loads a cycle, sums that are ready
// for the next step after four, half a cycle for the loop itself, and weights that
// come from L3 with 16 bytes a cycle. Intel's cores since Skylake and AMD's since
// Zen 2 do about as much (with AVX-512: since Ice Lake and Zen 5). Row counts stand
// for decoding, short sequences and long ones.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/Tiles.h"

#include "codegen/host/HostTarget.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;
using namespace sq;

namespace {

constexpr int64_t kRowCounts[] = {1, 8, 16, 32, 128};
constexpr int64_t kMostRows = 16;

double cyclesPerStep(int64_t rows, int64_t vectors) {
  constexpr double kLatency = 4, kPerCycle = 2, kLoop = 0.5;
  return std::max({rows * vectors / kPerCycle, (rows + vectors) / kPerCycle, kLatency}) + kLoop;
}

/// A step of k for a panel and `m` rows; the last rows are a tile of an even number (emitRowTiles).
double cyclesPerPanel(const HostTarget &target, int64_t rows, int64_t vectors, int64_t m) {
  int64_t rest = alignTo(m % rows, 2);
  double cycles = m / rows * cyclesPerStep(rows, vectors);
  if (rest)
    cycles += cyclesPerStep(std::min(rest, rows), vectors);
  constexpr double kWeights = kPanelColumns * 4 / 16.0;
  return std::max(cycles * kPanelColumns / (target.lanes * vectors), kWeights);
}

bool fits(const HostTarget &target, int64_t rows, int64_t vectors) {
  // The sums, a row of weights, and one element of the left operand.
  return rows >= 1 && rows <= kMostRows && vectors >= 1 && kPanelColumns % (target.lanes * vectors) == 0 &&
         rows * vectors + vectors + 1 <= target.registers;
}

} // namespace

std::string sq::parseTiles(StringRef text, Tiles &tiles) {
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    auto [name, value] = part.split('=');
    int64_t *size = StringSwitch<int64_t *>(name)
                        .Case("rows", &tiles.rows)
                        .Case("vectors", &tiles.vectors)
                        .Case("block", &tiles.block)
                        .Case("depth", &tiles.depth)
                        .Case("keys", &tiles.keys)
                        .Case("batch", &tiles.batch)
                        .Default(nullptr);
    int64_t most = name == "rows" || name == "vectors" ? kMostRows : 4096;
    if (!size)
      return ("there is no tile size '" + name + "'; there are rows, vectors, block, depth, keys, batch").str();
    if (value.getAsInteger(10, *size) || *size < 1 || *size > most)
      return (name + "=" + value + " is not a number from 1 to " + Twine(most)).str();
  }
  return "";
}

bool sq::fitTiles(const HostTarget &target, const Tiles &tiles) {
  return fits(target, std::max<int64_t>(tiles.rows, 1), std::max<int64_t>(tiles.vectors, 1));
}

Tiles sq::chooseTiles(const HostTarget &target, Tiles tiles) {
  if (!fitTiles(target, tiles))
    tiles.rows = tiles.vectors = 0;
  double best = 0;
  Tiles chosen = tiles;
  for (int64_t vectors = 1; vectors <= kPanelColumns / target.lanes; ++vectors)
    for (int64_t rows = 1; rows <= kMostRows; ++rows) {
      if (!fits(target, rows, vectors) || (tiles.rows && tiles.rows != rows) ||
          (tiles.vectors && tiles.vectors != vectors))
        continue;
      double cost = 0; // per row
      for (int64_t m : kRowCounts)
        cost += cyclesPerPanel(target, rows, vectors, m) / m;
      if (best == 0 || cost < best) {
        best = cost;
        chosen.rows = rows;
        chosen.vectors = vectors;
      }
    }
  // Scores of a block of queries in half of L1; the other half is for keys and values.
  int64_t bytesPerKey = target.lanes * (target.lanes == 16 ? 4 : 2) * sizeof(float);
  if (!chosen.keys)
    chosen.keys = std::clamp<int64_t>(bit_floor(uint64_t(target.l1 / 2 / bytesPerKey)), 16, 64);
  if (!chosen.batch)
    chosen.batch = 128;
  return chosen;
}

int64_t sq::chooseBlock(const HostTarget &target, const Tiles &tiles, int64_t depth) {
  if (tiles.block)
    return alignTo(tiles.block, tiles.rows);
  // Half of L2 for the left operand; the other half is for the panel at hand and the next.
  int64_t rows = target.l2 / 2 / (std::max<int64_t>(depth, 1) * sizeof(float));
  return alignTo(std::clamp<int64_t>(rows / 16 * 16, 32, 128), tiles.rows);
}

int64_t sq::choosePart(const HostTarget &target, const Tiles &tiles, int64_t depth) {
  // 3/4 of L1: the rest is for the rows of a tile and what waits of their sums. Where L2 is large a part may be a twelfth
  // of it: a step reads 16 bytes a cycle, a third of what L2 gives, and a part in L1 that is too short costs more, as its
  // sums are stored and loaded again (K=384: 3 parts 96 %, one 99 % of peak).
  int64_t bytes = std::max(target.l1 * 3 / 4, target.l2 / 12);
  int64_t most = tiles.depth ? tiles.depth : bytes / (kPanelColumns * sizeof(float));
  int64_t parts = std::max<int64_t>(divideCeil(depth, most), 1);
  return divideCeil(depth, parts); // equal ones
}
