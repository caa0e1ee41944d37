//===-- PackedMatmul.cpp - the matrix product with packed weights ------------===//
//
// Work is shared as (chunk of rows) x (panel of columns): a chunk of a few dozen
// rows (Tiles.h) keeps the left operand in L2 while panel after panel passes by. A
// panel is multiplied tile by tile, and each tile's sums go through the
// epilogue in registers. Where a panel is large (Tiles.h), all rows pass by a part of
// it that is not, then by the next; what they have summed up so far waits in L2.
//
// Bytes go by fours along k (Bytes.h).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/Epilogue.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

// Below this many flops a thread's share is not worth waking it (about 10 us).
constexpr int64_t kFlopsPerThread = 1 << 20;

/// Steps of k in a round of the loop of full tiles of floats.
constexpr int64_t kUnroll = 4;
/// Operations on sums of bytes that registers take; more go through L1.
constexpr int64_t kCheapOnBytes = 12;
/// Columns of a group of a weight of bytes.
constexpr int64_t kGroup = 16;

struct Emitter : EpilogueEmitter {
  Value x, weight;        // x as [rows, k]
  int64_t depth, columns; // depth: steps of k
  bool bytes;
  Value thread = {};
  /// Bytes: sums on their way to a dear epilogue, i32 [threads][tile rows][columns of a panel].
  Value scratch = {};
  /// Floats: where the steps of k of a panel are not multiplied at once, sums of its rows between one part of them and the next,
  /// [threads][rows of a chunk][columns of a panel].
  Value partial = {};
  int64_t partSteps = 0;

  //===-- Operands of a step of k --------------------------------------------===//

