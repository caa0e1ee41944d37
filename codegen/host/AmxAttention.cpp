//===-- AmxAttention.cpp - attention in bf16 on AMX tiles ----------------------===//
//
// Everything is transposed, as in AmxIntAttention.cpp: scores are K Q^T, results V^T P^T, and
// lanes of vectors 16 queries (of all heads that share keys and values: a lane is a pair of
// place and head). A thread rounds the keys and values of a head to bf16 once. The mask is what
// the sums of K Q^T begin with. Scores come in blocks of keys that stay in L1, with the running
// maximum and sum of online softmax (Milakov and Gimelshein 2018), in base 2.
//
// While the exponentials of a block are taken, the products of the next one's scores run, tile by
// tile, each into the place of scores just used; products with values wait for the next block:
// what was only just written is slow to load as a tile or from one.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Transpose.h"
#include "codegen/host/AmxStarts.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kLanes = 16;      // queries of a block
constexpr int64_t kStep = 32;       // keys, or elements of a head, of a tile of bf16
constexpr int64_t kKeys = 256;      // of a block of scores
constexpr int64_t kResultTiles = 4; // at once: they share the probabilities
constexpr int64_t kTileSize = kLanes * kStep;
constexpr int64_t kFlopsPerThread = 1 << 21;
constexpr double kLog2e = 1.44269504088896340736;

struct Emitter {
  AttentionOp op;
  Value q, k, v, mask, out;
  int64_t group, size;                      // heads that share keys and values; D
  Value queries = {}, keys = {}, past = {}; // S * group, T, T - S
  int64_t depthSteps = llvm::divideCeil(size, kStep), columnTiles = llvm::divideCeil(size, kLanes);
  bool hasRowMask = false; // the mask differs by query
  // Scratch memory, [threads] first.
  AmxStarts shared = {};  // what scores of all keys begin with, for all queries
  AmxStarts own = {};     // of a block of keys, by query
  Value packedK = {};     // bf16 [keys][32 * depthSteps]
  Value packedV = {};     // bf16 [columnTiles][steps of 32 keys][a tile of V^T]
  Value packedQ = {};     // bf16 [blocks][depthSteps][a tile of Q^T, pairs of elements]
  Value scores = {};      // f32 [kKeys][16]
  Value weights = {};     // bf16 [kKeys / 32][16][16][2]: probabilities of pairs of keys
  Value result = {};      // f32 [16 * columnTiles][16]
  Value largest = {};     // f32 [1][16]
  Value sums = {};        // f32 [2][16]: of two blocks of queries by turns
  Value zeros = {};       // 64 zero bytes for each of four tiles
  // One task.
  Value zero = {}, one = {}, thread = {}, batch = {}, head = {}, from = {}, to = {};
  VectorType vectorType = {};

  // Small things

