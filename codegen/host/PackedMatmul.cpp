//===-- PackedMatmul.cpp - the matrix product with packed weights ------------===//
//
// Work is shared as (chunk of rows) x (panel of columns): a chunk of a few dozen
// rows (Tiles.h) keeps the left operand in L2 while panel after panel passes by. A
// panel is multiplied tile by tile, and each tile's sums go through the
// epilogue in registers.
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

/// Operations on sums of bytes that registers take; more go through L1.
constexpr int64_t kCheapOnBytes = 12;
/// Columns of a group of a weight of bytes.
constexpr int64_t kGroup = 16;

struct Emitter : EpilogueEmitter {
  Value x, weight; // x as [rows, k]
  int64_t depth, columns; // depth: steps of k
  bool bytes;
  Value scratch = {}, thread = {}; // bytes: sums on their way to a dear epilogue, i32 [threads][tile rows][columns of a panel]

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
  void subpanel(ImplicitLocOpBuilder &b, Value panel, Value column, Value begin, Value end,
                int64_t sub, int64_t width) {
    int64_t left = std::min(width - sub, target.tiles.vectors * target.lanes);
    int64_t vectors = llvm::divideCeil(left, target.lanes);
    // While a panel is multiplied the next one is fetched to L2, each tile its
    // share of it, evenly over its steps of k (specs/host-codegen.md, section
    // 1). Behind the last panel lies what the next layer begins with.
    Value next = plus(b, panel, 1);
    Value tiles = ceilDiv(b, arith::SubIOp::create(b, end, begin), indexConstant(b, target.tiles.rows));
    // Floats or bytes: of a row of a panel, and of a cache line.
    const int64_t inRow = bytes ? 4 * kPanelColumns : kPanelColumns, inLine = bytes ? 64 : 16;
    Value perStep = ceilDiv(b, indexConstant(b, inRow), tiles);
    emitRowTiles(b, begin, end, target.tiles.rows, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      int64_t rows = row.size();
      ContractionTile tile;
      tile.rows = rows;
      tile.vectors = vectors;
      tile.vectorType = vectorType;
      tile.depth = indexConstant(tb, depth);
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) { return leftElement(ib, row[r], k); };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) {
        return rightVector(ib, panel, k, sub + v * target.lanes);
      };
      auto multiply = [&](ImplicitLocOpBuilder &ib, Value l, Value r, Value sum) { return multiplyBytes(ib, target, l, r, sum); };
      if (bytes)
        tile.multiply = multiply;
      tile.lhs = lhs;
      tile.rhs = rhs;
      Value from = arith::MulIOp::create(
          tb, indexConstant(tb, depth),
          arith::MulIOp::create(tb, perStep,
                                arith::DivUIOp::create(tb, arith::SubIOp::create(tb, row[0], begin),
                                                       indexConstant(tb, target.tiles.rows))));
      auto fetch = [&](ImplicitLocOpBuilder &ib, Value k) {
        Value at = arith::AddIOp::create(ib, from, arith::MulIOp::create(ib, k, perStep));
        // A few rows are often all there are: one tile then fetches the whole panel.
        for (int64_t line = 0; line < (rows < target.tiles.rows ? inRow : inLine); line += inLine)
          prefetch(ib, next, plus(ib, at, line));
      };
      tile.step = fetch;
      SmallVector<Value> sums = emitContractionTile(tb, tile);
      bool cheap = isCheap(bytes ? kCheapOnBytes : 4);
      // First every load, then every store: between them, loads would wait for
      // stores whose addresses agree in the lower 12 bits.
      if (cheap)
        for (int64_t v = 0; v < vectors; ++v)
          for (int64_t r = 0; r < rows; ++r) {
            int64_t offset = sub + v * target.lanes;
            Value &sum = sums[r * vectors + v];
            sum = apply(tb, sum, row[r], plus(tb, column, offset), validLanes(width, offset));
          }
      auto parked = [&](ImplicitLocOpBuilder &pb, Value r, int64_t offset) {
        return SmallVector<Value>{thread, arith::SubIOp::create(pb, r, row[0]), indexConstant(pb, offset)};
      };
      for (int64_t v = 0; v < vectors; ++v)
        for (int64_t r = 0; r < rows; ++r) {
          int64_t offset = sub + v * target.lanes;
          if (!cheap && scratch)
            vector::StoreOp::create(tb, sums[r * vectors + v], scratch, parked(tb, row[r], offset));
          else
            store(tb, sums[r * vectors + v], out, ValueRange{row[r], plus(tb, column, offset)},
                  validLanes(width, offset));
        }
      if (cheap)
        return;
      // The sums lie in L1; one copy of the epilogue per column vector instead
      // of one per accumulator keeps the code short.
      Value last = tb.createOrFold<arith::AddIOp>(row.back(), indexConstant(tb, 1));
      loop(tb, row[0], last, 1, [&](ImplicitLocOpBuilder &rb, Value r) {
        for (int64_t v = 0; v < vectors; ++v) {
          int64_t offset = sub + v * target.lanes, lanes = validLanes(width, offset);
          Value n = rb.createOrFold<arith::AddIOp>(column, indexConstant(rb, offset));
          Value sum = scratch ? Value(vector::LoadOp::create(rb, vectorType, scratch, parked(rb, r, offset)))
                              : load(rb, out, ValueRange{r, n}, lanes);
          store(rb, apply(rb, sum, r, n, lanes), out, ValueRange{r, n}, lanes);
        }
      });
    });
  }

  void panelOf(ImplicitLocOpBuilder &b, Value panel, Value begin, Value end, int64_t width) {
    Value column = arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns));
    for (int64_t sub = 0; sub < width; sub += target.tiles.vectors * target.lanes)
      subpanel(b, panel, column, begin, end, sub, width);
  }

  void emit(ImplicitLocOpBuilder &b) {
    int64_t panelCount = llvm::divideCeil(columns, kPanelColumns);
    int64_t lastWidth = columns - (panelCount - 1) * kPanelColumns;
    Value rows = dimOf(b, x, 0), panels = indexConstant(b, panelCount);
    // Chunks of equal size, a multiple of the tile's rows.
    Value chunks = ceilDiv(b, rows, indexConstant(b, chooseBlock(target, target.tiles, depth))); // 4 bytes a step
    Value one = indexConstant(b, 1), step = indexConstant(b, target.tiles.rows);
    Value chunkRows = arith::MulIOp::create(
        b, ceilDiv(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunks, one)), step), step);
    Value count = arith::MulIOp::create(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunkRows, one)), panels);
    Value cost = arith::MulIOp::create(
        b, arith::MinUIOp::create(b, chunkRows, rows),
        indexConstant(b, 2 * depth * std::min(columns, kPanelColumns)));
    if (bytes && !isCheap(kCheapOnBytes))
      scratch = memref::AllocOp::create(
          b, MemRefType::get({ShapedType::kDynamic, target.tiles.rows, kPanelColumns}, b.getI32Type()),
          ValueRange(ThreadsOp::create(b, b.getIndexType())));
    ParallelOp::create(
        b, kernelName("matmul", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
        [&](OpBuilder &nested, Location loc, ValueRange range) {
          thread = range[2];
          scf::ForOp::create(
              nested, loc, range[0], range[1], one, ValueRange(),
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

LogicalResult sq::lowerPackedMatmul(RewriterBase &rewriter, PackedMatmulOp op,
                                    const TiledTarget &target) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  bool bytes = op.isOfBytes();
  if ((!bytes && !outType.getElementType().isF32()) || !outType.getLayout().isIdentity())
    return op.emitOpError("needs a dense ") << (bytes ? "" : "f32 ") << "result, got " << outType;
  auto weightType = cast<MemRefType>(op.getWeight().getType());
  if (!bytes && weightType.getShape().back() != kPanelColumns)
    return op.emitOpError("needs a weight in panels of ")
           << kPanelColumns << " columns, got " << weightType
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
