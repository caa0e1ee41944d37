//===-- VectorIntAttention.cpp - attention of bytes, products on vectors
//-------===//
//
// K is the unsigned factor of its product: what an offset of K adds is the same
// for all keys of a query, and softmax sees differences only.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/IntAttention.h"
#include "dialects/sq/IR/IntegerOps.h"

using namespace mlir;
using namespace sq;

namespace {

/// The rows of `x`, which are equally long, element by element: a tree of
/// interleavings, as there is one for pairs.
static Value interleaved(ImplicitLocOpBuilder &b, ArrayRef<Value> x) {
  if (x.size() == 1)
    return x.front();
  SmallVector<Value> even, odd;
  for (size_t i = 0; i < x.size(); i += 2) {
    even.push_back(x[i]);
    odd.push_back(x[i + 1]);
  }
  Value first = interleaved(b, even), second = interleaved(b, odd);
  int64_t n = cast<VectorType>(first.getType()).getNumElements();
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < n; ++i)
    order.append({i, n + i});
  return vector::ShuffleOp::create(b, first, second, order);
}

/// The most of 2, 4, 8, ... `limit` bytes or words that divides `count`.
static int64_t widestPart(int64_t count, int64_t limit) {
  int64_t part = 1;
  while (count % (2 * part) == 0 && part < limit)
    part *= 2;
  return part;
}

/// Rows of softmax at once: what waits in one is done in others.
constexpr int64_t kTogether = 4;
/// Queries of a task: enough that packing K and V for them does not count.
constexpr int64_t kTaskRows = 64;

/// Keys and values of a task are packed once, then blocks of queries go through
/// scores, softmax, the sum of values and its division. Lanes are keys in the
/// first two, elements of a head in the last two.
struct Emitter : IntAttentionEmitter {
  int64_t keyVectors, rowsOfTile;
  int64_t blockRows;     // queries of a block
  int64_t resultVectors; // of a head
  // [threads][..] each.
  Value packedK; // i8 [columns / lanes * size / 4][4 * lanes]: of each vector
                 // of keys four bytes after four
  Value packedV; // i8 [columns / 4][4 * lanes * resultVectors]: of four keys
                 // element by element
  Value start; // i32 [blockRows, or one where all queries have the same][pitch]
  Value scores; // i32 [blockRows][pitch]; columns are not a power of two apart,
                // for the sake of L1
  Value weights;  // i8 [blockRows][pitch]
  Value results;  // i32 [blockRows][lanes * resultVectors]
  Value divisors; // i32 [blockRows][2]: reciprocal and shift of ContextFactor

  static int64_t rowsOf(const TiledTarget &target) {
    return target.vnni ? 6 : 4;
  }

  Emitter(IntAttentionOp op, const TiledTarget &target)
      : IntAttentionEmitter(op, target), blockRows(2 * rowsOf(target)) {
    // 8 of 16 or 24 of 32 registers for sums; without VNNI operands and
    // products take several.
    keyVectors = lanes == 16 ? 4 : 2;
    rowsOfTile = rowsOf(target);
    resultVectors = llvm::divideCeil(size, lanes);
  }

  void allocate(Builder &b) override {
    Type i8 = b.getI8Type(), i32 = b.getI32Type();
    constexpr int64_t dynamic = ShapedType::kDynamic;
    Value pitch = plus(b, columns, lanes), bytePitch = plus(b, columns, 64);
    Value keyRows =
        times(b, arith::DivUIOp::create(b, columns, indexConstant(b, lanes)),
              size / 4);
    packedK = scratch(b, {dynamic, 4 * lanes}, i8, keyRows);
    packedV =
        scratch(b, {dynamic, 4 * lanes * resultVectors}, i8,
                Value(arith::DivUIOp::create(b, columns, indexConstant(b, 4))));
    start = scratch(b, {startsPerQuery() ? blockRows : 1, dynamic}, i32, pitch);
    scores = scratch(b, {blockRows, dynamic}, i32, pitch);
    weights = scratch(b, {blockRows, dynamic}, i8, bytePitch);
    results = scratch(b, {blockRows, resultVectors * lanes}, i32, {});
    divisors = scratch(b, {blockRows, 2}, i32, {});
  }

  Value taskRows(Builder &b) override { return indexConstant(b, kTaskRows); }

