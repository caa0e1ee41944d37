//===-- AmxMatmul.cpp - the packed product on AMX tiles -----------------------===//
//
// Two tiles of 16 rows by two tiles of 16 columns (specs/host-codegen.md, section
// 9.2): four sums, two tiles of x, two of the weight. A kernel of its own brings x
// into tile layout, [steps of k][16][64 bytes] for every 16 rows, f32 as bf16. The order
// is panel of columns, part of k that fits into L1, block of 32 rows.
//
// The sums of a block leave in the first step of the next one and wait in L1: parts of a
// sum for the next part of k, sums for the epilogue, which takes some rows in every step of the
// block after that, so that vector units and tiles work at the same time. Tiles of a step are loaded
// among the products of the step before.
//
// A weight of bytes lies in groups of 16 columns, by fours along k, as VNNI reads it: 64 of k
// are a tile, and what is past k is zero.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Schedule.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Epilogue.h"
#include "codegen/host/Kernels.h"
#include "codegen/host/PackBytes.h"

using namespace mlir;
using namespace sq;

namespace {

using amx::kRowBytes;
using amx::kTileRows;

constexpr int64_t kPanel = 32; // columns: two tiles
constexpr int64_t kBlockRows = 2 * kTileRows;
constexpr int64_t kChunkRows = 128; // of the input that stay in L2, unless --tile=block= says otherwise
constexpr int64_t kLongDepth = 12;  // steps of k: more go in parts of kPartSteps, unless --tile=depth= does
constexpr int64_t kPartSteps = 8;
constexpr int64_t kRowsTogether = 4;         // in the epilogue
constexpr int64_t kPlaces = 2;               // for whole sums of a block: of one that leave, of another that are read
constexpr int64_t kFlopsPerThread = 1 << 23; // 10 us, as for f32
constexpr int64_t kBytesPerThread = 1 << 13; // of packing

struct Emitter : EpilogueEmitter {
  Value x, weight;
  int64_t depth, columns; // depth: elements of k
  bool bytes;
  int64_t tileDepth = bytes ? kRowBytes : kRowBytes / 2; // elements of k of a tile
  int64_t steps = llvm::divideCeil(depth, tileDepth);
  int64_t chunkBlocks = llvm::divideCeil(target.tiles.block ? target.tiles.block : kChunkRows, kBlockRows);
  /// Steps of a part of k; all of them where the weight's stay in L1 as they are.
  int64_t mostSteps = target.tiles.depth ? llvm::divideCeil(target.tiles.depth, tileDepth) : steps > kLongDepth ? kPartSteps : steps;
  bool hasParts = mostSteps < steps;
  int64_t panelCount = llvm::divideCeil(columns, kPanel), lastWidth = columns - (panelCount - 1) * kPanel;
  Value rows = {}, zero = {}, one = {};
  Value tiles = {}; // [ceil(rows / 16)][steps][16][tileDepth]: x
  Value next = {};  // the same of the product that alone reads this one, instead of `out`; or null
  Value sums = {};  // [threads][tiles][16][16]: parts of sums by block, then places for whole ones
  Value zeros = {}; // 64 zero bytes for each of four tiles
  Value thread = {};

  /// The first tile of places for whole sums.
  int64_t firstPlace() const { return hasParts ? chunkBlocks * 4 : 0; }
  Value add(ImplicitLocOpBuilder &b, Value v, Value w) { return b.createOrFold<arith::AddIOp>(v, w); }
  Value times(ImplicitLocOpBuilder &b, Value v, int64_t n) { return b.createOrFold<arith::MulIOp>(v, indexConstant(b, n)); }

  //===-- x in tiles -------------------------------------------------------===//

  /// Columns [k, k + valid) of row m of x as bf16; what is past k is zero, as a garbage
  /// NaN would spoil the sum even against a zero weight.
  Value narrowRow(ImplicitLocOpBuilder &b, Value m, Value k, int64_t valid) {
    Value halves[2];
    for (int64_t i = 0; i < 2; ++i) {
      int64_t lanes = std::clamp<int64_t>(valid - i * target.lanes, 0, target.lanes);
      halves[i] = lanes ? load(b, x, ValueRange{m, plus(b, k, i * target.lanes)}, lanes)
                        : Value(arith::ConstantOp::create(b, b.getZeroAttr(vectorType)));
    }
    return amx::toBf16(b, halves[0], halves[1]);
  }

