//===-- AmxIntAttention.cpp - attention of bytes on AMX tiles ------------------===//
//
// Rows of tiles are queries, 32 at a time. Packed keys and values are tiles as they
// are: past the end of a head the queries' tiles hold zeros, so that what follows in memory may
// be multiplied by them; probabilities of keys that do not exist are 0.
//
// What was only just written is slow to load as a tile or from one, so that between
// the steps of a block are those of its neighbours, by turns in two places.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/AmxTiles.h"
#include "codegen/host/IntAttention.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kRows = 32; // of two tiles
constexpr int64_t kStep = 64; // bytes of a row of a tile

struct Emitter : IntAttentionEmitter {
  int64_t depthSteps;
  Value packedQ; // i8 [threads][2 * kRows][64 * depthSteps]
  Value waste;   // i32 [threads][16][16]
  Value zeros;

  Emitter(IntAttentionOp op, const TiledTarget &target) : IntAttentionEmitter(op, target, kRows), depthSteps(llvm::divideCeil(size, kStep)) {
    weightRows = 2 * kRows;
    startCopies = 2; // LLVM makes one of equal loads, and copies tiles through memory
    productsPerThread = 1 << 21;
  }

  Value taskRows(Builder &b) override {
    Value rows = indexConstant(b, kRows), heads = arith::MulIOp::create(b, dimOf(b, out, 0), keyHeads);
    return arith::MulIOp::create(b, amx::blocksPerTask(b, ceilDiv(b, queries, rows), heads), rows);
  }

  void allocate(Builder &b) override {
    packedQ = scratch(b, {2 * kRows, kStep * depthSteps}, b.getI8Type(), {});
    waste = scratch(b, {amx::kTileRows, lanes}, b.getI32Type(), {});
  }
  void prepare(Builder &b) override { zeros = amx::zeroLines(b); }

  /// Of [thread][row][column].
  Value address(Builder &b, Value memref, Value row, Value column) {
    Value at = add(b, arith::MulIOp::create(b, thread, dimOf(b, memref, 1)), row);
    return amx::address(b, memref, add(b, arith::MulIOp::create(b, at, dimOf(b, memref, 2)), column));
  }
  Value strideOf(Builder &b, Value memref) {
    int64_t bytes = cast<MemRefType>(memref.getType()).getElementTypeBitWidth() / 8;
    return arith::IndexCastOp::create(b, b.getI64Type(), times(b, dimOf(b, memref, 2), bytes));
  }
  Value load(Builder &b, Value memref, Value row, Value column) {
    return amx::loadTile(b, address(b, memref, row, column), strideOf(b, memref));
  }

  /// A block, and where its queries and weights lie: from row `row` on.
  struct Block {
    Value begin, end, head, row;

    static Block of(ValueRange v) { return {v[0], v[1], v[2], v[3]}; }
    SmallVector<Value> values() const { return {begin, end, head, row}; }
  };

  void attend(Builder &b, Value first, Value end) override {
    Value rows = indexConstant(b, kRows), blocks = ceilDiv(b, sub(b, end, first), rows), count = times(b, blocks, group);
    auto block = [&](Builder &ib, Value i, Value row) {
      Value begin = add(ib, first, times(ib, arith::RemUIOp::create(ib, i, blocks), kRows));
      Value head = add(ib, times(ib, keyHead, group), arith::DivUIOp::create(ib, i, blocks));
      return Block{begin, arith::MinUIOp::create(ib, end, plus(ib, begin, kRows)), head, row};
    };
    if (!startsPerQuery() && group == 1)
      fillStarts(b, first, end, keyHead);
    packQueries(b, block(b, zero, zero));
    // Before the first there is one without queries.
    Block none = {first, first, keyHead, rows};
    auto all = scf::ForOp::create(b, zero, count, one, none.values(), [&](OpBuilder &o, Location l, Value i, ValueRange carried) {
      Builder ib(l, o);
      Block previous = Block::of(carried), here = block(ib, i, sub(ib, rows, previous.row));
      if (startsPerQuery() || group > 1)
        fillStarts(ib, here.begin, here.end, here.head);
      emitScores(ib, here);
      emitValues(ib, previous);
      packQueries(ib, block(ib, arith::MinUIOp::create(ib, plus(ib, i, 1), plus(ib, count, -1)), previous.row));
      amx::loopAwake(ib, zero, sub(ib, here.end, here.begin), kTogether, zeros, address(ib, waste, zero, zero),
                     [&](Builder &sb, Value i) { emitSoftmaxRows(sb, i, add(sb, here.row, i)); });
      writeResults(ib, previous.begin, previous.end, previous.head, previous.row);
      scf::YieldOp::create(ib, here.values());
    });
    Block last = Block::of(all.getResults());
    emitValues(b, last);
    writeResults(b, last.begin, last.end, last.head, last.row);
  }

  /// Queries past the last one repeat it.
  void packQueries(Builder &b, const Block &block) {
    auto line = VectorType::get({kStep}, b.getI8Type());
    Value last = plus(b, block.end, -1), nothing = arith::ConstantOp::create(b, b.getZeroAttr(line));
    loop(b, zero, indexConstant(b, kRows), 1, [&](Builder &rb, Value r) {
      Value query = arith::MinUIOp::create(rb, add(rb, block.begin, r), last);
      for (int64_t d = 0; d < size; d += kStep) {
        SmallVector<Value> at = {batch, query, block.head, indexConstant(rb, d)};
        Value x;
        if (d + kStep <= size) {
          x = vector::LoadOp::create(rb, line, q, at);
        } else {
          Value mask = vector::CreateMaskOp::create(rb, VectorType::get({kStep}, rb.getI1Type()), ValueRange(indexConstant(rb, size - d)));
          x = vector::MaskedLoadOp::create(rb, line, q, at, mask, nothing);
        }
        vector::StoreOp::create(rb, x, packedQ, ValueRange{thread, add(rb, block.row, r), indexConstant(rb, d)});
      }
    });
  }

