//===-- CodedBlocks.cpp - a decoded panel by many rows of x
//----------------------===//
//
// Sixty-four rows of x at a time: floats and bytes in register tiles, bytes on
// AMX in tiles of 16 rows by 16 columns, of which the panel is the second
// operand as it is. A row of x costs 0.01 (bytes) to 0.03 cycles a weight in
// registers, 0.001 on AMX.
//
// What the sparse matrix adds to products of bytes would then be the most of
// it, a load and an addition for each entry and row. So x is transposed once,
// and an entry is multiplied by vectors of rows; the sums of the block are
// transposed for that, and back. Each sum is added up in the same order as
// for a few rows.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/common/Transpose.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

/// Vectors of rows of x that an entry is multiplied by at once.
constexpr int64_t kSparseVectors = 4;

void CodedPanels::prepare(ImplicitLocOpBuilder &b) {
  if (onTiles())
    zeros = amx::zeroLines(b);
}

void CodedPanels::multiply(ImplicitLocOpBuilder &b, Value n, int64_t width,
                           Value first, Value count) {
  if (onTiles()) {
    loop(b, indexConstant(b, 0), count, 2 * amx::kTileRows,
         [&](ImplicitLocOpBuilder &ib, Value row) {
           Value x = arith::AddIOp::create(ib, first, row);
           multiplyTiles(ib, x, row, 0, 2);
           if (width > 32)
             multiplyTiles(ib, x, row, 32, 1);
         });
    loop(b, indexConstant(b, 0), count, 1,
         [&](ImplicitLocOpBuilder &ib, Value row) {
           for (int64_t v = 0; v < width; v += coded.target.lanes) {
             Value column = indexConstant(ib, v);
             Value sum =
                 vector::LoadOp::create(ib, coded.sumType(ib), tileSums,
                                        ValueRange{thread, row, column});
             storeSum(ib, sum, arith::AddIOp::create(ib, first, row), row,
                      column);
           }
         });
  } else {
    emitRowTiles(b, first, arith::AddIOp::create(b, first, count),
                 coded.target.tiles.rows,
                 [&](ImplicitLocOpBuilder &ib, ArrayRef<Value> rows) {
                   multiplyInRegisters(ib, first, width, rows);
                 });
  }
  if (!coded.bytes || !coded.rowPtr)
    return;
  if (coded.transposed)
    addSparse(b, n, width, first, count);
  else
    loop(b, indexConstant(b, 0), indexConstant(b, width), 1,
         [&](ImplicitLocOpBuilder &cb, Value column) {
           loop(cb, indexConstant(cb, 0), count, 1,
                [&](ImplicitLocOpBuilder &ib, Value row) {
                  SmallVector<Value> at = {thread, row, column};
                  SmallVector<Value> sum = {
                      memref::LoadOp::create(ib, sums, at)};
                  Value x = arith::AddIOp::create(ib, first, row);
                  coded.addSparse(ib, arith::AddIOp::create(ib, n, column), x,
                                  sum);
                  memref::StoreOp::create(ib, sum.front(), sums, at);
                });
         });
}

/// A vector of sums to its place in `sums`: of bytes with scales and what the
/// least entries of tables contribute.
void CodedPanels::storeSum(ImplicitLocOpBuilder &b, Value sum, Value x,
                           Value row, Value column) {
  if (coded.bytes && coded.groups.size) {
    Value scale = memref::LoadOp::create(b, coded.roundedScale,
                                         ValueRange{x, indexConstant(b, 0)});
    sum = arith::MulFOp::create(
        b, sum, vector::BroadcastOp::create(b, sum.getType(), scale));
  } else if (coded.bytes) {
    Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
    auto floats = VectorType::get({coded.target.lanes}, b.getF32Type());
    auto ofColumns = [&](Value i) {
      return vector::LoadOp::create(b, floats, scales,
                                    ValueRange{thread, i, column});
    };
    auto ofRow = [&](Value i) {
      return vector::BroadcastOp::create(
          b, floats,
          memref::LoadOp::create(b, coded.roundedScale, ValueRange{x, i}));
    };
    Value y = vector::FMAOp::create(
        b, ofColumns(zero), arith::SIToFPOp::create(b, floats, sum),
        arith::MulFOp::create(b, ofColumns(one), ofRow(one)));
    sum = arith::MulFOp::create(b, y, ofRow(zero));
  }
  vector::StoreOp::create(b, sum, sums, ValueRange{thread, row, column});
}

