//===-- AmxIntAttention.cpp - attention of bytes on AMX tiles -------------===//
//
// Everything is transposed: scores are K Q^T and results V^T P^T, so that lanes
// of vectors are 16 queries. The largest score, the sum and the division of a
// query are then a lane each, and exponentials become the second operand of
// their product by a shuffle within parts of 128 bits.
//
// While the exponentials of a block of queries are taken, the products of the
// next one's scores run, tile by tile, each into the place of scores just used.
// Products with values wait for the next block, and what they give for the one
// after: what was only just written is slow to load as a tile or from one.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Transpose.h"
#include "codegen/host/AmxStarts.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/ContextVectors.h"
#include "codegen/host/IntAttention.h"
#include "dialects/sq/IR/IntegerOps.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kLanes = 16;            // queries of a block
constexpr int64_t kRows = amx::kTileRows; // keys of a tile of scores
constexpr int64_t kStep = 64;             // bytes of a row of a tile
constexpr int64_t kTileBytes = kRows * kStep;
/// Tiles of results at once: they share the exponentials.
constexpr int64_t kResultTiles = 4;
/// Up to so many are written without a loop.
constexpr int64_t kStaticTiles = 8;

struct Emitter : IntAttentionEmitter {
  int64_t depthSteps;  // tiles of a head along its elements, as keys have them
  int64_t resultTiles; // likewise, as results have them
  // [threads][..] each.
  AmxStarts starts;
  Value packedK;  // i8 [columns][64 * depthSteps]
  Value packedV;  // i8 [resultTiles][steps of 64 keys][a tile of V^T]
  Value packedQ;  // i8 [blocks][depthSteps][a tile of Q^T, fours of elements]
  Value scores;   // i32 [columns][kLanes]
  Value weights;  // i8 [columns / 4][kLanes][4]: exponentials
  Value results;  // i32 [16 * resultTiles][kLanes]
  Value divisors; // i32 [2][2][kLanes]: of two blocks by turns, reciprocals and
                  // shifts of ContextFactor
  // A task and one of its heads.
  Value head, first, end, blocks;

  Emitter(IntAttentionOp op, const TiledTarget &target)
      : IntAttentionEmitter(op, target),
        depthSteps(llvm::divideCeil(size, kStep)),
        resultTiles(llvm::divideCeil(size, kRows)) {
    productsPerThread = 1 << 21;
  }

  Value taskRows(Builder &b) override {
    Value rows = indexConstant(b, kLanes),
          heads = arith::MulIOp::create(b, dimOf(b, out, 0), keyHeads);
    return arith::MulIOp::create(
        b, amx::blocksPerTask(b, ceilDiv(b, queries, rows), heads), rows);
  }

  void allocate(Builder &b) override {
    Type i8 = b.getI8Type(), i32 = b.getI32Type();
    constexpr int64_t dynamic = ShapedType::kDynamic;
    Value steps = arith::DivUIOp::create(b, columns, indexConstant(b, kStep));
    packedK = scratch(b, {dynamic, kStep * depthSteps}, i8, columns);
    packedV = scratch(b, {resultTiles, dynamic, kTileBytes}, i8, steps);
    Value most = plus(b, ceilDiv(b, queries, indexConstant(b, kLanes)),
                      blocksAtOnce() - 1);
    packedQ = scratch(b, {dynamic, depthSteps, kTileBytes}, i8, most);
    starts =
        AmxStarts::allocate(b, columns, startsPerQuery() ? kLanes : 1, i32);
    scores = scratch(b, {dynamic, kLanes}, i32, columns);
    weights = scratch(b, {dynamic, kTileBytes}, i8, steps);
    results = scratch(b, {kRows * resultTiles, kLanes}, i32, {});
    divisors = scratch(b, {2, 2, kLanes}, i32, {});
  }

  // Small things