  /// The stores of a step are between the products of the next one, where they cost nothing.
  void emitScores(Builder &b, const Block &block) {
    Value step = indexConstant(b, 2 * lanes);
    auto queryTile = [&](Builder &ib, int64_t i, Value d) { return load(ib, packedQ, plus(ib, block.row, i * lanes), times(ib, d, kStep)); };
    Value held[2]; // where the head is one step deep
    for (int64_t i = 0; depthSteps == 1 && i < 2; ++i)
      held[i] = queryTile(b, i, zero);
    auto store = [&](Builder &ib, Value sum, int64_t i, Value t) {
      amx::storeTile(ib, sum, address(ib, scores, indexConstant(ib, i / 2 * lanes), plus(ib, t, i % 2 * lanes)), strideOf(ib, scores));
    };
    auto keyStep = [&](Builder &ib, Value t, ValueRange before) {
      Value keyRow = times(ib, arith::DivUIOp::create(ib, t, indexConstant(ib, lanes)), size / 4);
      auto multiply = [&](Builder &kb, Value d, function_ref<Value(int64_t)> sum) {
        Value lhs[2], rhs[2];
        for (int64_t i = 0; i < 2; ++i) {
          rhs[i] = load(kb, packedK, add(kb, plus(kb, keyRow, i * (size / 4)), times(kb, d, kStep / 4)), zero);
          lhs[i] = held[0] ? held[i] : queryTile(kb, i, d);
        }
        amx::Signs signs = op.getKUnsigned() ? amx::Signs::SignedUnsigned : amx::Signs::SignedSigned;
        SmallVector<Value> next;
        for (int64_t i = 0; i < 4; ++i)
          next.push_back(amx::multiplyBytes(kb, sum(i), lhs[i / 2], rhs[i % 2], signs));
        return next;
      };
      SmallVector<Value> sums = multiply(ib, zero, [&](int64_t i) {
        if (!before.empty())
          store(ib, before[i], i, sub(ib, t, step));
        bool byRow = startsPerQuery();
        Value from = address(ib, start, indexConstant(ib, byRow ? i / 2 * lanes : i / 2), plus(ib, t, i % 2 * lanes));
        return amx::loadTile(ib, from, byRow ? strideOf(ib, start) : amx::strideOf(ib, 0));
      });
      if (depthSteps == 1)
        return sums;
      auto depth = scf::ForOp::create(ib, one, indexConstant(ib, depthSteps), one, sums, [&](OpBuilder &o, Location l, Value d, ValueRange acc) {
        Builder kb(l, o);
        scf::YieldOp::create(kb, multiply(kb, d, [&](int64_t i) { return acc[i]; }));
      });
      return SmallVector<Value>(depth.getResults());
    };
    auto all = scf::ForOp::create(b, step, columns, step, keyStep(b, zero, {}), [&](OpBuilder &o, Location l, Value t, ValueRange before) {
      Builder ib(l, o);
      scf::YieldOp::create(ib, keyStep(ib, t, before));
    });
    for (int64_t i = 0; i < 4; ++i)
      store(b, all.getResult(i), i, sub(b, columns, step));
  }

  void emitValues(Builder &b, const Block &block) {
    Value steps = arith::DivUIOp::create(b, columns, indexConstant(b, kStep));
    for (int64_t n0 = 0; n0 < resultVectors; n0 += 2) {
      int64_t width = std::min<int64_t>(2, resultVectors - n0);
      SmallVector<Value> init;
      for (int64_t i = 0; i < 2 * width; ++i)
        init.push_back(amx::loadTile(b, amx::address(b, zeros, indexConstant(b, i * amx::kRowBytes)), amx::strideOf(b, 0)));
      auto sum = scf::ForOp::create(b, zero, steps, one, init, [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
        Builder ib(l, o);
        SmallVector<Value> lhs, rhs, next;
        for (int64_t n = 0; n < width; ++n)
          rhs.push_back(load(ib, packedV, times(ib, step, amx::kTileRows), indexConstant(ib, (n0 + n) * amx::kRowBytes)));
        for (int64_t m = 0; m < 2; ++m)
          lhs.push_back(load(ib, weights, plus(ib, block.row, m * amx::kTileRows), times(ib, step, kStep)));
        for (int64_t i = 0; i < 2 * width; ++i)
          next.push_back(amx::multiplyBytes(ib, acc[i], lhs[i / width], rhs[i % width]));
        scf::YieldOp::create(ib, next);
      });
      for (int64_t i = 0; i < 2 * width; ++i)
        amx::storeTile(b, sum.getResult(i),
                       address(b, results, indexConstant(b, i / width * amx::kTileRows), indexConstant(b, (n0 + i % width) * lanes)),
                       strideOf(b, results));
    }
  }
};

} // namespace

void sq::emitAmxIntAttention(ImplicitLocOpBuilder &b, IntAttentionOp op, const TiledTarget &target) { Emitter(op, target).emit(b); }