void CodedPanels::multiplyInRegisters(ImplicitLocOpBuilder &b, Value first,
                                      int64_t width, ArrayRef<Value> rows) {
  const TiledTarget &target = coded.target;
  VectorType type = coded.sumType(b);
  for (int64_t sub = 0; sub < width;
       sub += target.tiles.vectors * target.lanes) {
    ContractionTile tile;
    tile.rows = rows.size();
    tile.vectors = llvm::divideCeil(
        std::min(width - sub, target.tiles.vectors * target.lanes),
        target.lanes);
    tile.vectorType = type;
    tile.depth = indexConstant(b, units);
    auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) -> Value {
      if (!coded.bytes)
        return memref::LoadOp::create(ib, coded.x, ValueRange{rows[r], k});
      Value at = arith::MulIOp::create(ib, k, indexConstant(ib, 4));
      return broadcastFour(ib, type, coded.rounded, {rows[r], at});
    };
    auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) -> Value {
      return vector::LoadOp::create(
          ib, type, panel,
          ValueRange{thread, k, indexConstant(ib, sub + v * target.lanes)});
    };
    auto multiplyFours = [&](ImplicitLocOpBuilder &ib, Value l, Value r,
                             Value sum) {
      return multiplyBytes(ib, target, r, l, sum);
    };
    tile.lhs = lhs;
    tile.rhs = rhs;
    if (coded.bytes)
      tile.multiply = multiplyFours;
    bool inGroups = coded.bytes && coded.groups.size;
    SmallVector<Value> result = inGroups
                                    ? multiplyGroups(b, rows, sub, tile.vectors)
                                    : emitContractionTile(b, tile);
    for (int64_t r = 0; r < tile.rows; ++r)
      for (int64_t v = 0; v < tile.vectors; ++v)
        storeSum(b, result[r * tile.vectors + v], rows[r],
                 arith::SubIOp::create(b, rows[r], first),
                 indexConstant(b, sub + v * target.lanes));
  }
}