  /// No more of what is packed than there are keys: with none it has no values
  /// at all, which then count for nothing.
  Value stepsOf(Builder &b, Value n) {
    return ceilDiv(b, n, indexConstant(b, kStep));
  }
  /// Of the element at `at` in the thread's part of `memref`.
  Value address(Builder &b, Value memref, ValueRange at) {
    Value flat = thread;
    for (auto [dim, index] : llvm::enumerate(at))
      flat = add(b, arith::MulIOp::create(b, flat, dimOf(b, memref, dim + 1)),
                 index);
    return amx::address(b, memref, flat);
  }
  Value loadTile(Builder &b, Value memref, ValueRange at,
                 int64_t stride = kStep) {
    return amx::loadTile(b, address(b, memref, at), amx::strideOf(b, stride));
  }
  Value load(Builder &b, Value memref, ValueRange at) {
    return vector::LoadOp::create(b, sums, memref, at);
  }
  /// `width` bytes of `memref` at `at` in a vector of `lanes`; others are zero.
  Value loadBytes(Builder &b, Value memref, ValueRange at, int64_t lanes,
                  int64_t width) {
    auto type = VectorType::get({lanes}, b.getI8Type());
    if (width >= lanes)
      return vector::LoadOp::create(b, type, memref, at);
    Value mask =
        vector::CreateMaskOp::create(b, VectorType::get({lanes}, b.getI1Type()),
                                     ValueRange(indexConstant(b, width)));
    return vector::MaskedLoadOp::create(
        b, type, memref, at, mask,
        arith::ConstantOp::create(b, b.getZeroAttr(type)));
  }
  /// The 4 x 4 bytes of each part of 128 bits transposed.
  Value transposeFours(Builder &b, Value x) {
    SmallVector<int64_t> order;
    for (int64_t part = 0; part < 64; part += 16)
      for (int64_t i = 0; i < 16; ++i)
        order.push_back(part + i % 4 * 4 + i / 4);
    return vector::ShuffleOp::create(b, x, x, order);
  }
  /// Elements of x and y by turns, of the low or high half of each part of 128
  /// bits.
  Value unpack(Builder &b, Value x, Value y, bool high) {
    int64_t n = cast<VectorType>(x.getType()).getNumElements(), part = n / 4;
    SmallVector<int64_t> order;
    for (int64_t from = 0; from < n; from += part)
      for (int64_t i = 0; i < part; ++i)
        order.push_back(i % 2 * n + from + (high ? part / 2 : 0) + i / 2);
    return vector::ShuffleOp::create(b, x, y, order);
  }
  /// Query `i` of the block from `begin` on; past the last one it is that one,
  /// whose result is then written more than once.
  Value queryAt(Builder &b, Value begin, Value i) {
    return arith::MinUIOp::create(b, add(b, begin, i), plus(b, end, -1));
  }
  Value blockBegin(Builder &b, Value block) {
    return add(b, first, times(b, block, kLanes));
  }

  // Packing

  /// Of keys that do not exist the last one's: their scores begin with none.
  void packKeys(Builder &b) {
    Value last = plus(b, keys, -1);
    loop(b, zero, times(b, stepsOf(b, keys), kStep), 1,
         [&](Builder &kb, Value t) {
           Value key = arith::MinUIOp::create(kb, t, last);
           for (int64_t d = 0; d < size; d += kStep) {
             Value from = indexConstant(kb, d);
             Value x =
                 loadBytes(kb, k, {batch, key, keyHead, from}, kStep, size - d);
             vector::StoreOp::create(kb, x, packedK,
                                     ValueRange{thread, t, from});
           }
         });
  }

  /// Sixty-four keys by 32 elements, two tiles, at a time: part L of vector i
  /// has the elements of key 16 L + i, and four interleavings of vectors i and
  /// i + 8 make keys of them. Of keys that do not exist the last one's: their
  /// weight is 0.
  void packValues(Builder &b) {
    Value last = plus(b, keys, -1);
    loop(b, zero, stepsOf(b, keys), 1, [&](Builder &vb, Value step) {
      for (int64_t tile = 0; tile < resultTiles; tile += 2) {
        Value from = indexConstant(vb, tile * kRows);
        SmallVector<Value> x[2];
        for (int64_t i = 0; i < 16; ++i) {
          Value key[4];
          for (int64_t l = 0; l < 4; ++l) {
            Value t = arith::MinUIOp::create(
                vb, plus(vb, times(vb, step, kStep), 16 * l + i), last);
            key[l] = loadBytes(vb, v, {batch, t, keyHead, from}, 2 * kRows,
                               size - tile * kRows);
          }
          Value low = concat(vb, key[0], key[1]),
                high = concat(vb, key[2], key[3]);
          for (int64_t half = 0; half < 2; ++half)
            x[half].push_back(partsOf(vb, low, high, half));
        }
        for (int64_t half = 0; half < 2 && tile + half < resultTiles; ++half)
          storeValues(vb, x[half], indexConstant(vb, tile + half), step);
      }
    });
  }

