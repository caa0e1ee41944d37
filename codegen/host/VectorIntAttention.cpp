//===-- VectorIntAttention.cpp - attention of bytes, products on vectors -------===//
//
// K is the unsigned factor of its product: what an offset of K adds is the same for
// all keys of a query, and softmax sees differences only.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/IntAttention.h"
#include "dialects/sq/IR/IntegerOps.h"

using namespace mlir;
using namespace sq;

namespace {

/// Queries of a task: enough that packing K and V for them does not count.
constexpr int64_t kTaskRows = 64;

struct Emitter : IntAttentionEmitter {
  int64_t keyVectors, rowsOfTile;

  static int64_t rowsOf(const TiledTarget &target) { return target.vnni ? 6 : 4; }

  Emitter(IntAttentionOp op, const TiledTarget &target) : IntAttentionEmitter(op, target, 2 * rowsOf(target)) {
    // 8 of 16 or 24 of 32 registers for sums; without VNNI operands and products take several.
    keyVectors = lanes == 16 ? 4 : 2;
    rowsOfTile = rowsOf(target);
  }

  Value taskRows(Builder &b) override { return indexConstant(b, kTaskRows); }

  /// Four bytes of `memref` at `index`, in every lane.
  Value broadcastQuad(Builder &b, Value memref, ValueRange index) {
    Value four = vector::LoadOp::create(b, VectorType::get({4}, b.getI8Type()), memref, index);
    Value quad = vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()), four);
    return vector::BroadcastOp::create(b, sums, vector::ExtractOp::create(b, quad, 0));
  }

  void attend(Builder &b, Value first, Value end) override {
    loop(b, zero, indexConstant(b, group), 1, [&](Builder &gb, Value member) {
      Value head = add(gb, times(gb, keyHead, group), member);
      if (!startsPerQuery())
        fillStarts(gb, first, end, head);
      loop(gb, first, end, blockRows, [&](Builder &rb, Value begin) {
        Value stop = arith::MinUIOp::create(rb, end, plus(rb, begin, blockRows));
        if (startsPerQuery())
          fillStarts(rb, begin, stop, head);
        emitScores(rb, begin, stop, head);
        emitSoftmax(rb, zero, zero, sub(rb, stop, begin));
        emitValues(rb, begin, stop);
        writeResults(rb, begin, stop, head, zero);
      });
    });
  }

  void emitScores(Builder &b, Value begin, Value end, Value head) {
    Value tiles = arith::DivUIOp::create(b, columns, indexConstant(b, keyVectors * lanes));
    emitRowTiles(b, begin, end, rowsOfTile, [&](Builder &tb, ArrayRef<Value> row) {
      loop(tb, zero, tiles, 1, [&](Builder &kb, Value tile) {
        Value first = times(kb, tile, keyVectors * (size / 4)), column = times(kb, tile, keyVectors * lanes);
        auto lhs = [&](Builder &ib, int64_t r, Value d) { return broadcastQuad(ib, q, {batch, row[r], head, times(ib, d, 4)}); };
        auto rhs = [&](Builder &ib, Value d, int64_t vector) -> Value {
          return vector::LoadOp::create(ib, quads, packedK, ValueRange{thread, add(ib, plus(ib, first, vector * (size / 4)), d), zero});
        };
        auto multiply = [&](Builder &ib, Value l, Value r, Value sum) { return multiplyBytes(ib, target, r, l, sum); };
        SmallVector<Value> init, local;
        for (Value r : row) {
          local.push_back(sub(kb, r, begin));
          for (int64_t vector = 0; vector < keyVectors; ++vector)
            init.push_back(vector::LoadOp::create(
                kb, sums, start, ValueRange{thread, startsPerQuery() ? local.back() : zero, plus(kb, column, vector * lanes)}));
        }
        ContractionTile product{int64_t(row.size()), keyVectors, sums, indexConstant(kb, size / 4), lhs, rhs};
        product.init = init;
        product.multiply = multiply;
        SmallVector<Value> all = emitContractionTile(kb, product);
        for (size_t r = 0; r < row.size(); ++r)
          for (int64_t vector = 0; vector < keyVectors; ++vector)
            vector::StoreOp::create(kb, all[r * keyVectors + vector], scores,
                                    ValueRange{thread, local[r], plus(kb, column, vector * lanes)});
      });
    });
  }

  void emitValues(Builder &b, Value begin, Value end) {
    Value depth = ceilDiv(b, keys, indexConstant(b, 4));
    emitRowTiles(b, begin, end, rowsOfTile, [&](Builder &tb, ArrayRef<Value> row) {
      for (int64_t first = 0; first < resultVectors; first += keyVectors) {
        int64_t vectors = std::min(keyVectors, resultVectors - first);
        SmallVector<Value> local;
        for (Value r : row)
          local.push_back(sub(tb, r, begin));
        auto lhs = [&](Builder &ib, int64_t r, Value t) { return broadcastQuad(ib, weights, {thread, local[r], times(ib, t, 4)}); };
        auto rhs = [&](Builder &ib, Value t, int64_t vector) -> Value {
          return vector::LoadOp::create(ib, quads, packedV, ValueRange{thread, t, indexConstant(ib, (first + vector) * 4 * lanes)});
        };
        auto multiply = [&](Builder &ib, Value l, Value r, Value sum) { return multiplyBytes(ib, target, l, r, sum); };
        ContractionTile product{int64_t(row.size()), vectors, sums, depth, lhs, rhs};
        product.multiply = multiply;
        SmallVector<Value> all = emitContractionTile(tb, product);
        for (size_t r = 0; r < row.size(); ++r)
          for (int64_t vector = 0; vector < vectors; ++vector)
            vector::StoreOp::create(tb, all[r * vectors + vector], results, ValueRange{thread, local[r], indexConstant(tb, (first + vector) * lanes)});
      }
    });
  }
};

} // namespace

LogicalResult sq::lowerIntAttention(RewriterBase &rewriter, IntAttentionOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  int64_t size = cast<MemRefType>(op.getQ().getType()).getDimSize(3), shift = op.getExpShift();
  if (size % 4 != 0 || size > kMostHeadElements || shift > kMostExpShift)
    return op.emitOpError("has no kernel for heads of ") << size << " elements and an exp_shift of " << shift << "; a multiple of 4, at most "
                                                         << kMostHeadElements << ", and at most " << kMostExpShift;
  if (target.amx)
    emitAmxIntAttention(b, op, target);
  else
    Emitter(op, target).emit(b);
  rewriter.eraseOp(op);
  return success();
}