  void attend(Builder &b, Value first, Value end) override {
    packKeys(b);
    packValues(b);
    loop(b, zero, indexConstant(b, group), 1, [&](Builder &gb, Value member) {
      Value head = add(gb, times(gb, keyHead, group), member);
      if (!startsPerQuery())
        fillStart(gb, start, zero, head, zero);
      loop(gb, first, end, blockRows, [&](Builder &rb, Value begin) {
        Value stop =
            arith::MinUIOp::create(rb, end, plus(rb, begin, blockRows));
        if (startsPerQuery())
          loop(rb, zero, sub(rb, stop, begin), 1, [&](Builder &ib, Value i) {
            fillStart(ib, start, i, head, add(ib, begin, i));
          });
        emitScores(rb, begin, stop, head);
        // Rows past the last, which a block has memory for, are computed from
        // whatever is there.
        loop(rb, zero, sub(rb, stop, begin), kTogether,
             [&](Builder &ib, Value i) { emitSoftmaxRows(ib, i); });
        emitValues(rb, begin, stop);
        loop(rb, zero, sub(rb, stop, begin), 1, [&](Builder &ib, Value i) {
          writeResult(ib, i, add(ib, begin, i), head);
        });
      });
    });
  }

  void emitScores(Builder &b, Value begin, Value end, Value head) {
    Value tiles = arith::DivUIOp::create(b, columns,
                                         indexConstant(b, keyVectors * lanes));
    emitRowTiles(
        b, begin, end, rowsOfTile, [&](Builder &tb, ArrayRef<Value> row) {
          loop(tb, zero, tiles, 1, [&](Builder &kb, Value tile) {
            Value first = times(kb, tile, keyVectors * (size / 4)),
                  column = times(kb, tile, keyVectors * lanes);
            auto lhs = [&](Builder &ib, int64_t r, Value d) {
              return broadcastFour(ib, sums, q,
                                   {batch, row[r], head, times(ib, d, 4)});
            };
            auto rhs = [&](Builder &ib, Value d, int64_t vector) -> Value {
              return vector::LoadOp::create(
                  ib, quads, packedK,
                  ValueRange{thread,
                             add(ib, plus(ib, first, vector * (size / 4)), d),
                             zero});
            };
            auto multiply = [&](Builder &ib, Value l, Value r, Value sum) {
              return multiplyBytes(ib, target, r, l, sum);
            };
            SmallVector<Value> init, local;
            for (Value r : row) {
              local.push_back(sub(kb, r, begin));
              for (int64_t vector = 0; vector < keyVectors; ++vector)
                init.push_back(vector::LoadOp::create(
                    kb, sums, start,
                    ValueRange{thread, startsPerQuery() ? local.back() : zero,
                               plus(kb, column, vector * lanes)}));
            }
            ContractionTile product{
                int64_t(row.size()),         keyVectors, sums,
                indexConstant(kb, size / 4), lhs,        rhs};
            product.init = init;
            product.multiply = multiply;
            SmallVector<Value> all = emitContractionTile(kb, product);
            for (size_t r = 0; r < row.size(); ++r)
              for (int64_t vector = 0; vector < keyVectors; ++vector)
                vector::StoreOp::create(
                    kb, all[r * keyVectors + vector], scores,
                    ValueRange{thread, local[r],
                               plus(kb, column, vector * lanes)});
          });
        });
  }

  void emitValues(Builder &b, Value begin, Value end) {
    Value depth = ceilDiv(b, keys, indexConstant(b, 4));
    emitRowTiles(
        b, begin, end, rowsOfTile, [&](Builder &tb, ArrayRef<Value> row) {
          for (int64_t first = 0; first < resultVectors; first += keyVectors) {
            int64_t vectors = std::min(keyVectors, resultVectors - first);
            SmallVector<Value> local;
            for (Value r : row)
              local.push_back(sub(tb, r, begin));
            auto lhs = [&](Builder &ib, int64_t r, Value t) {
              return broadcastFour(ib, sums, weights,
                                   {thread, local[r], times(ib, t, 4)});
            };
            auto rhs = [&](Builder &ib, Value t, int64_t vector) -> Value {
              return vector::LoadOp::create(
                  ib, quads, packedV,
                  ValueRange{thread, t,
                             indexConstant(ib, (first + vector) * 4 * lanes)});
            };
            auto multiply = [&](Builder &ib, Value l, Value r, Value sum) {
              return multiplyBytes(ib, target, l, r, sum);
            };
            ContractionTile product{
                int64_t(row.size()), vectors, sums, depth, lhs, rhs};
            product.multiply = multiply;
            SmallVector<Value> all = emitContractionTile(tb, product);
            for (size_t r = 0; r < row.size(); ++r)
              for (int64_t vector = 0; vector < vectors; ++vector)
                vector::StoreOp::create(
                    tb, all[r * vectors + vector], results,
                    ValueRange{thread, local[r],
                               indexConstant(tb, (first + vector) * lanes)});
          }
        });
  }