  /// The same of bytes; past k anything goes, as the weight is zero there.
  Value copyRow(ImplicitLocOpBuilder &b, Value m, Value k, int64_t valid) {
    return vector::LoadOp::create(b, VectorType::get({valid}, b.getI8Type()), x, ValueRange{m, k});
  }

  void packRow(ImplicitLocOpBuilder &b, Value m) {
    Value block = arith::DivUIOp::create(b, m, indexConstant(b, kTileRows));
    Value within = arith::RemUIOp::create(b, m, indexConstant(b, kTileRows));
    auto step = [&](ImplicitLocOpBuilder &sb, Value s, int64_t valid) {
      Value k = times(sb, s, tileDepth);
      Value row = bytes ? copyRow(sb, m, k, valid) : narrowRow(sb, m, k, valid);
      vector::StoreOp::create(sb, row, tiles, ValueRange{block, s, within, zero});
    };
    int64_t full = depth / tileDepth;
    loop(b, zero, indexConstant(b, full), 1, [&](ImplicitLocOpBuilder &sb, Value s) { step(sb, s, tileDepth); });
    if (depth % tileDepth)
      step(b, indexConstant(b, full), depth % tileDepth);
  }

  /// Tiles for rows of so many steps: whole blocks of two, as what is behind the last row is multiplied, not stored.
  Value allocTiles(ImplicitLocOpBuilder &b, int64_t rowSteps) {
    Type element = bytes ? Type(b.getI8Type()) : Type(b.getBF16Type());
    Value blocks = times(b, ceilDiv(b, rows, indexConstant(b, kBlockRows)), 2);
    return memref::AllocOp::create(b, MemRefType::get({ShapedType::kDynamic, rowSteps, kTileRows, tileDepth}, element),
                                   ValueRange(blocks));
  }

  void pack(ImplicitLocOpBuilder &b) {
    tiles = allocTiles(b, steps);
    Value cost = indexConstant(b, steps * kRowBytes);
    ParallelOp::create(b, kernelName("pack", op.getLoc()), rows, grainFor(b, cost, kBytesPerThread),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         loop(pb, range[0], range[1], 1, [&](ImplicitLocOpBuilder &rb, Value m) { packRow(rb, m); });
                       });
  }

  //===-- Products of tiles --------------------------------------------------===//

  /// Tile `n` of step s of the panel.
  Value weightTile(ImplicitLocOpBuilder &b, Value panel, Value s, int64_t n) {
    // Rows of 4 bytes of k: of a group, or of a panel of pairs.
    Value where = bytes ? plus(b, times(b, panel, 2), n) : panel;
    Value at = times(b, add(b, times(b, where, steps * kTileRows), times(b, s, kTileRows)), 64); // bytes, or pairs of bf16
    return amx::loadTile(b, amx::address(b, weight, bytes ? at : plus(b, at, n * tileDepth)),
                         amx::strideOf(b, bytes ? kRowBytes : 2 * kRowBytes));
  }

  /// Rows [16 block, 16 block + 16) of step s of x; streamed, so that the weight stays in L1.
  Value inputTile(ImplicitLocOpBuilder &b, Value block, Value s) {
    Value tile = add(b, times(b, block, steps), s);
    return amx::loadTile(b, amx::address(b, tiles, times(b, tile, kTileRows * tileDepth)), amx::strideOf(b, kRowBytes),
                         /*stream=*/true);
  }

  Value multiply(ImplicitLocOpBuilder &b, Value sum, Value lhs, Value rhs) {
    return bytes ? amx::multiplyBytes(b, sum, lhs, rhs) : amx::multiplyBf16(b, sum, lhs, rhs);
  }