/// Rows [x, x + 32) of rounded x by columns [column, column + 16 tiles) of the
/// panel, to rows [row, row + 32) of `tileSums`. Past the rows and past k there
/// are numbers: sums of the former are not read, k is padded with zeros.
void CodedPanels::multiplyTiles(ImplicitLocOpBuilder &b, Value x, Value row,
                                int64_t column, int64_t tiles) {
  int64_t padded = cast<MemRefType>(coded.rounded.getType()).getDimSize(1),
          panelRows = cast<MemRefType>(panel.getType()).getDimSize(1);
  Value panelStride = amx::strideOf(b, 4 * kPanelColumns),
        roundedStride = amx::strideOf(b, padded);
  auto at = [&](ImplicitLocOpBuilder &ib, Value line, int64_t width,
                Value within) -> Value {
    return arith::AddIOp::create(
        ib, arith::MulIOp::create(ib, line, indexConstant(ib, width)), within);
  };
  SmallVector<Value> init;
  for (int64_t i = 0; i < 2 * tiles; ++i)
    init.push_back(amx::loadTile(
        b, amx::address(b, zeros, indexConstant(b, i * amx::kRowBytes)),
        amx::strideOf(b, 0)));
  Value panelFirst =
      arith::MulIOp::create(b, thread, indexConstant(b, panelRows));
  auto steps = scf::ForOp::create(
      b, indexConstant(b, 0),
      indexConstant(b, llvm::divideCeil(coded.depth, amx::kRowBytes)),
      indexConstant(b, 1), init,
      [&](OpBuilder &o, Location l, Value step, ValueRange before) {
        ImplicitLocOpBuilder ib(l, o);
        SmallVector<Value> lhs, rhs, next;
        Value line = at(ib, step, amx::kTileRows, panelFirst),
              k = arith::MulIOp::create(ib, step,
                                        indexConstant(ib, amx::kRowBytes));
        for (int64_t c = 0; c < tiles; ++c) {
          Value element =
              at(ib, line, kPanelColumns, indexConstant(ib, column + 16 * c));
          rhs.push_back(
              amx::loadTile(ib, amx::address(ib, panel, element), panelStride));
        }
        for (int64_t r = 0; r < 2; ++r) {
          Value element = at(ib, plus(ib, x, r * amx::kTileRows), padded, k);
          lhs.push_back(amx::loadTile(
              ib, amx::address(ib, coded.rounded, element), roundedStride));
        }
        for (int64_t i = 0; i < 2 * tiles; ++i)
          next.push_back(amx::multiplyBytes(ib, before[i], lhs[i / tiles],
                                            rhs[i % tiles],
                                            amx::Signs::SignedUnsigned));
        scf::YieldOp::create(ib, next);
      });
  Value sumFirst =
      at(b, thread, cast<MemRefType>(tileSums.getType()).getDimSize(1), row);
  for (int64_t i = 0; i < 2 * tiles; ++i) {
    Value element =
        at(b, plus(b, sumFirst, i / tiles * amx::kTileRows), kPanelColumns,
           indexConstant(b, column + i % tiles * 16));
    amx::storeTile(b, steps.getResult(i), amx::address(b, tileSums, element),
                   panelStride);
  }
}

/// Squares of `from`, [threads][..][..], to their transposed places in `to`;
/// `rows` and `columns` are of `from`.
void CodedPanels::transposeSums(ImplicitLocOpBuilder &b, Value from, Value to,
                                Value rows, Value columns) {
  int64_t lanes = coded.target.lanes;
  auto floats = VectorType::get({lanes}, b.getF32Type());
  loop(b, indexConstant(b, 0), rows, lanes,
       [&](ImplicitLocOpBuilder &rb, Value row) {
         loop(rb, indexConstant(rb, 0), columns, lanes,
              [&](ImplicitLocOpBuilder &ib, Value column) {
                SmallVector<Value> square;
                for (int64_t i = 0; i < lanes; ++i)
                  square.push_back(vector::LoadOp::create(
                      ib, floats, from,
                      ValueRange{thread, plus(ib, row, i), column}));
                emitTranspose(ib, square);
                for (int64_t i = 0; i < lanes; ++i)
                  vector::StoreOp::create(
                      ib, square[i], to,
                      ValueRange{thread, plus(ib, column, i), row});
              });
       });
}