  /// As many keys as there are lanes: four bytes of each side by side, then the
  /// next four. Of keys that do not exist the last one's: their scores begin
  /// with none.
  void packKeys(Builder &b) {
    int64_t part = widestPart(size / 4, 8); // words
    auto row = VectorType::get({4 * part}, b.getI8Type()),
         words = VectorType::get({part}, b.getI32Type());
    Value offset = arith::ConstantOp::create(
        b, DenseElementsAttr::get(row, b.getI8IntegerAttr(-128)));
    Value last = sub(b, keys, one);
    loop(b, zero, ceilDiv(b, keys, indexConstant(b, lanes)), 1,
         [&](Builder &kb, Value tile) {
           Value t = times(kb, tile, lanes), first = times(kb, tile, size / 4);
           for (int64_t d = 0; d < size; d += 4 * part) {
             SmallVector<Value> rows;
             for (int64_t i = 0; i < lanes; ++i) {
               Value x = vector::LoadOp::create(
                   kb, row, k,
                   ValueRange{batch,
                              arith::MinUIOp::create(kb, plus(kb, t, i), last),
                              keyHead, indexConstant(kb, d)});
               if (!op.getKUnsigned())
                 x = arith::XOrIOp::create(kb, x, offset);
               rows.push_back(vector::BitCastOp::create(kb, words, x));
             }
             Value all = vector::BitCastOp::create(
                 kb, VectorType::get({4 * part * lanes}, kb.getI8Type()),
                 interleaved(kb, rows));
             for (int64_t w = 0; w < part; ++w) {
               SmallVector<int64_t> own = llvm::to_vector(
                   llvm::seq(4 * lanes * w, 4 * lanes * (w + 1)));
               vector::StoreOp::create(
                   kb, vector::ShuffleOp::create(kb, all, all, own), packedK,
                   ValueRange{thread, plus(kb, first, d / 4 + w), zero});
             }
           }
         });
  }

  /// Element by element, the bytes of four keys side by side. Of keys that do
  /// not exist the last one's: their weight is 0.
  void packValues(Builder &b) {
    int64_t chunk = widestPart(size, 16);
    auto part = VectorType::get({chunk}, b.getI8Type());
    Value last = sub(b, keys, one);
    loop(b, zero, ceilDiv(b, keys, indexConstant(b, 4)), 1,
         [&](Builder &kb, Value four) {
           Value t = times(kb, four, 4);
           for (int64_t d = 0; d < size; d += chunk) {
             SmallVector<Value> rows;
             for (int64_t i = 0; i < 4; ++i)
               rows.push_back(vector::LoadOp::create(
                   kb, part, v,
                   ValueRange{batch,
                              arith::MinUIOp::create(kb, plus(kb, t, i), last),
                              keyHead, indexConstant(kb, d)}));
             Value all = interleaved(kb, rows);
             vector::StoreOp::create(
                 kb, all, packedV,
                 ValueRange{thread, four, indexConstant(kb, 4 * d)});
           }
         });
  }

  /// Group 4 L + g holds part L of vector g.
  Value inOrder(Builder &b, Value packed) {
    SmallVector<int64_t> order;
    for (int64_t g = 0; g < 4; ++g)
      for (int64_t l = 0; l < lanes / 4; ++l)
        order.push_back(4 * l + g);
    Value groups = vector::BitCastOp::create(b, sums, packed);
    return vector::BitCastOp::create(
        b, quads, vector::ShuffleOp::create(b, groups, groups, order));
  }