  /// Where tile i of the sums of a block waits, the first at `place`.
  Value sumAddress(ImplicitLocOpBuilder &b, Value place, int64_t i) {
    int64_t perThread = cast<MemRefType>(sums.getType()).getDimSize(1);
    Value tile = add(b, times(b, thread, perThread), plus(b, place, i));
    return amx::address(b, sums, times(b, tile, kTileRows * kTileRows));
  }
  void park(ImplicitLocOpBuilder &b, Value sum, Value place, int64_t i) {
    amx::storeTile(b, sum, sumAddress(b, place, i), amx::strideOf(b, kRowBytes));
  }
  Value zeroTile(ImplicitLocOpBuilder &b, int64_t i) {
    return amx::loadTile(b, amx::address(b, zeros, indexConstant(b, i * kRowBytes)), amx::strideOf(b, 0));
  }

  /// Rows of two vectors, or of one for both, from row `within` of a block of 16 on: a step of the next product, or half of one
  /// of bytes.
  void storeTiles(ImplicitLocOpBuilder &b, ArrayRef<Value> values, int64_t perRow, Value block, Value within, Value panel) {
    Value two = indexConstant(b, 2), step = bytes ? Value(arith::DivUIOp::create(b, panel, two)) : panel;
    Value half = bytes ? times(b, arith::RemUIOp::create(b, panel, two), kPanel) : zero;
    for (size_t i = 0; i < values.size(); i += perRow) {
      Value row = plus(b, within, i / perRow);
      if (!bytes)
        vector::StoreOp::create(b, amx::toBf16(b, values[i], values[i + 1]), next, ValueRange{block, step, row, zero});
      for (int64_t j = 0; bytes && j < perRow; ++j)
        vector::StoreOp::create(b, values[i + j], next, ValueRange{block, step, row, plus(b, half, j * target.lanes)});
    }
  }

  /// Rows [from, from + count) of a block whose sums wait at `place`, its first row being `row`, of a panel of `width`
  /// columns. They are of one tile, and `row` is a multiple of 16.
  void finishTogether(ImplicitLocOpBuilder &b, Value place, Value row, Value from, int64_t count, Value panel, int64_t width) {
    Value height = indexConstant(b, kTileRows), column = times(b, panel, kPanel);
    Value half = arith::DivUIOp::create(b, from, height), within = arith::RemUIOp::create(b, from, height);
    Value tile = add(b, place, times(b, half, 2)), m = add(b, row, from);
    SmallVector<Value> waiting;
    SmallVector<Place> places;
    for (int64_t j = 0; j < count; ++j)
      for (int64_t i = 0; i * target.lanes < width; ++i) {
        waiting.push_back(
            vector::LoadOp::create(b, vectorType, sums, ValueRange{thread, plus(b, tile, i), plus(b, within, j), zero}));
        places.push_back({plus(b, m, j), plus(b, column, i * target.lanes), validLanes(width, i * target.lanes)});
      }
    SmallVector<Value> finished = apply(b, waiting, places), rowsOfBytes;
    if (bytes && width == kPanel)
      rowsOfBytes = packBytes(b, finished);
    Value blockOfRows = add(b, arith::DivUIOp::create(b, row, height), half);
    if (next)
      return rowsOfBytes.empty() ? storeTiles(b, finished, 2, blockOfRows, within, panel)
                                 : storeTiles(b, rowsOfBytes, 1, blockOfRows, within, panel);
    for (auto [j, value] : llvm::enumerate(rowsOfBytes))
      vector::StoreOp::create(b, value, out, ValueRange{places[2 * j].row, places[2 * j].n});
    if (rowsOfBytes.empty())
      for (auto [value, place] : llvm::zip(finished, places))
        store(b, value, out, ValueRange{place.row, place.n}, place.lanes);
  }

  /// Rows [first, last); `first` is a multiple of kRowsTogether.
  void finish(ImplicitLocOpBuilder &b, Value place, Value row, Value first, Value last, Value panel, int64_t width) {
    Value whole = arith::SubIOp::create(
        b, last, arith::RemUIOp::create(b, arith::SubIOp::create(b, last, first), indexConstant(b, kRowsTogether)));
    loop(b, first, whole, kRowsTogether,
         [&](ImplicitLocOpBuilder &rb, Value r) { finishTogether(rb, place, row, r, kRowsTogether, panel, width); });
    loop(b, whole, last, 1, [&](ImplicitLocOpBuilder &rb, Value r) { finishTogether(rb, place, row, r, 1, panel, width); });
  }