  Value leftElement(ImplicitLocOpBuilder &b, Value row, Value k) {
    if (!bytes)
      return memref::LoadOp::create(b, x, ValueRange{row, k});
    auto four = VectorType::get({4}, b.getI8Type());
    Value at = arith::MulIOp::create(b, k, indexConstant(b, 4));
    Value quad = vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()),
                                           vector::LoadOp::create(b, four, x, ValueRange{row, at}));
    return vector::BroadcastOp::create(b, vectorType, vector::ExtractOp::create(b, quad, 0));
  }

  Value rightVector(ImplicitLocOpBuilder &b, Value panel, Value k, int64_t column) {
    if (!bytes)
      return vector::LoadOp::create(b, vectorType, weight, ValueRange{panel, k, indexConstant(b, column)});
    Value group = plus(b, arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns / kGroup)), column / kGroup);
    auto type = VectorType::get({4 * target.lanes}, b.getI8Type());
    return vector::LoadOp::create(b, type, weight, ValueRange{group, k, indexConstant(b, column % kGroup * 4)});
  }

  /// Fetches what is `at` bytes or floats behind the start of `panel` to L2.
  void prefetch(ImplicitLocOpBuilder &b, Value panel, Value at) {
    Value first = bytes ? Value(arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns / kGroup))) : panel;
    memref::PrefetchOp::create(b, weight, ValueRange{first, indexConstant(b, 0), at},
                               /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
  }

  /// Columns [sub, sub + vectors * lanes) of a panel, for all rows of a chunk;
  /// `width` columns of the panel exist.
  struct Part {
    Value panel, column, begin, end;
    int64_t sub, width;
    int64_t vectors;
  };
  /// Steps [from, from + count) of k. Unless they are the first, sums begin
  /// with what is parked in `partial`; unless they are the last, they go there.
  struct Steps {
    Value from;
    int64_t count;
    bool first, last;
  };

  Value partialRow(ImplicitLocOpBuilder &b, const Part &p, Value row) { return arith::SubIOp::create(b, row, p.begin); }

  SmallVector<Value> products(ImplicitLocOpBuilder &b, const Part &p, const Steps &steps, ArrayRef<Value> row) {
    int64_t rows = row.size();
    // While a part of a panel is multiplied the next one is fetched to L2, each
    // tile its share of it, evenly over its steps of k (specs/host-codegen.md,
    // section 1). Behind the last panel lies what the next layer begins with.
    bool whole = steps.first && steps.last;
    Value next = whole ? plus(b, p.panel, 1) : p.panel;
    Value tiles = ceilDiv(b, arith::SubIOp::create(b, p.end, p.begin), indexConstant(b, target.tiles.rows));
    // Floats or bytes: of a row of a panel, and of a cache line.
    const int64_t inRow = bytes ? 4 * kPanelColumns : kPanelColumns, inLine = bytes ? 64 : 16;
    Value perStep = ceilDiv(b, indexConstant(b, inRow), tiles);
    Value share =
        arith::MulIOp::create(b, indexConstant(b, steps.count),
                              arith::MulIOp::create(b, perStep,
                                                    arith::DivUIOp::create(b, arith::SubIOp::create(b, row[0], p.begin),
                                                                           indexConstant(b, target.tiles.rows))));
    if (!whole)
      share = arith::AddIOp::create(
          b, share, arith::MulIOp::create(b, plus(b, steps.from, steps.count), indexConstant(b, inRow)));
    auto at = [&](ImplicitLocOpBuilder &ib, Value k) {
      return whole ? k : Value(arith::AddIOp::create(ib, steps.from, k));
    };
    auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) { return leftElement(ib, row[r], at(ib, k)); };
    auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) {
      return rightVector(ib, p.panel, at(ib, k), p.sub + v * target.lanes);
    };
    auto multiply = [&](ImplicitLocOpBuilder &ib, Value l, Value r, Value sum) {
      return multiplyBytes(ib, target, l, r, sum);
    };
    auto fetch = [&](ImplicitLocOpBuilder &ib, Value k) {
      Value ahead = arith::AddIOp::create(ib, share, arith::MulIOp::create(ib, k, perStep));
      // A few rows are often all there are: one tile then fetches the whole
      // panel.
      for (int64_t line = 0; line < (rows < target.tiles.rows ? inRow : inLine); line += inLine)
        prefetch(ib, next, plus(ib, ahead, line));
    };
    SmallVector<Value> init;
    if (!steps.first)
      for (Value r : row)
        for (int64_t v = 0; v < p.vectors; ++v)
          init.push_back(vector::LoadOp::create(
              b, vectorType, partial,
              ValueRange{thread, partialRow(b, p, r), indexConstant(b, p.sub + v * target.lanes)}));
    ContractionTile tile{rows, p.vectors, vectorType, indexConstant(b, steps.count), lhs, rhs, init};
    if (bytes)
      tile.multiply = multiply;
    tile.step = fetch;
    // The loop's own instructions take ports that multiply, its end is guessed wrong once a tile: 1 % hot and 2 to 9 % of
    // a C++ twin. Where rows are few, memory is what takes the time.
    if (!bytes && rows == target.tiles.rows)
      tile.unroll = kUnroll;
    return emitContractionTile(b, tile);
  }

  /// The epilogue of a tile's sums, into `out`.
  void finish(ImplicitLocOpBuilder &tb, const Part &p, ArrayRef<Value> row, SmallVector<Value> sums) {
    int64_t rows = row.size();
    bool cheap = isCheap(bytes ? kCheapOnBytes : 4);
    // First every load, then every store: between them, loads would wait for
    // stores whose addresses agree in the lower 12 bits.
    if (cheap)
      for (int64_t v = 0; v < p.vectors; ++v)
        for (int64_t r = 0; r < rows; ++r) {
          int64_t offset = p.sub + v * target.lanes;
          Value &sum = sums[r * p.vectors + v];
          sum = apply(tb, sum, row[r], plus(tb, p.column, offset), validLanes(p.width, offset));
        }
    auto parked = [&](ImplicitLocOpBuilder &pb, Value r, int64_t offset) {
      return SmallVector<Value>{thread, arith::SubIOp::create(pb, r, row[0]), indexConstant(pb, offset)};
    };
    for (int64_t v = 0; v < p.vectors; ++v)
      for (int64_t r = 0; r < rows; ++r) {
        int64_t offset = p.sub + v * target.lanes;
        if (!cheap && scratch)
          vector::StoreOp::create(tb, sums[r * p.vectors + v], scratch, parked(tb, row[r], offset));
        else
          store(tb, sums[r * p.vectors + v], out, ValueRange{row[r], plus(tb, p.column, offset)},
                validLanes(p.width, offset));
      }
    if (cheap)
      return;
    // The sums lie in L1; one copy of the epilogue per column vector instead
    // of one per accumulator keeps the code short.
    Value last = tb.createOrFold<arith::AddIOp>(row.back(), indexConstant(tb, 1));
    loop(tb, row[0], last, 1, [&](ImplicitLocOpBuilder &rb, Value r) {
      for (int64_t v = 0; v < p.vectors; ++v) {
        int64_t offset = p.sub + v * target.lanes, lanes = validLanes(p.width, offset);
        Value n = rb.createOrFold<arith::AddIOp>(p.column, indexConstant(rb, offset));
        Value sum = scratch ? Value(vector::LoadOp::create(rb, vectorType, scratch, parked(rb, r, offset)))
                            : load(rb, out, ValueRange{r, n}, lanes);
        store(rb, apply(rb, sum, r, n, lanes), out, ValueRange{r, n}, lanes);
      }
    });
  }

  void subpanel(ImplicitLocOpBuilder &b, const Part &p) {
    auto tiles = [&](ImplicitLocOpBuilder &ib, const Steps &steps) {
      emitRowTiles(ib, p.begin, p.end, target.tiles.rows, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
        SmallVector<Value> sums = products(tb, p, steps, row);
        if (steps.last)
          return finish(tb, p, row, sums);
        for (auto [i, sum] : llvm::enumerate(sums))
          vector::StoreOp::create(tb, sum, partial,
                                  ValueRange{thread, partialRow(tb, p, row[i / p.vectors]),
                                             indexConstant(tb, p.sub + i % p.vectors * target.lanes)});
      });
    };
    Value zero = indexConstant(b, 0);
    if (!partial)
      return tiles(b, Steps{zero, depth, true, true});
    int64_t parts = llvm::divideCeil(depth, partSteps);
    tiles(b, Steps{zero, partSteps, true, false});
    if (parts > 2)
      loop(b, indexConstant(b, partSteps), indexConstant(b, (parts - 1) * partSteps), partSteps,
           [&](ImplicitLocOpBuilder &ib, Value k) {
             tiles(ib, Steps{k, partSteps, false, false});
           });
    tiles(b, Steps{indexConstant(b, (parts - 1) * partSteps), depth - (parts - 1) * partSteps, false, true});
  }

  void panelOf(ImplicitLocOpBuilder &b, Value panel, Value begin, Value end, int64_t width) {
    Value column = arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns));
    for (int64_t sub = 0; sub < width; sub += target.tiles.vectors * target.lanes)
      subpanel(
          b, Part{panel, column, begin, end, sub, width,
                  int64_t(llvm::divideCeil(std::min(width - sub, target.tiles.vectors * target.lanes), target.lanes))});
  }

  void emit(ImplicitLocOpBuilder &b) {
    int64_t panelCount = llvm::divideCeil(columns, kPanelColumns);
    int64_t lastWidth = columns - (panelCount - 1) * kPanelColumns;
    Value rows = dimOf(b, x, 0), panels = indexConstant(b, panelCount);
    // Chunks of equal size, a multiple of the tile's rows.
    int64_t most = chooseBlock(target, target.tiles, depth); // 4 bytes a step
    Value chunks = ceilDiv(b, rows, indexConstant(b, most));
    Value one = indexConstant(b, 1), step = indexConstant(b, target.tiles.rows);
    Value chunkRows =
        arith::MulIOp::create(b, ceilDiv(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunks, one)), step), step);
    Value count = arith::MulIOp::create(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunkRows, one)), panels);
    Value cost = arith::MulIOp::create(b, arith::MinUIOp::create(b, chunkRows, rows),
                                       indexConstant(b, 2 * depth * std::min(columns, kPanelColumns)));
    auto size = [&](int64_t n) -> OpFoldResult { return b.getIndexAttr(n); };
    if (bytes && !isCheap(kCheapOnBytes))
      scratch = allocPerThread(b, {size(target.tiles.rows), size(kPanelColumns)}, b.getI32Type());
    partSteps = choosePart(target, target.tiles, depth);
    if (!bytes && partSteps < depth)
      partial = allocPerThread(b, {size(most), size(kPanelColumns)}, b.getF32Type());
    ParallelOp::create(b, kernelName("matmul", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
                       [&](OpBuilder &nested, Location loc, ValueRange range) {
                         thread = range[2];
                         scf::ForOp::create(nested, loc, range[0], range[1], one, ValueRange(),
                                            [&](OpBuilder &inner, Location l, Value task, ValueRange) {
                                              ImplicitLocOpBuilder ib(l, inner);
                                              Value chunk = arith::DivUIOp::create(ib, task, panels);
                                              Value panel = arith::RemUIOp::create(ib, task, panels);
                                              Value begin = arith::MulIOp::create(ib, chunk, chunkRows);
                                              Value end = arith::MinUIOp::create(
                                                  ib, arith::AddIOp::create(ib, begin, chunkRows), rows);
                                              if (lastWidth == kPanelColumns) {
                                                panelOf(ib, panel, begin, end, kPanelColumns);
                                              } else if (panelCount == 1) {
                                                panelOf(ib, panel, begin, end, lastWidth);
                                              } else {
                                                Value last = arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, panel,
                                                                                   indexConstant(ib, panelCount - 1));
                                                scf::IfOp::create(
                                                    ib, last,
                                                    [&](OpBuilder &o, Location at) {
                                                      ImplicitLocOpBuilder sb(at, o);
                                                      panelOf(sb, panel, begin, end, lastWidth);
                                                      scf::YieldOp::create(sb);
                                                    },
                                                    [&](OpBuilder &o, Location at) {
                                                      ImplicitLocOpBuilder sb(at, o);
                                                      panelOf(sb, panel, begin, end, kPanelColumns);
                                                      scf::YieldOp::create(sb);
                                                    });
                                              }
                                              scf::YieldOp::create(ib);
                                            });
                       });
  }
};

} // namespace