  void emitSoftmaxRows(Builder &b, Value from) {
    Value step = indexConstant(b, 4 * lanes);
    auto four = [&](Builder &ib, int64_t i, Value t) {
      SmallVector<Value> x;
      for (int64_t j = 0; j < 4; ++j)
        x.push_back(vector::LoadOp::create(
            ib, sums, scores,
            ValueRange{thread, plus(ib, from, i), plus(ib, t, j * lanes)}));
      return x;
    };
    SmallVector<Value> init(kTogether, splat(b, INT32_MIN)), shift;
    auto most = scf::ForOp::create(
        b, zero, columns, step, init,
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          Builder ib(l, o);
          SmallVector<Value> next(acc);
          for (auto [i, largest] : llvm::enumerate(next))
            for (Value x : four(ib, i, t))
              largest = arith::MaxSIOp::create(ib, largest, x);
          scf::YieldOp::create(ib, next);
        });
    for (Value largest : most.getResults()) {
      largest =
          vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, largest);
      largest = arith::MaxSIOp::create(
          b, largest,
          arith::ConstantOp::create(b, b.getI32IntegerAttr(leastLargest())));
      shift.push_back(vector::BroadcastOp::create(b, sums, largest));
    }
    Value ones = splatOf(b, quads, 1);
    init.assign(kTogether, splat(b, 0));
    auto total = scf::ForOp::create(
        b, zero, columns, step, init,
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          Builder ib(l, o);
          SmallVector<Value> next;
          for (int64_t i = 0; i < kTogether; ++i) {
            Value p = inOrder(ib, exponential(ib, shift[i], four(ib, i, t)));
            vector::StoreOp::create(ib, p, weights,
                                    ValueRange{thread, plus(ib, from, i), t});
            next.push_back(multiplyBytes(ib, target, p, ones, acc[i]));
          }
          scf::YieldOp::create(ib, next);
        });
    for (auto [i, each] : llvm::enumerate(total.getResults())) {
      Factor factor = factorOf(
          b, vector::ReductionOp::create(b, vector::CombiningKind::ADD, each));
      Value row = plus(b, from, i);
      memref::StoreOp::create(b, factor.reciprocal, divisors,
                              ValueRange{thread, row, zero});
      memref::StoreOp::create(b, factor.shift, divisors,
                              ValueRange{thread, row, one});
    }
  }

  void writeResult(Builder &b, Value local, Value query, Value head) {
    auto wideType = VectorType::get({lanes}, b.getI64Type());
    auto divisor = [&](Value which) -> Value {
      return arith::ExtSIOp::create(
          b, b.getI64Type(),
          memref::LoadOp::create(b, divisors,
                                 ValueRange{thread, local, which}));
    };
    auto broadcast = [&](Value scalar) -> Value {
      return vector::BroadcastOp::create(b, wideType, scalar);
    };
    Value reciprocal = broadcast(divisor(zero)), by = divisor(one),
          unit = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
    Value half = broadcast(arith::ShLIOp::create(b, unit, sub(b, by, unit))),
          shift = broadcast(by);
    numerics::IntegerRange range =
        rangeOf(out, std::nullopt, op.getIsUnsigned());
    for (int64_t vector = 0; vector < resultVectors; ++vector) {
      Value acc = vector::LoadOp::create(
          b, sums, results,
          ValueRange{thread, local, indexConstant(b, vector * lanes)});
      Value product = arith::MulIOp::create(
          b, arith::ExtSIOp::create(b, wideType, acc), reciprocal);
      Value y = arith::TruncIOp::create(
          b, sums,
          arith::ShRSIOp::create(b, add(b, product, half),
                                 shift)); // within 2^30
      if (op.getZeroPoint())
        y = add(b, y, splat(b, op.getZeroPoint()));
      y = arith::MinSIOp::create(
          b, arith::MaxSIOp::create(b, y, splat(b, range.lo)),
          splat(b, range.hi));
      y = arith::TruncIOp::create(b, bytes, y);
      SmallVector<Value> place = {batch, query, head,
                                  indexConstant(b, vector * lanes)};
      int64_t left = size - vector * lanes;
      if (left >= lanes) {
        vector::StoreOp::create(b, y, out, place);
      } else {
        Value mask = vector::CreateMaskOp::create(
            b, VectorType::get({lanes}, b.getI1Type()),
            ValueRange(indexConstant(b, left)));
        vector::MaskedStoreOp::create(b, out, place, mask, y);
      }
    }
  }
};

} // namespace

LogicalResult sq::lowerIntAttention(RewriterBase &rewriter, IntAttentionOp op,
                                    const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  int64_t size = cast<MemRefType>(op.getQ().getType()).getDimSize(3),
          shift = op.getExpShift();
  if (size % 4 != 0 || size > kMostHeadElements || shift > kMostExpShift)
    return op.emitOpError("has no kernel for heads of ")
           << size << " elements and an exp_shift of " << shift
           << "; a multiple of 4, at most " << kMostHeadElements
           << ", and at most " << kMostExpShift;
  if (target.amx)
    emitAmxIntAttention(b, op, target);
  else
    Emitter(op, target).emit(b);
  rewriter.eraseOp(op);
  return success();
}