  /// Fetches to L2 what step s of a block has to fetch of the panel after this one, of `blocks` equal shares. Behind the last
  /// panel lies what the next layer begins with.
  void prefetch(ImplicitLocOpBuilder &b, Value panel, Value block, Value blocks, Value s) {
    constexpr int64_t kShares = 4, kLines = 2 * kTileRows / kShares; // of the lines of a step
    Value share = add(b, arith::MulIOp::create(b, block, indexConstant(b, steps)), s);
    Value shares = arith::DivUIOp::create(b, plus(b, blocks, kShares - 1), blocks); // that this block stands for
    Value first = arith::MulIOp::create(b, share, shares);
    loop(b, first, add(b, first, shares), 1, [&](ImplicitLocOpBuilder &pb, Value part) {
      for (int64_t line = 0; line < kLines; ++line) {
        Value byte = plus(pb, times(pb, part, kLines * 64), line * 64);
        SmallVector<Value> at = {bytes ? times(pb, plus(pb, panel, 1), 2) : plus(pb, panel, 1), zero};
        if (!bytes) {
          at.push_back(zero);
          at.push_back(arith::DivUIOp::create(pb, byte, indexConstant(pb, 2)));
        } else {
          at.push_back(byte);
        }
        memref::PrefetchOp::create(pb, weight, at, /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
      }
    });
  }

  //===-- Whole panels: blocks that overlap ------------------------------------===//

  /// Panels [from, to) for rows [begin, begin + 32 blocks), of which those before `end` exist.
  void overlapped(ImplicitLocOpBuilder &b, Value from, Value to, Value begin, Value end, Value blocks) {
    // Parts of k, unless there is one block: its sums can stay where they are.
    Value parts = one, partSteps = indexConstant(b, steps);
    if (hasParts) {
      Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, blocks, one);
      partSteps = arith::SelectOp::create(b, isOne, partSteps, indexConstant(b, mostSteps));
      parts = ceilDiv(b, indexConstant(b, steps), partSteps);
    }
    const int64_t rowsPerStep =
        llvm::alignTo(llvm::divideCeil(kBlockRows, std::max<int64_t>(std::min(mostSteps, steps) - 1, 1)), kRowsTogether);
    Value perPanel = b.createOrFold<arith::MulIOp>(parts, blocks);
    Value firstTile = arith::DivUIOp::create(b, begin, indexConstant(b, kTileRows));
    Value blockRows = indexConstant(b, kBlockRows);

    // Tiles of the first step; of the block before its sums; and of it and the one before that, whose sums have left: panel,
    // block, rows to finish, and the place of the sums.
    constexpr size_t kSums = 4, kBefore = 8, kEarlier = 12;
    struct Item {
      Value panel, part, block, firstStep, tile;
    };
    auto itemAt = [&](ImplicitLocOpBuilder &ib, Value item) {
      Value panel = add(ib, from, arith::DivUIOp::create(ib, item, perPanel)), within = arith::RemUIOp::create(ib, item, perPanel);
      Value part = arith::DivUIOp::create(ib, within, blocks), block = arith::RemUIOp::create(ib, within, blocks);
      return Item{panel, part, block, arith::MulIOp::create(ib, part, partSteps), add(ib, firstTile, times(ib, block, 2))};
    };
    auto rowOf = [&](ImplicitLocOpBuilder &ib, ValueRange which) { return add(ib, begin, times(ib, which[1], kBlockRows)); };
    auto finishRows = [&](ImplicitLocOpBuilder &ib, ValueRange which, Value first) {
      finish(ib, which[3], rowOf(ib, which), arith::MinUIOp::create(ib, first, which[2]), which[2], which[0], kPanel);
    };
    auto finishSome = [&](ImplicitLocOpBuilder &ib, ValueRange which, Value first, int64_t count) {
      Value last = plus(ib, first, count), row = rowOf(ib, which);
      scf::IfOp::create(
          ib, arith::CmpIOp::create(ib, arith::CmpIPredicate::ule, last, which[2]),
          [&](OpBuilder &o, Location l) {
            ImplicitLocOpBuilder wb(l, o);
            loop(wb, first, last, kRowsTogether, [&](ImplicitLocOpBuilder &rb, Value r) {
              finishTogether(rb, which[3], row, r, kRowsTogether, which[0], kPanel);
            });
            scf::YieldOp::create(wb);
          },
          [&](OpBuilder &o, Location l) {
            ImplicitLocOpBuilder sb(l, o);
            loop(sb, first, arith::MinUIOp::create(sb, last, which[2]), 1,
                 [&](ImplicitLocOpBuilder &rb, Value r) { finishTogether(rb, which[3], row, r, 1, which[0], kPanel); });
            scf::YieldOp::create(sb);
          });
    };
    // Tiles of a step are loaded among the products of the step before, each as soon as its register is free: two of x, two of
    // the weight. So a product does not wait for its tiles where it would hold up all that comes behind it.
    auto stepOf = [&](ImplicitLocOpBuilder &sb, ValueRange now, function_ref<Value(int64_t)> sum, Value panel, Value tile,
                      Value s, function_ref<void(int64_t)> between) {
      SmallVector<Value> result(4), tiles(4);
      result[0] = multiply(sb, sum(0), now[0], now[2]);
      result[1] = multiply(sb, sum(1), now[0], now[3]);
      tiles[0] = inputTile(sb, tile, s);
      between(0);
      result[2] = multiply(sb, sum(2), now[1], now[2]);
      tiles[2] = weightTile(sb, panel, s, 0);
      result[3] = multiply(sb, sum(3), now[1], now[3]);
      tiles[3] = weightTile(sb, panel, s, 1);
      tiles[1] = inputTile(sb, plus(sb, tile, 1), s);
      between(1);
      tiles.append(result);
      return tiles;
    };

    Value count = b.createOrFold<arith::MulIOp>(arith::SubIOp::create(b, to, from), perPanel);
    SmallVector<Value> init;
    for (int64_t i = 0; i < 2; ++i)
      init.push_back(inputTile(b, plus(b, firstTile, i), zero));
    for (int64_t i = 0; i < 2; ++i)
      init.push_back(weightTile(b, from, zero, i));
    for (int64_t i = 0; i < 4; ++i)
      init.push_back(zeroTile(b, i));
    init.append(8, zero);
    auto items = scf::ForOp::create(b, zero, count, one, init, [&](OpBuilder &o, Location l, Value item, ValueRange before) {
      ImplicitLocOpBuilder ib(l, o);
      auto [panel, part, block, firstStep, tile] = itemAt(ib, item);
      Item following = itemAt(ib, arith::MinUIOp::create(ib, plus(ib, item, 1), plus(ib, count, -1)));
      Value lastStep = arith::MinUIOp::create(ib, indexConstant(ib, steps), add(ib, firstStep, partSteps));
      Value isFirst = arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, part, zero);
      auto beginning = [&](int64_t i) {
        if (!hasParts)
          return zeroTile(ib, i);
        Value none = amx::address(ib, zeros, indexConstant(ib, i * kRowBytes));
        return amx::loadTile(ib, arith::SelectOp::create(ib, isFirst, none, sumAddress(ib, times(ib, block, 4), i)),
                             arith::SelectOp::create(ib, isFirst, amx::strideOf(ib, 0), amx::strideOf(ib, kRowBytes)));
      };
      // Where the step after s finds its tiles.
      auto after = [&, panel = panel, tile = tile](ImplicitLocOpBuilder &sb, Value s) {
        Value next = plus(sb, s, 1), isLast = arith::CmpIOp::create(sb, arith::CmpIPredicate::eq, next, lastStep);
        auto either = [&](Value last, Value other) -> Value { return arith::SelectOp::create(sb, isLast, last, other); };
        return std::array<Value, 3>{either(following.panel, panel), either(following.tile, tile),
                                    either(following.firstStep, next)};
      };
      // The first step, between whose products the sums before leave.
      auto [nextPanel, nextTile, nextStep] = after(ib, firstStep);
      SmallVector<Value> begun = stepOf(
          ib, before,
          [&](int64_t i) {
            park(ib, before[kSums + i], before[kBefore + 3], i);
            return beginning(i);
          },
          nextPanel, nextTile, nextStep, [](int64_t) {});
      prefetch(ib, panel, block, blocks, firstStep);
      auto k = scf::ForOp::create(
          ib, plus(ib, firstStep, 1), lastStep, one, begun,
          [&, panel = panel, block = block, firstStep = firstStep](OpBuilder &ko, Location kl, Value s, ValueRange values) {
            ImplicitLocOpBuilder kb(kl, ko);
            Value row = times(kb, plus(kb, arith::SubIOp::create(kb, s, firstStep), -1), rowsPerStep);
            auto [nextPanel, nextTile, nextStep] = after(kb, s);
            // Half of the rows behind two products each.
            const int64_t half = llvm::alignTo(rowsPerStep / 2, kRowsTogether);
            scf::YieldOp::create(kb, stepOf(
                                         kb, values, [&](int64_t i) { return values[kSums + i]; }, nextPanel, nextTile,
                                         nextStep, [&](int64_t i) {
                                           if (i == 0)
                                             prefetch(kb, panel, block, blocks, s);
                                           if (int64_t rows = i == 0 ? half : rowsPerStep - half)
                                             finishSome(kb, before.drop_front(kEarlier), plus(kb, row, i * half), rows);
                                         }));
          });
      // What the steps were too few for.
      Value done = times(ib, plus(ib, arith::SubIOp::create(ib, lastStep, firstStep), -1), rowsPerStep);
      finishRows(ib, before.drop_front(kEarlier), done);
      Value isLast = arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, lastStep, indexConstant(ib, steps));
      Value left = arith::SubIOp::create(ib, end, add(ib, begin, times(ib, block, kBlockRows)));
      Value unfinished = arith::SelectOp::create(ib, isLast, arith::MinUIOp::create(ib, left, blockRows), zero);
      // Whole sums wait in turn at places of their own, as those before are still read.
      Value turn = times(ib, arith::RemUIOp::create(ib, item, indexConstant(ib, kPlaces)), 4);
      Value place = add(ib, turn, indexConstant(ib, firstPlace()));
      if (hasParts)
        place = arith::SelectOp::create(ib, isLast, place, times(ib, block, 4));
      SmallVector<Value> next(k.getResults());
      llvm::append_values(next, panel, block, unfinished, place);
      llvm::append_range(next, before.slice(kBefore, 4));
      scf::YieldOp::create(ib, next);
    });
    for (int64_t i = 0; i < 4; ++i)
      park(b, items.getResult(kSums + i), items.getResult(kBefore + 3), i);
    finishRows(b, items.getResults().drop_front(kEarlier), zero);
    finishRows(b, items.getResults().slice(kBefore, 4), zero);
  }

  //===-- What is left -----------------------------------------------------------===//

  /// One panel for at most 32 rows from `begin`.
  void single(ImplicitLocOpBuilder &b, Value panel, Value begin, Value count, int64_t rowTiles, int64_t width) {
    int64_t columnTiles = bytes ? llvm::divideCeil(width, kTileRows) : 2; // bytes are padded to a group only
    Value tile = arith::DivUIOp::create(b, begin, indexConstant(b, kTileRows));
    SmallVector<Value> none;
    for (int64_t i = 0; i < rowTiles * columnTiles; ++i)
      none.push_back(zeroTile(b, i));
    auto k =
        scf::ForOp::create(b, zero, indexConstant(b, steps), one, none, [&](OpBuilder &o, Location l, Value s, ValueRange acc) {
          ImplicitLocOpBuilder kb(l, o);
          SmallVector<Value> lhs, rhs, next;
          for (int64_t n = 0; n < columnTiles; ++n)
            rhs.push_back(weightTile(kb, panel, s, n));
          for (int64_t m = 0; m < rowTiles; ++m)
            lhs.push_back(inputTile(kb, plus(kb, tile, m), s));
          for (int64_t i = 0; i < rowTiles * columnTiles; ++i)
            next.push_back(multiply(kb, acc[i], lhs[i / columnTiles], rhs[i % columnTiles]));
          scf::YieldOp::create(kb, next);
        });
    for (int64_t i = 0; i < rowTiles * columnTiles; ++i)
      park(b, k.getResult(i), zero, i / columnTiles * 2 + i % columnTiles);
    finish(b, zero, begin, zero, count, panel, width);
  }

  /// Panels [from, to) of rows [begin, end), at most chunkBlocks * 32.
  void panelsOf(ImplicitLocOpBuilder &b, Value from, Value to, Value begin, Value end) {
    // Two tiles of rows at a time, as long as the second is of use.
    Value count = arith::SubIOp::create(b, end, begin);
    Value blocks = arith::DivUIOp::create(b, plus(b, count, kTileRows - 1), indexConstant(b, kBlockRows));
    Value whole = lastWidth == kPanel ? to : Value(arith::MinUIOp::create(b, to, indexConstant(b, panelCount - 1)));
    Value isAny = arith::AndIOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, blocks, zero),
                                        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, from, whole));
    scf::IfOp::create(b, isAny, [&](OpBuilder &o, Location l) {
      ImplicitLocOpBuilder ib(l, o);
      overlapped(ib, from, whole, begin, end, blocks);
      scf::YieldOp::create(ib);
    });
    Value rest = arith::MinUIOp::create(b, add(b, begin, times(b, blocks, kBlockRows)), end);
    scf::IfOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::ult, rest, end), [&](OpBuilder &o, Location l) {
      ImplicitLocOpBuilder ib(l, o);
      loop(ib, from, whole, 1, [&](ImplicitLocOpBuilder &nb, Value panel) {
        single(nb, panel, rest, arith::SubIOp::create(nb, end, rest), 1, kPanel);
      });
      scf::YieldOp::create(ib);
    });
    if (lastWidth != kPanel)
      loop(b, arith::MaxUIOp::create(b, from, whole), to, 1, [&](ImplicitLocOpBuilder &nb, Value panel) {
        loop(nb, begin, end, kTileRows, [&](ImplicitLocOpBuilder &mb, Value m) {
          Value left = arith::MinUIOp::create(mb, arith::SubIOp::create(mb, end, m), indexConstant(mb, kTileRows));
          single(mb, panel, m, left, 1, lastWidth);
        });
      });
  }

  void emit(ImplicitLocOpBuilder &b, bool hasReader) {
    zero = indexConstant(b, 0);
    one = indexConstant(b, 1);
    rows = dimOf(b, x, 0);
    if (!tiles)
      pack(b);
    if (hasReader)
      next = allocTiles(b, columns / tileDepth);
    Value threads = ThreadsOp::create(b, b.getIndexType());
    auto size = [&](int64_t n) -> OpFoldResult { return b.getIndexAttr(n); };
    sums = allocPerThread(b, {size(firstPlace() + 4 * kPlaces), size(kTileRows), size(kTileRows)}, vectorType.getElementType());
    // Each thread has rows of its own, as in the kernels around: fetching what another core wrote takes longer than
    // many a product here.
    Value panels = indexConstant(b, panelCount);
    Value share = times(b, ceilDiv(b, ceilDiv(b, rows, threads), indexConstant(b, kBlockRows)), kBlockRows);
    Value chunkRows = arith::MinUIOp::create(b, arith::MaxUIOp::create(b, share, one), indexConstant(b, chunkBlocks * kBlockRows));
    Value count = arith::MulIOp::create(b, ceilDiv(b, rows, chunkRows), panels);
    Value cost = arith::MulIOp::create(b, arith::MinUIOp::create(b, rows, chunkRows), indexConstant(b, 2 * depth * kPanel));
    ParallelOp::create(b, kernelName("matmul", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         thread = range[2];
                         zeros = amx::zeroLines(pb);
                         Value firstChunk = arith::DivUIOp::create(pb, range[0], panels),
                               lastTask = arith::SubIOp::create(pb, range[1], one);
                         Value lastChunk = arith::DivUIOp::create(pb, lastTask, panels);
                         loop(pb, firstChunk, plus(pb, lastChunk, 1), 1, [&](ImplicitLocOpBuilder &cb, Value chunk) {
                           Value begin = arith::MulIOp::create(cb, chunk, chunkRows);
                           Value end = arith::MinUIOp::create(cb, arith::AddIOp::create(cb, begin, chunkRows), rows);
                           // The panels of this chunk that are this thread's.
                           Value base = arith::MulIOp::create(cb, chunk, panels);
                           Value from = arith::SubIOp::create(cb, arith::MaxUIOp::create(cb, range[0], base), base);
                           Value to = arith::MinUIOp::create(cb, arith::SubIOp::create(cb, range[1], base), panels);
                           panelsOf(cb, from, to, begin, end);
                         });
                       });
  }
};

} // namespace