  Value splat(ImplicitLocOpBuilder &b, double value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, float(value)));
  }
  Value number(ImplicitLocOpBuilder &b, double value) { return arith::ConstantOp::create(b, b.getF32FloatAttr(float(value))); }
  Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value times(ImplicitLocOpBuilder &b, Value x, int64_t y) { return b.createOrFold<arith::MulIOp>(x, indexConstant(b, y)); }
  Value load(ImplicitLocOpBuilder &b, Value memref, ValueRange at) { return vector::LoadOp::create(b, vectorType, memref, at); }

  /// `count` lanes of `memref` at `at`; others are zero.
  Value loadLanes(ImplicitLocOpBuilder &b, Value memref, ValueRange at, Value lanes) {
    return lanes ? Value(vector::MaskedLoadOp::create(b, vectorType, memref, at, lanes, splat(b, 0))) : load(b, memref, at);
  }
  Value lanesBelow(ImplicitLocOpBuilder &b, Value count) {
    return vector::CreateMaskOp::create(b, VectorType::get({kLanes}, b.getI1Type()), ValueRange(count));
  }
  /// Lanes of the head from `d` that exist; null: all.
  Value headLanes(ImplicitLocOpBuilder &b, int64_t d) {
    return d + kLanes <= size ? Value() : lanesBelow(b, indexConstant(b, size - d));
  }
  /// Elements [d, d + 16) of a head; past its end zero.
  Value headPart(ImplicitLocOpBuilder &b, Value memref, ArrayRef<Value> at, int64_t d) {
    if (d >= size)
      return splat(b, 0);
    SmallVector<Value> indices(at);
    indices.push_back(indexConstant(b, d));
    return loadLanes(b, memref, indices, headLanes(b, d));
  }
  /// Place and head of row `j` of the queries that share `head` of the keys.
  std::pair<Value, Value> placeOf(ImplicitLocOpBuilder &b, Value j) {
    if (group == 1)
      return {j, head};
    Value each = indexConstant(b, group);
    return {arith::DivUIOp::create(b, j, each), add(b, times(b, head, group), arith::RemUIOp::create(b, j, each))};
  }
  Value maskIndex(int64_t dim, Value index) { return cast<MemRefType>(mask.getType()).getDimSize(dim) == 1 ? zero : index; }

  /// Of the element at `at` in the thread's part of `memref`.
  Value addressOf(ImplicitLocOpBuilder &b, Value memref, ValueRange at) {
    Value flat = thread;
    for (auto [dim, index] : llvm::enumerate(at))
      flat = add(b, arith::MulIOp::create(b, flat, dimOf(b, memref, dim + 1)), index);
    return amx::address(b, memref, flat);
  }
  Value loadTile(ImplicitLocOpBuilder &b, Value memref, ValueRange at, int64_t stride = amx::kRowBytes) {
    return amx::loadTile(b, addressOf(b, memref, at), amx::strideOf(b, stride));
  }
  Value least(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MinUIOp::create(b, x, y); }
  Value sub(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }
  Value stepsOf(ImplicitLocOpBuilder &b, Value n) { return arith::DivUIOp::create(b, n, indexConstant(b, kStep)); }
  /// n, rounded up to whole steps.
  Value wholeSteps(ImplicitLocOpBuilder &b, Value n) { return times(b, ceilDiv(b, n, indexConstant(b, kStep)), kStep); }
  /// At least one step, of no keys where there are none.
  Value allKeys(ImplicitLocOpBuilder &b) { return arith::MaxUIOp::create(b, wholeSteps(b, keys), indexConstant(b, kStep)); }
  Value isZero(ImplicitLocOpBuilder &b, Value n) { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, n, zero); }
  Value larger(ImplicitLocOpBuilder &b, Value x, Value y) {
    return arith::SelectOp::create(b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y), x, y);
  }
  void storePairs(ImplicitLocOpBuilder &b, Value row, Value memref, ValueRange at) {
    vector::StoreOp::create(b, vector::BitCastOp::create(b, VectorType::get({kStep}, b.getBF16Type()), row), memref, at);
  }
  bool startsPerQuery() { return hasRowMask || op.getCausal(); }

  /// A mask, or its part of the sum, times log2 e. The least number stays finite, so that rows in which nothing else is
  /// come out even; -inf stays.
  Value inBase2(ImplicitLocOpBuilder &b, Value m) {
    Value scaled = arith::MulFOp::create(b, m, splat(b, kLog2e)), least = splat(b, -1.7e38);
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, m, splat(b, -INFINITY));
    Value low = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, scaled, least);
    Value bounded = arith::SelectOp::create(b, low, least, scaled);
    return arith::SelectOp::create(b, none, m, bounded);
  }

  /// 2^x for x <= 0, relative error 7.5e-5, far below that of bf16: 2^floor(x) times a polynomial.
  Value exp2(ImplicitLocOpBuilder &b, Value x) {
    Value all = arith::ConstantIntOp::create(b, -1, 16), current = arith::ConstantIntOp::create(b, 4, 32);
    Value floor = arith::ConstantIntOp::create(b, 9, 32); // x - floor(x), no exceptions
    auto call = [&](StringRef name, ValueRange args) {
      return LLVM::CallIntrinsicOp::create(b, vectorType, b.getStringAttr(name), args).getResult(0);
    };
    Value r = call("llvm.x86.avx512.mask.reduce.ps.512", {x, floor, splat(b, 0), all, current});
    Value p = splat(b, 0x1.3f96a4p-4);
    for (double c : {0x1.cefc4ep-3, 0x1.64444ap-1, 0x1.fff632p-1})
      p = math::FmaOp::create(b, p, r, splat(b, c));
    return call("llvm.x86.avx512.mask.scalef.ps.512", {p, x, splat(b, 0), all, current});
  }

  // Packing

  /// What is past the last key repeats it: its score is masked, its probability 0. (Garbage might be NaN.)
  SmallVector<Value> keyAt(ImplicitLocOpBuilder &b, Value t) { return {batch, least(b, t, plus(b, keys, -1)), head}; }

  void packKeys(ImplicitLocOpBuilder &b) {
    loop(b, zero, wholeSteps(b, keys), 1, [&](ImplicitLocOpBuilder &kb, Value t) {
      SmallVector<Value> key = keyAt(kb, t);
      for (int64_t d = 0; d < depthSteps * kStep; d += kStep)
        vector::StoreOp::create(kb, amx::toBf16(kb, headPart(kb, k, key, d), headPart(kb, k, key, d + kLanes)), packedK,
                                ValueRange{thread, t, indexConstant(kb, d)});
    });
  }

  void packValues(ImplicitLocOpBuilder &b) {
    SmallVector<int64_t> byTurns;
    for (int64_t i = 0; i < kLanes; ++i)
      llvm::append_values(byTurns, i, kLanes + i);
    loop(b, zero, stepsOf(b, wholeSteps(b, keys)), 1, [&](ImplicitLocOpBuilder &vb, Value step) {
      for (int64_t n = 0; n < columnTiles; ++n) {
        SmallVector<Value> rows;
        for (int64_t i = 0; i < kLanes; ++i) {
          auto part = [&](int64_t odd) { return headPart(vb, v, keyAt(vb, plus(vb, times(vb, step, kStep), 2 * i + odd)), n * kLanes); };
          Value low = part(0), both = amx::toBf16(vb, low, part(1));
          rows.push_back(vector::BitCastOp::create(vb, vectorType, vector::ShuffleOp::create(vb, both, both, byTurns)));
        }
        emitTranspose(vb, rows);
        for (int64_t i = 0; i < kLanes; ++i)
          storePairs(vb, rows[i], packedV, {thread, indexConstant(vb, n), step, indexConstant(vb, i * kStep)});
      }
    });
  }

  /// Row `i` of a block of queries; past the last one it is that one, whose result is then written more than once.
  std::pair<Value, Value> queryAt(ImplicitLocOpBuilder &b, Value block, Value i) {
    return placeOf(b, least(b, add(b, times(b, block, kLanes), i), plus(b, queries, -1)));
  }

  /// All of the task's, times the scale.
  void packQueries(ImplicitLocOpBuilder &b) {
    Value factor = splat(b, op.getScale().convertToDouble() * kLog2e);
    loop(b, from, to, 1, [&](ImplicitLocOpBuilder &qb, Value block) {
      for (int64_t step = 0; step < depthSteps; ++step) {
        SmallVector<Value> rows;
        for (int64_t i = 0; i < kLanes; ++i) {
          auto [s, h] = queryAt(qb, block, indexConstant(qb, i));
          Value part[2];
          for (int64_t half = 0; half < 2; ++half)
            part[half] = arith::MulFOp::create(qb, headPart(qb, q, {batch, s, h}, step * kStep + half * kLanes), factor);
          rows.push_back(vector::BitCastOp::create(qb, vectorType, amx::toBf16(qb, part[0], part[1])));
        }
        emitTranspose(qb, rows);
        for (int64_t i = 0; i < kLanes; ++i)
          storePairs(qb, rows[i], packedQ, {thread, sub(qb, block, from), indexConstant(qb, step), indexConstant(qb, i * kStep)});
      }
    });
  }

  /// The mask that all queries share; past the last key nothing is seen.
  void fillShared(ImplicitLocOpBuilder &b) {
    Value all = allKeys(b);
    loop(b, zero, all, kLanes, [&](ImplicitLocOpBuilder &ib, Value t) {
      Value lanes = lanesBelow(ib, sub(ib, keys, t)), value = splat(ib, 0);
      if (mask && !hasRowMask) {
        value = loadLanes(ib, mask, {maskIndex(0, batch), maskIndex(1, head), zero, t}, lanes); // its head: group is 1
        value = inBase2(ib, value);
      }
      value = arith::SelectOp::create(ib, lanes, value, splat(ib, -INFINITY));
      vector::StoreOp::create(ib, value, shared.rows, ValueRange{thread, zero, t});
    });
    if (!startsPerQuery())
      shared.fill(b, thread, all);
  }

  // Blocks of queries and of keys

  /// Keys [t0, t0 + count) and a block of queries; 1 or 0, whether they are its last ones; its row of `sums`.
  struct Item {
    Value block, t0, count, isLast, sumRow;

    static Item of(ValueRange v) { return {v[0], v[1], v[2], v[3], v[4]}; }
    SmallVector<Value> values() const { return {block, t0, count, isLast, sumRow}; }
  };

  /// Keys that any query of a block sees, at least one.
  Value seenOf(ImplicitLocOpBuilder &b, Value block) {
    Value seen = keys;
    if (op.getCausal())
      seen = arith::MinSIOp::create(b, keys, plus(b, add(b, queryAt(b, block, indexConstant(b, kLanes - 1)).first, past), 1));
    return arith::MaxSIOp::create(b, seen, one);
  }
  /// Of a block of keys from t0 on, in whole steps.
  Value countOf(ImplicitLocOpBuilder &b, Value seen, Value t0) {
    return wholeSteps(b, least(b, sub(b, seen, t0), indexConstant(b, kKeys)));
  }

  /// What scores of an item begin with, by query.
  void fillOwn(ImplicitLocOpBuilder &b, const Item &item) {
    SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, kLanes));
    auto indices = VectorType::get({kLanes}, b.getI32Type());
    auto splatIndex = [&](ImplicitLocOpBuilder &ib, Value x) {
      return vector::BroadcastOp::create(ib, indices, arith::IndexCastOp::create(ib, ib.getI32Type(), x));
    };
    loop(b, zero, indexConstant(b, kLanes), 1, [&](ImplicitLocOpBuilder &rb, Value r) {
      auto [s, h] = queryAt(rb, item.block, r);
      Value lastSeen = op.getCausal() ? Value(splatIndex(rb, add(rb, s, past))) : Value();
      loop(rb, zero, item.count, kLanes, [&, s = s, h = h](ImplicitLocOpBuilder &ib, Value t) {
        Value key = add(ib, item.t0, t);
        Value value = load(ib, shared.rows, ValueRange{thread, zero, key});
        if (hasRowMask) {
          Value lanes = lanesBelow(ib, sub(ib, keys, key));
          Value its = loadLanes(ib, mask, {maskIndex(0, batch), maskIndex(1, h), maskIndex(2, s), key}, lanes);
          value = arith::AddFOp::create(ib, value, inBase2(ib, its));
        }
        if (lastSeen) {
          Value at = arith::AddIOp::create(ib, splatIndex(ib, key),
                                           arith::ConstantOp::create(ib, DenseElementsAttr::get(indices, ArrayRef(lane))));
          Value isSeen = arith::CmpIOp::create(ib, arith::CmpIPredicate::sge, lastSeen, at);
          value = arith::SelectOp::create(ib, isSeen, value, splat(ib, -INFINITY));
        }
        vector::StoreOp::create(ib, value, own.rows, ValueRange{thread, r, t});
      });
    });
    own.fill(b, thread, item.count);
  }

  Value queryTile(ImplicitLocOpBuilder &b, const Item &item, Value step) {
    return loadTile(b, packedQ, {sub(b, item.block, from), step, zero});
  }
  /// The tile of an item's queries, if it is one.
  Value heldQueries(ImplicitLocOpBuilder &b, const Item &item) {
    return depthSteps == 1 ? queryTile(b, item, zero) : Value();
  }
  /// Scores of 16 keys of an item, from t on.
  Value scoresOf(ImplicitLocOpBuilder &b, const Item &item, Value t, Value held) {
    Value key = add(b, item.t0, t);
    Value sum = startsPerQuery() ? own.load(b, thread, t) : shared.load(b, thread, key);
    auto multiply = [&](ImplicitLocOpBuilder &ib, Value step, Value acc) {
      Value lhs = loadTile(ib, packedK, {key, times(ib, step, kStep)}, depthSteps * amx::kRowBytes);
      return amx::multiplyBf16(ib, acc, lhs, held ? held : queryTile(ib, item, step));
    };
    if (depthSteps == 1)
      return multiply(b, zero, sum);
    return scf::ForOp::create(b, zero, indexConstant(b, depthSteps), one, sum,
                              [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
                                ImplicitLocOpBuilder ib(l, o);
                                scf::YieldOp::create(ib, multiply(ib, step, acc.front()));
                              })
        .getResult(0);
  }
  void storeScores(ImplicitLocOpBuilder &b, Value tile, Value t) {
    amx::storeTile(b, tile, addressOf(b, scores, {t, zero}), amx::strideOf(b, amx::kRowBytes));
  }

  /// Those of keys [first, count) of an item.
  void emitScores(ImplicitLocOpBuilder &b, const Item &item, Value first) {
    Value held = heldQueries(b, item);
    loop(b, first, item.count, kStep, [&](ImplicitLocOpBuilder &ib, Value t) {
      Value tiles[2]; // none waits for the other
      for (int64_t i = 0; i < 2; ++i)
        tiles[i] = scoresOf(ib, item, plus(ib, t, i * kLanes), held);
      for (int64_t i = 0; i < 2; ++i)
        storeScores(ib, tiles[i], plus(ib, t, i * kLanes));
    });
  }

  Value largestScores(ImplicitLocOpBuilder &b, const Item &item) {
    SmallVector<Value> init(4, splat(b, -INFINITY));
    auto most = scf::ForOp::create(b, zero, item.count, indexConstant(b, kStep), init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
      ImplicitLocOpBuilder ib(l, o);
      SmallVector<Value> next(acc);
      for (int64_t i = 0; i < kStep; ++i)
        next[i % 4] = larger(ib, load(ib, scores, {thread, plus(ib, t, i), zero}), next[i % 4]);
      scf::YieldOp::create(ib, next);
    });
    Value low = larger(b, most.getResult(0), most.getResult(1));
    return larger(b, larger(b, most.getResult(2), most.getResult(3)), low);
  }

  /// Two vectors of f32 as pairs of bf16, to the nearest; what is not a number makes the sum none.
  Value pairsOf(ImplicitLocOpBuilder &b, Value low, Value high) {
    auto bits = VectorType::get({kLanes}, b.getI32Type());
    auto constant = [&](int64_t value) { return arith::ConstantOp::create(b, DenseElementsAttr::get(bits, int32_t(value))); };
    auto rounded = [&](Value x) { return arith::AddIOp::create(b, arith::BitcastOp::create(b, bits, x), constant(0x8000)); };
    Value lowBits = arith::ShRUIOp::create(b, rounded(low), constant(16));
    // (high & 0xffff0000) | low; LLVM would make a slow shuffle of it.
    return LLVM::CallIntrinsicOp::create(
               b, bits, b.getStringAttr("llvm.x86.avx512.pternlog.d.512"),
               ValueRange{rounded(high), constant(0xffff0000), lowBits, arith::ConstantIntOp::create(b, 0xea, 32)})
        .getResult(0);
  }

  /// Earlier results and sums come to a new scale.
  Value rescaled(ImplicitLocOpBuilder &b, Value old, Value now, Value sum) {
    Value worth = exp2(b, arith::SubFOp::create(b, old, now));
    loop(b, zero, indexConstant(b, columnTiles * kLanes), 1, [&](ImplicitLocOpBuilder &ib, Value d) {
      SmallVector<Value> at = {thread, d, zero};
      vector::StoreOp::create(ib, arith::MulFOp::create(ib, load(ib, result, at), worth), result, at);
    });
    return arith::MulFOp::create(b, sum, worth);
  }

  /// Scores to probabilities times 2^largest, in pairs of bf16, while those of `after` take their places.
  void softmax(ImplicitLocOpBuilder &b, const Item &item, const Item &after) {
    SmallVector<Value> most = {thread, zero, zero}, total = {thread, item.sumRow, zero};
    Value isFirst = isZero(b, item.t0), nothing = splat(b, -INFINITY);
    Value old = arith::SelectOp::create(b, isFirst, nothing, load(b, largest, most));
    Value now = larger(b, largestScores(b, item), old);
    vector::StoreOp::create(b, now, largest, most);
    // As long as all is masked by -inf, probabilities are 0, not NaN.
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, now, nothing);
    Value shift = arith::SelectOp::create(b, none, splat(b, 0), now);
    auto before = scf::IfOp::create(
        b, isFirst, [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          scf::YieldOp::create(ib, splat(ib, 0));
        },
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          scf::YieldOp::create(ib, rescaled(ib, old, shift, load(ib, sums, total)));
        });
    Value held = heldQueries(b, after), lastTile = plus(b, after.count, -kStep);
    SmallVector<Value> init(4, splat(b, 0));
    init[0] = before.getResult(0);
    auto all = scf::ForOp::create(b, zero, item.count, indexConstant(b, kStep), init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
      ImplicitLocOpBuilder ib(l, o);
      SmallVector<Value> next(acc);
      Value there = least(ib, t, lastTile); // where `after` has fewer keys, its last ones again
      for (int64_t tile = 0; tile < 2; ++tile) {
        Value product = scoresOf(ib, after, plus(ib, there, tile * kLanes), held);
        for (int64_t i = 0; i < kLanes; i += 2) {
          Value e[2];
          for (int64_t j = 0; j < 2; ++j) {
            Value x = load(ib, scores, {thread, plus(ib, t, tile * kLanes + i + j), zero});
            e[j] = exp2(ib, arith::SubFOp::create(ib, x, shift));
            Value &sum = next[(i + j) % 4];
            sum = arith::AddFOp::create(ib, sum, e[j]);
          }
          storePairs(ib, pairsOf(ib, e[0], e[1]), weights,
                     {thread, stepsOf(ib, t), indexConstant(ib, (tile * kLanes + i) / 2 * kStep)});
        }
        storeScores(ib, product, plus(ib, t, tile * kLanes));
      }
      scf::YieldOp::create(ib, next);
    });
    emitScores(b, after, item.count); // where it has more
    auto both = [&](int64_t i) -> Value { return arith::AddFOp::create(b, all.getResult(i), all.getResult(i + 1)); };
    Value low = both(0);
    vector::StoreOp::create(b, arith::AddFOp::create(b, low, both(2)), sums, total);
  }

  /// result += values of an item's keys times their probabilities.
  void valuesOf(ImplicitLocOpBuilder &b, const Item &item) {
    Value firstStep = stepsOf(b, item.t0), isFirst = isZero(b, item.t0), stride = amx::strideOf(b, amx::kRowBytes);
    for (int64_t n0 = 0; n0 < columnTiles; n0 += kResultTiles) {
      int64_t width = std::min(kResultTiles, columnTiles - n0);
      auto place = [&](int64_t i) { return addressOf(b, result, {indexConstant(b, (n0 + i) * kLanes), zero}); };
      SmallVector<Value> init;
      for (int64_t i = 0; i < width; ++i) {
        Value none = amx::address(b, zeros, indexConstant(b, i * amx::kRowBytes));
        init.push_back(amx::loadTile(b, arith::SelectOp::create(b, isFirst, none, place(i)),
                                     arith::SelectOp::create(b, isFirst, amx::strideOf(b, 0), stride)));
      }
      auto sum = scf::ForOp::create(
          b, zero, stepsOf(b, item.count), one, init, [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
            ImplicitLocOpBuilder ib(l, o);
            SmallVector<Value> next;
            Value rhs = loadTile(ib, weights, {step, zero});
            for (int64_t i = 0; i < width; ++i) {
              Value lhs = loadTile(ib, packedV, {indexConstant(ib, n0 + i), add(ib, firstStep, step), zero});
              next.push_back(amx::multiplyBf16(ib, acc[i], lhs, rhs));
            }
            scf::YieldOp::create(ib, next);
          });
      for (int64_t i = 0; i < width; ++i)
        amx::storeTile(b, sum.getResult(i), place(i), stride);
    }
  }

  void writeResult(ImplicitLocOpBuilder &b, const Item &item) {
    Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, item.isLast, zero);
    scf::IfOp::create(b, isLast, [&](OpBuilder &o, Location l) {
      ImplicitLocOpBuilder ib(l, o);
      Value inverse = arith::DivFOp::create(ib, splat(ib, 1), load(ib, sums, {thread, item.sumRow, zero}));
      SmallVector<std::pair<Value, Value>> place;
      for (int64_t i = 0; i < kLanes; ++i)
        place.push_back(queryAt(ib, item.block, indexConstant(ib, i)));
      for (int64_t n = 0; n < columnTiles; ++n) {
        SmallVector<Value> rows;
        for (int64_t i = 0; i < kLanes; ++i)
          rows.push_back(arith::MulFOp::create(ib, load(ib, result, {thread, indexConstant(ib, n * kLanes + i), zero}), inverse));
        emitTranspose(ib, rows);
        Value d = indexConstant(ib, n * kLanes), lanes = headLanes(ib, n * kLanes);
        for (int64_t i = 0; i < kLanes; ++i) {
          SmallVector<Value> at = {batch, place[i].first, place[i].second, d};
          if (lanes)
            vector::MaskedStoreOp::create(ib, out, at, lanes, rows[i]);
          else
            vector::StoreOp::create(ib, rows[i], out, at);
        }
      }
      scf::YieldOp::create(ib);
    });
  }

  /// Blocks [from, to) of queries of a head.
  void attend(ImplicitLocOpBuilder &b) {
    auto otherRow = [&](ImplicitLocOpBuilder &ib, Value row) { return sub(ib, one, row); };
    Item start = {from, zero, countOf(b, seenOf(b, from), zero), zero, zero};
    if (startsPerQuery())
      fillOwn(b, start);
    emitScores(b, start, zero);
    // Nothing was before the first: it has no keys, and no results.
    SmallVector<Value> none = {from, zero, zero, zero, one};
    auto blocks = scf::ForOp::create(b, from, to, one, none, [&](OpBuilder &blockBuilder, Location l, Value block, ValueRange outer) {
      ImplicitLocOpBuilder ib(l, blockBuilder);
      Value sumRow = otherRow(ib, outer[4]), seen = seenOf(ib, block);
      auto items = scf::ForOp::create(
          ib, zero, seen, indexConstant(ib, kKeys), outer, [&](OpBuilder &itemBuilder, Location tl, Value t0, ValueRange before) {
            ImplicitLocOpBuilder tb(tl, itemBuilder);
            Item previous = Item::of(before);
            Value isLast = arith::CmpIOp::create(tb, arith::CmpIPredicate::ule, sub(tb, seen, t0), indexConstant(tb, kKeys));
            Item item = {block, t0, countOf(tb, seen, t0), arith::SelectOp::create(tb, isLast, one, zero), sumRow};
            // After the last one of all that block again, for nothing.
            Value next = arith::SelectOp::create(tb, isLast, least(tb, plus(tb, block, 1), plus(tb, to, -1)), block);
            Value nextT0 = arith::SelectOp::create(tb, isLast, zero, plus(tb, t0, kKeys));
            Item after = {next, nextT0, countOf(tb, seenOf(tb, next), nextT0), zero, zero};
            valuesOf(tb, previous);
            if (startsPerQuery())
              fillOwn(tb, after);
            softmax(tb, item, after);
            writeResult(tb, previous);
            scf::YieldOp::create(tb, item.values());
          });
      scf::YieldOp::create(ib, items.getResults());
    });
    Item last = Item::of(blocks.getResults());
    valuesOf(b, last);
    writeResult(b, last);
  }

  // The kernel

  void allocate(ImplicitLocOpBuilder &b, Value blocks) {
    auto scratch = [&](ArrayRef<OpFoldResult> sizes, Type element) { return allocPerThread(b, sizes, element); };
    auto constant = [&](int64_t value) -> OpFoldResult { return b.getIndexAttr(value); };
    Type f32 = b.getF32Type(), bf16 = b.getBF16Type();
    Value all = allKeys(b);
    shared = AmxStarts::allocate(b, all, /*queries=*/1, f32);
    if (startsPerQuery())
      own = AmxStarts::allocate(b, indexConstant(b, kKeys), kLanes, f32);
    packedK = scratch({all, constant(depthSteps * kStep)}, bf16);
    packedV = scratch({constant(columnTiles), stepsOf(b, all), constant(kTileSize)}, bf16);
    packedQ = scratch({blocks, constant(depthSteps), constant(kTileSize)}, bf16);
    scores = scratch({constant(kKeys), constant(kLanes)}, f32);
    weights = scratch({constant(kKeys / kStep), constant(kTileSize)}, bf16);
    result = scratch({constant(columnTiles * kLanes), constant(kLanes)}, f32);
    largest = scratch({constant(1), constant(kLanes)}, f32);
    sums = scratch({constant(2), constant(kLanes)}, f32);
  }

  void emit(ImplicitLocOpBuilder &b) {
    zero = indexConstant(b, 0), one = indexConstant(b, 1);
    vectorType = VectorType::get({kLanes}, b.getF32Type());
    auto maskDim = [&](int64_t dim) { return cast<MemRefType>(mask.getType()).getDimSize(dim); };
    hasRowMask = mask && (maskDim(2) != 1 || (maskDim(1) != 1 && group > 1));
    Value heads = dimOf(b, k, 2), blocks = ceilDiv(b, queries, indexConstant(b, kLanes)), batches = dimOf(b, out, 0);
    Value chunkBlocks = amx::blocksPerTask(b, blocks, arith::MulIOp::create(b, batches, heads));
    Value chunks = ceilDiv(b, blocks, chunkBlocks);
    allocate(b, chunkBlocks);
    Value count = product(b, {batches, chunks, heads});
    Value cost = product(b, {keys, chunkBlocks, indexConstant(b, 4 * kLanes * size)});
    ParallelOp::create(b, kernelName("attention", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         thread = range[2];
                         zeros = amx::zeroLines(pb);
                         loop(pb, range[0], range[1], 1, [&](ImplicitLocOpBuilder &hb, Value task) {
                           SmallVector<Value> where = delinearize(hb, task, {batches, chunks, heads});
                           batch = where[0];
                           head = where[2];
                           from = arith::MulIOp::create(hb, where[1], chunkBlocks);
                           to = least(hb, add(hb, from, chunkBlocks), blocks);
                           packKeys(hb);
                           packQueries(hb);
                           fillShared(hb);
                           packValues(hb);
                           attend(hb);
                         });
                       });
  }
};

} // namespace

LogicalResult sq::lowerAmxAttention(RewriterBase &rewriter, AttentionOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  auto dim = [](Value v, int64_t i) { return cast<MemRefType>(v.getType()).getDimSize(i); };
  Emitter e{
      op, op.getQ(), op.getK(), op.getV(), op.getMask(), op.getOuts(), dim(op.getQ(), 2) / dim(op.getK(), 2), dim(op.getQ(), 3)};
  Value places = dimOf(b, op.getQ(), 1);
  e.queries = e.group == 1 ? places : Value(arith::MulIOp::create(b, places, indexConstant(b, e.group)));
  e.keys = dimOf(b, op.getK(), 1);
  e.past = arith::SubIOp::create(b, e.keys, places);
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