  void storeValues(Builder &b, SmallVector<Value> x, Value tile, Value step) {
    for (int64_t round = 0; round < 4; ++round) {
      SmallVector<Value> next;
      for (int64_t i = 0; i < 8; ++i)
        for (bool high : {false, true})
          next.push_back(unpack(b, x[i], x[i + 8], high));
      x = next;
    }
    for (int64_t i = 0; i < 16; ++i)
      vector::StoreOp::create(
          b, x[i], packedV,
          ValueRange{thread, tile, step, indexConstant(b, i * kStep)});
  }

  Value concat(Builder &b, Value x, Value y) {
    int64_t n = cast<VectorType>(x.getType()).getNumElements();
    return vector::ShuffleOp::create(b, x, y,
                                     llvm::to_vector(llvm::seq(2 * n)));
  }
  /// The even or odd parts of 128 bits of x, then those of y.
  Value partsOf(Builder &b, Value x, Value y, int64_t odd) {
    SmallVector<int64_t> order;
    for (int64_t part = odd; part < 8; part += 2)
      for (int64_t i = 0; i < 16; ++i)
        order.push_back(16 * part + i);
    return vector::ShuffleOp::create(b, x, y, order);
  }

  /// Of heads of at most half a tile's row two blocks are transposed at once.
  int64_t blocksAtOnce() const { return 2 * size <= kStep ? 2 : 1; }

  /// What a tile has past the end of a head meets zeros of the keys.
  void packQueries(Builder &b) {
    int64_t count = blocksAtOnce(), width = kStep / count;
    loop(b, zero, blocks, count, [&](Builder &qb, Value block) {
      for (int64_t step = 0; step < depthSteps; ++step) {
        SmallVector<Value> rows;
        Value from = indexConstant(qb, step * kStep);
        for (int64_t i = 0; i < kLanes; ++i) {
          SmallVector<Value> x;
          for (int64_t j = 0; j < count; ++j) {
            Value query = queryAt(qb, blockBegin(qb, plus(qb, block, j)),
                                  indexConstant(qb, i));
            x.push_back(loadBytes(qb, q, {batch, query, head, from}, width,
                                  size - step * kStep));
          }
          Value all = count == 1 ? x.front() : concat(qb, x[0], x[1]);
          rows.push_back(vector::BitCastOp::create(qb, sums, all));
        }
        emitTranspose(qb, rows);
        for (auto [i, x] : llvm::enumerate(rows))
          vector::StoreOp::create(
              qb, vector::BitCastOp::create(qb, quads, x), packedQ,
              ValueRange{thread, plus(qb, block, i / (width / 4)),
                         indexConstant(qb, step),
                         indexConstant(qb, i % (width / 4) * kStep)});
      }
    });
  }

  /// Starts of scores of a block, or of all of the head.
  void fillStarts(Builder &b, Value block) {
    if (!startsPerQuery()) {
      fillStart(b, starts.rows, zero, head, zero);
    } else {
      Value begin = blockBegin(b, block);
      loop(b, zero, indexConstant(b, kLanes), 1, [&](Builder &rb, Value i) {
        fillStart(rb, starts.rows, i, head, queryAt(rb, begin, i));
      });
    }
    starts.fill(b, thread, columns);
  }

  // Scores

  Value queryTile(Builder &b, Value block, Value step) {
    return loadTile(b, packedQ, {block, step, zero});
  }