//===-- Neighbours ----------------------------------------------------------===//

/// The product that alone reads what `op` writes, with its rows as they are; or null.
static PackedMatmulOp onlyReader(PackedMatmulOp op, const TiledTarget &target) {
  Value root = rootOf(op.getOuts());
  if (!isa_and_nonnull<memref::AllocOp, memref::ViewOp>(root.getDefiningOp())) // of its own, or a place in the arena
    return {};
  PackedMatmulOp reader;
  bool hasPart = false;
  SmallVector<Value> views = {root};
  while (!views.empty())
    for (OpOperand &use : views.pop_back_val().getUses()) {
      Operation *user = use.getOwner();
      if (isa<memref::DimOp>(user) || (user == op && &use == &op.getOutsMutable()))
        continue;
      if (isa<PartOp>(user) && std::exchange(hasPart, true)) // the same part of the batch for both
        return {};
      if (isa<PartOp, memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(user)) {
        views.push_back(user->getResult(0));
        continue;
      }
      auto product = dyn_cast<PackedMatmulOp>(user);
      if (!product || reader || &use != &product.getXMutable() || product->getBlock() != op->getBlock() ||
          !op->isBeforeInBlock(product))
        return {};
      reader = product;
    }
  if (!reader || !wantsAmx(reader, target) || reader.isOfBytes() != op.isOfBytes())
    return {};
  auto from = cast<MemRefType>(op.getOuts().getType()), to = cast<MemRefType>(reader.getX().getType());
  int64_t columns = from.getShape().back();
  return columns == to.getShape().back() && columns % kRowBytes == 0 ? reader : PackedMatmulOp();
}