/// Entries of rows [n, n + width) of the weight by vectors of rows of x. Rows
/// past `count` have room, and numbers that are not read.
void CodedPanels::addSparse(ImplicitLocOpBuilder &b, Value n, int64_t width,
                            Value first, Value count) {
  int64_t lanes = coded.target.lanes;
  auto floats = VectorType::get({lanes}, b.getF32Type());
  Value all = indexConstant(b, kPanelColumns);
  transposeSums(b, sums, columnSums, count, all);
  loop(b, indexConstant(b, 0), indexConstant(b, width), 1,
       [&](ImplicitLocOpBuilder &cb, Value column) {
         Value weightRow = arith::AddIOp::create(cb, n, column);
         Value begin, end;
         std::tie(begin, end) = coded.entriesOf(cb, weightRow);
         loop(cb, indexConstant(cb, 0), count, kSparseVectors * lanes,
              [&](ImplicitLocOpBuilder &rb, Value row) {
                SmallVector<Value> init;
                for (int64_t i = 0; i < kSparseVectors; ++i)
                  init.push_back(vector::LoadOp::create(
                      rb, floats, columnSums,
                      ValueRange{thread, column, plus(rb, row, i * lanes)}));
                Value x = arith::AddIOp::create(rb, first, row);
                auto entries = scf::ForOp::create(
                    rb, begin, end, indexConstant(rb, 1), init,
                    [&](OpBuilder &o, Location l, Value e, ValueRange before) {
                      ImplicitLocOpBuilder ib(l, o);
                      auto [k, value] = coded.entryAt(ib, e);
                      Value factor =
                          vector::BroadcastOp::create(ib, floats, value);
                      SmallVector<Value> next;
                      for (int64_t i = 0; i < kSparseVectors; ++i)
                        next.push_back(vector::FMAOp::create(
                            ib, factor,
                            vector::LoadOp::create(
                                ib, floats, coded.transposed,
                                ValueRange{k, plus(ib, x, i * lanes)}),
                            before[i]));
                      scf::YieldOp::create(ib, next);
                    });
                for (int64_t i = 0; i < kSparseVectors; ++i)
                  vector::StoreOp::create(
                      rb, entries.getResult(i), columnSums,
                      ValueRange{thread, column, plus(rb, row, i * lanes)});
              });
       });
  transposeSums(
      b, columnSums, sums, all,
      arith::MulIOp::create(b, ceilDiv(b, count, indexConstant(b, lanes)),
                            indexConstant(b, lanes)));
}

//===-- x with rows and columns exchanged
//--------------------------------------------------------===//

void CodedRows::transposeInput(ImplicitLocOpBuilder &b, StringRef name,
                               Value isFew) {
  if (depth < target.lanes)
    return;
  int64_t lanes = target.lanes;
  auto floats = VectorType::get({lanes}, b.getF32Type());
  Value rows = dimOf(b, x, 0), none = indexConstant(b, 0);
  Value blocks = ceilDiv(b, rows, indexConstant(b, CodedPanels::kBlockRows));
  Value room = arith::MulIOp::create(b, blocks,
                                     indexConstant(b, CodedPanels::kBlockRows));
  transposed = memref::AllocOp::create(
      b, MemRefType::get({depth, ShapedType::kDynamic}, b.getF32Type()),
      ValueRange(arith::SelectOp::create(b, isFew, none, room)));
  Value squares = indexConstant(b, llvm::divideCeil(depth, lanes));
  constexpr int64_t kElementsPerThread = 1 << 15;
  ParallelOp::create(
      b, name, arith::SelectOp::create(b, isFew, none, squares),
      grainFor(b, arith::MulIOp::create(b, rows, indexConstant(b, lanes)),
               kElementsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder pb(l, o);
        Value last = plus(pb, rows, -1);
        loop(pb, range[0], range[1], 1,
             [&](ImplicitLocOpBuilder &kb, Value square) {
               // The last one begins earlier where k is no multiple.
               Value k = arith::MinUIOp::create(
                   kb,
                   arith::MulIOp::create(kb, square, indexConstant(kb, lanes)),
                   indexConstant(kb, depth - lanes));
               loop(
                   kb, indexConstant(kb, 0), rows, lanes,
                   [&](ImplicitLocOpBuilder &ib, Value row) {
                     SmallVector<Value> v;
                     for (int64_t i = 0; i < lanes; ++i) {
                       Value from =
                           arith::MinUIOp::create(ib, plus(ib, row, i), last);
                       v.push_back(vector::LoadOp::create(ib, floats, x,
                                                          ValueRange{from, k}));
                     }
                     emitTranspose(ib, v);
                     for (int64_t i = 0; i < lanes; ++i)
                       vector::StoreOp::create(ib, v[i], transposed,
                                               ValueRange{plus(ib, k, i), row});
                   });
             });
      });
}