  /// Scores of the keys [t, t + 16) and the queries of a block. `held`: its
  /// tile of queries, if it is one.
  Value scoresOf(Builder &b, Value t, Value block, Value held) {
    Value sum = starts.load(b, thread, t);
    amx::Signs signs = op.getKUnsigned() ? amx::Signs::UnsignedSigned
                                         : amx::Signs::SignedSigned;
    auto multiply = [&](Builder &ib, Value step, Value acc) -> Value {
      Value lhs = loadTile(ib, packedK, {t, times(ib, step, kStep)},
                           kStep * depthSteps);
      Value rhs = held ? held : queryTile(ib, block, step);
      return amx::multiplyBytes(ib, acc, lhs, rhs, signs);
    };
    if (depthSteps == 1)
      return multiply(b, zero, sum);
    auto all = scf::ForOp::create(
        b, zero, indexConstant(b, depthSteps), one, sum,
        [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
          Builder ib(l, o);
          scf::YieldOp::create(ib, multiply(ib, step, acc.front()));
        });
    return all.getResult(0);
  }
  void storeScores(Builder &b, Value tile, Value t) {
    amx::storeTile(b, tile, address(b, scores, {t, zero}),
                   amx::strideOf(b, kStep));
  }
  Value heldQueries(Builder &b, Value block) {
    return depthSteps == 1 ? queryTile(b, block, zero) : Value();
  }

  void emitFirstScores(Builder &b) {
    Value held = heldQueries(b, zero);
    loop(b, zero, columns, kStep, [&](Builder &ib, Value t) {
      SmallVector<Value> tiles; // none waits for another
      for (int64_t i = 0; i < kStep; i += kRows)
        tiles.push_back(scoresOf(ib, plus(ib, t, i), zero, held));
      for (auto [i, tile] : llvm::enumerate(tiles))
        storeScores(ib, tile, plus(ib, t, i * kRows));
    });
  }

  // Softmax