TiledTarget sq::tilesForBytes(const TiledTarget &target) {
  TiledTarget result = target;
  if (!target.vnni)
    result.tiles.rows = std::min<int64_t>(target.tiles.rows, target.registers == 32 ? 6 : 4);
  return result;
}

LogicalResult sq::lowerPackedMatmul(RewriterBase &rewriter, PackedMatmulOp op, const TiledTarget &target) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  bool bytes = op.isOfBytes();
  if ((!bytes && !outType.getElementType().isF32()) || !outType.getLayout().isIdentity())
    return op.emitOpError("needs a dense ") << (bytes ? "" : "f32 ") << "result, got " << outType;
  auto weightType = cast<MemRefType>(op.getWeight().getType());
  if (!bytes && weightType.getShape().back() != kPanelColumns)
    return op.emitOpError("needs a weight in panels of ") << kPanelColumns << " columns, got " << weightType
                                                          << "; run --sq-pack-linear with columns=" << kPanelColumns;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  TiledTarget tiled = bytes ? tilesForBytes(target) : target;
  Value x = asRows(b, denseMemref(b, op.getX()));
  int64_t depth = bytes ? cast<MemRefType>(x.getType()).getDimSize(1) / 4 : weightType.getDimSize(1);
  Emitter e{EpilogueEmitter(b, op, tiled), x, op.getWeight(), depth, outType.getShape().back(), bytes};
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