/// Products of the same x right behind `op`.
static SmallVector<PackedMatmulOp> sharersOfX(PackedMatmulOp op, const TiledTarget &target) {
  SmallVector<PackedMatmulOp> sharers;
  Value written = rootOf(op.getOuts()), x = rootOf(op.getX());
  for (Operation *other = op->getNextNode(); other && written != x; other = other->getNextNode()) {
    auto product = dyn_cast<PackedMatmulOp>(other);
    if (!product && (isMemoryEffectFree(other) || isa<memref::AllocOp>(other)))
      continue;
    if (!product || product.getX() != op.getX() || !wantsAmx(product, target) || product.isOfBytes() != op.isOfBytes())
      break;
    sharers.push_back(product);
    written = rootOf(product.getOuts());
  }
  return sharers;
}

bool sq::wantsAmx(PackedMatmulOp op, const TiledTarget &target) {
  return target.amx && !op.isCoded() && (op.isOfBytes() || cast<MemRefType>(op.getWeight().getType()).getRank() == 4);
}

LogicalResult sq::lowerAmxMatmul(RewriterBase &rewriter, PackedMatmulOp op, const TiledTarget &target, TiledInputs &tiled) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  auto weightType = cast<MemRefType>(op.getWeight().getType());
  bool bytes = op.isOfBytes();
  if (!outType.getLayout().isIdentity() ||
      (!bytes && (!outType.getElementType().isF32() || !cast<MemRefType>(op.getX().getType()).getElementType().isF32())))
    return op.emitOpError("needs f32 operands, or bytes, and a dense result, got ") << outType;
  if ((!bytes && weightType.getDimSize(2) != kPanel) || target.lanes != kTileRows)
    return op.emitOpError("needs a weight in panels of ") << kPanel << " columns, got " << weightType;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX()));
  int64_t depth = cast<MemRefType>(x.getType()).getDimSize(1);
  Emitter e{EpilogueEmitter(b, op, target), x, op.getWeight(), depth, outType.getShape().back(), bytes};
  e.tiles = tiled.lookup(op);
  PackedMatmulOp reader = onlyReader(op, target);
  e.emit(b, bool(reader));
  if (reader)
    tiled[reader] = e.next;
  if (!tiled.contains(op))
    for (PackedMatmulOp sharer : sharersOfX(op, target))
      tiled[sharer] = e.tiles;
  tiled.erase(op);
  rewriter.eraseOp(op);
  return success();
}