  Value largestScores(Builder &b) {
    SmallVector<Value> init(4, splat(b, leastLargest()));
    auto most = scf::ForOp::create(
        b, zero, columns, indexConstant(b, kRows), init,
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          Builder ib(l, o);
          SmallVector<Value> next(acc);
          for (int64_t i = 0; i < kRows; ++i)
            next[i % 4] = arith::MaxSIOp::create(
                ib, next[i % 4],
                load(ib, scores, {thread, plus(ib, t, i), zero}));
          scf::YieldOp::create(ib, next);
        });
    auto larger = [&](int64_t i, int64_t j) -> Value {
      return arith::MaxSIOp::create(b, most.getResult(i), most.getResult(j));
    };
    return arith::MaxSIOp::create(b, larger(0, 1), larger(2, 3));
  }

  /// Exponentials of a block, while the scores of `after` take the place of its
  /// own; what is to be divided by goes to `divisors`.
  void softmax(Builder &b, Value block, Value after) {
    Value largest = largestScores(b), held = heldQueries(b, after),
          ones = splatOf(b, quads, 1);
    auto total = scf::ForOp::create(
        b, zero, columns, indexConstant(b, kStep),
        SmallVector<Value>(4, splat(b, 0)),
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          Builder ib(l, o);
          SmallVector<Value> next(acc); // one would be a chain
          Value step = arith::DivUIOp::create(ib, t, indexConstant(ib, kStep));
          for (int64_t from = 0; from < kStep; from += kRows) {
            Value tile = plus(ib, t, from);
            Value product = scoresOf(ib, tile, after, held);
            for (int64_t i = 0; i < kRows; i += 4) {
              SmallVector<Value> x;
              for (int64_t j = 0; j < 4; ++j)
                x.push_back(
                    load(ib, scores, {thread, plus(ib, tile, i + j), zero}));
              Value e = transposeFours(ib, exponential(ib, largest, x));
              vector::StoreOp::create(
                  ib, e, weights,
                  ValueRange{thread, step,
                             indexConstant(ib, (from + i) * kLanes)});
              next[i / 4] = multiplyBytes(ib, target, e, ones, next[i / 4]);
            }
            storeScores(ib, product, tile);
          }
          scf::YieldOp::create(ib, next);
        });
    auto both = [&](int64_t i) -> Value {
      return arith::AddIOp::create(b, total.getResult(i),
                                   total.getResult(i + 1));
    };
    Value sum = add(b, both(0), both(2)), place = parity(b, block);
    auto [reciprocal, shift] =
        ContextVectors::of(b, sum, static_cast<int32_t>(op.getMultiplier()),
                           static_cast<int32_t>(op.getExponent()));
    vector::StoreOp::create(b, reciprocal, divisors,
                            ValueRange{thread, place, zero, zero});
    vector::StoreOp::create(b, shift, divisors,
                            ValueRange{thread, place, one, zero});
  }

  Value parity(Builder &b, Value block) {
    return arith::AndIOp::create(b, block, one);
  }

  // Results

  void multiplyValues(Builder &b) {
    Value steps = arith::DivUIOp::create(b, columns, indexConstant(b, kStep));
    for (int64_t from = 0; from < resultTiles; from += kResultTiles) {
      int64_t count = std::min(kResultTiles, resultTiles - from);
      SmallVector<Value> init;
      for (int64_t i = 0; i < count; ++i)
        init.push_back(amx::loadTile(
            b, amx::address(b, zeros, indexConstant(b, i * kStep)),
            amx::strideOf(b, 0)));
      auto all = scf::ForOp::create(
          b, zero, steps, one, init,
          [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
            Builder ib(l, o);
            Value rhs = loadTile(ib, weights, {step, zero});
            SmallVector<Value> next;
            for (int64_t i = 0; i < count; ++i)
              next.push_back(amx::multiplyBytes(
                  ib, acc[i],
                  loadTile(ib, packedV,
                           {indexConstant(ib, from + i), step, zero}),
                  rhs, amx::Signs::SignedUnsigned));
            scf::YieldOp::create(ib, next);
          });
      for (int64_t i = 0; i < count; ++i)
        amx::storeTile(
            b, all.getResult(i),
            address(b, results, {indexConstant(b, (from + i) * kRows), zero}),
            amx::strideOf(b, kStep));
    }
  }

  /// Four vectors of i32, of which bytes are made that end at the bounds of the
  /// result: in each part of 128 bits four queries with four elements each.
  Value packed(Builder &b, ArrayRef<Value> y) {
    auto words = VectorType::get({2 * kLanes}, b.getI16Type());
    auto call = [&](Type type, StringRef name, ValueRange args) -> Value {
      return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args)
          .getResult(0);
    };
    Value half[2];
    for (int64_t i = 0; i < 2; ++i) {
      half[i] =
          call(words, "llvm.x86.avx512.packssdw.512", {y[2 * i], y[2 * i + 1]});
      if (op.getZeroPoint())
        half[i] = call(words, "llvm.sadd.sat.v32i16",
                       {half[i], splatOf(b, words, op.getZeroPoint())});
    }
    StringRef name = op.getIsUnsigned() ? "llvm.x86.avx512.packuswb.512"
                                        : "llvm.x86.avx512.packsswb.512";
    return transposeFours(b, call(quads, name, {half[0], half[1]}));
  }

  void writeResults(Builder &b, Value block) {
    Value begin = blockBegin(b, block);
    Value place = parity(b, block);
    auto divisorsOf = [&](Value which) {
      return load(b, divisors, {thread, place, which, zero});
    };
    ContextFactors factors(b, {divisorsOf(zero), divisorsOf(one)});
    SmallVector<Value> query;
    for (int64_t i = 0; i < kLanes; ++i)
      query.push_back(queryAt(b, begin, indexConstant(b, i)));
    auto write = [&](Builder &wb, Value tile, int64_t width) {
      Value from = times(wb, tile, kRows);
      SmallVector<Value> fours;
      for (int64_t d = 0; d < kRows; d += 4) {
        SmallVector<Value> y;
        for (int64_t i = 0; i < 4; ++i)
          y.push_back(factors.apply(
              wb, load(wb, results, {thread, plus(wb, from, d + i), zero})));
        fours.push_back(vector::BitCastOp::create(wb, sums, packed(wb, y)));
      }
      // Part L of vector k is now query 4 L + k.
      auto pairs = VectorType::get({kLanes / 2}, wb.getI64Type());
      for (int64_t k = 0; k < 4; ++k) {
        Value low = unpack(wb, fours[0], fours[1], k / 2),
              high = unpack(wb, fours[2], fours[3], k / 2);
        Value all = unpack(wb, vector::BitCastOp::create(wb, pairs, low),
                           vector::BitCastOp::create(wb, pairs, high), k % 2);
        all = vector::BitCastOp::create(wb, quads, all);
        for (int64_t l = 0; l < 4; ++l) {
          Value part = vector::ShuffleOp::create(
              wb, all, all,
              llvm::to_vector(llvm::seq<int64_t>(16 * l, 16 * l + 16)));
          SmallVector<Value> at = {batch, query[4 * l + k], head, from};
          if (width == kRows) {
            vector::StoreOp::create(wb, part, out, at);
            continue;
          }
          Value mask = vector::CreateMaskOp::create(
              wb, VectorType::get({kRows}, wb.getI1Type()),
              ValueRange(indexConstant(wb, width)));
          vector::MaskedStoreOp::create(wb, out, at, mask, part);
        }
      }
    };
    // In one block LLVM sees that products are of numbers of 32 bits.
    int64_t full = size / kRows;
    for (int64_t tile = 0; tile < full && full <= kStaticTiles; ++tile)
      write(b, indexConstant(b, tile), kRows);
    if (full > kStaticTiles)
      loop(b, zero, indexConstant(b, full), 1,
           [&](Builder &wb, Value tile) { write(wb, tile, kRows); });
    if (size % kRows)
      write(b, indexConstant(b, full), size % kRows);
  }

  // Blocks

  Value zeros; // lines of 64 bytes
  void prepare(Builder &b) override { zeros = amx::zeroLines(b); }

  void attend(Builder &b, Value from, Value to) override {
    first = from;
    end = to;
    blocks = ceilDiv(b, sub(b, end, first), indexConstant(b, kLanes));
    packKeys(b);
    loop(b, zero, indexConstant(b, group), 1, [&](Builder &gb, Value member) {
      head = add(gb, times(gb, keyHead, group), member);
      packQueries(gb);
      fillStarts(gb, zero);
      scf::IfOp::create(
          gb, arith::CmpIOp::create(gb, arith::CmpIPredicate::eq, member, zero),
          [&](OpBuilder &o, Location l) {
            Builder ib(l, o);
            packValues(ib);
            scf::YieldOp::create(ib);
          });
      emitFirstScores(gb);
      loop(gb, zero, plus(gb, blocks, 2), 1,
           [&](Builder &ib, Value i) { step(ib, i); });
    });
  }

  /// Block i, products with values of the one before, and results of that
  /// before it.
  void step(Builder &b, Value i) {
    auto when = [&](arith::CmpIPredicate is, Value limit,
                    function_ref<void(Builder &)> body) {
      scf::IfOp::create(b, arith::CmpIOp::create(b, is, i, limit),
                        [&](OpBuilder &o, Location l) {
                          Builder ib(l, o);
                          body(ib);
                          scf::YieldOp::create(ib);
                        });
    };
    when(arith::CmpIPredicate::ugt, one,
         [&](Builder &ib) { writeResults(ib, plus(ib, i, -2)); });
    Value isInside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                           plus(b, i, -1), blocks);
    scf::IfOp::create(b, isInside, [&](OpBuilder &o, Location l) {
      Builder ib(l, o);
      multiplyValues(ib);
      scf::YieldOp::create(ib);
    });
    when(arith::CmpIPredicate::ult, blocks, [&](Builder &ib) {
      Value next =
          arith::MinUIOp::create(ib, plus(ib, i, 1), plus(ib, blocks, -1));
      if (startsPerQuery())
        fillStarts(ib, next);
      softmax(ib, i, next);
    });
  }
};

} // namespace

void sq::emitAmxIntAttention(ImplicitLocOpBuilder &b, IntAttentionOp op,
                             const TiledTarget &target) {
  Emitter(op, target).emit(b);
}
