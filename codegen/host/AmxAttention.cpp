//===-- AmxAttention.cpp - attention in bf16 on AMX tiles ----------------------===//
//
// Rows of tiles are queries (of all heads that share keys and values: a row is a pair
// of place and head), 32 at a time. A thread brings the keys and values of a head
// into tiles once: the transposed keys in pairs along the head, the values in
// pairs along the keys. The mask is what the sums of Q K^T begin with. Scores come in
// blocks of keys that stay in L1, with the running maximum and sum of online softmax
// (Milakov and Gimelshein 2018), in base 2; probabilities take the place of the first half
// of their scores. A pair of keys is t and t + 16, for which no value has to change
// its lane.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Transpose.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kRows = 32;    // queries of a block: two tiles
constexpr int64_t kStep = 32;    // keys, or elements of a head, of a tile of bf16
constexpr int64_t kKeys = 256;   // of a block of scores
constexpr int64_t kTogether = 4; // rows of softmax
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
  Value queryTiles = {}, keyTiles = {}, valueTiles = {}; // bf16
  Value shared = {};                                     // f32 [2][keys]: the mask of all queries, twice
  Value scoreRow = {};                                   // floats; not a power of two, for the sake of L1
  Value masks = {};                                      // f32 [kRows][scoreRow]
  Value scores = {};                                     // the same twice
  Value result = {};                                     // f32 [kRows][columnTiles * 16]
  Value largest = {}, sums = {};                         // f32 [kRows], [2 kRows]
  Value waste = {};                                      // f32 [1][16][16]: sums that nothing reads
  Value zeros = {};                                      // 64 zero bytes for each of four tiles
  // One task.
  Value zero = {}, thread = {}, batch = {}, head = {}, first = {}, valid = {};
  VectorType vectorType = {};

  //===-- Small things -------------------------------------------------------===//

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

  /// Tile `index` of [thread][tiles of 1 KB]; `perThread` of them a thread.
  Value tileAddress(ImplicitLocOpBuilder &b, Value memref, Value index) {
    Value perThread = product(b, {dimOf(b, memref, 1), dimOf(b, memref, 2)});
    return amx::address(b, memref, add(b, arith::MulIOp::create(b, thread, perThread), times(b, index, kLanes * kStep)));
  }
  Value rowAddress(ImplicitLocOpBuilder &b, Value memref, Value row, Value column) {
    Value rowSize = dimOf(b, memref, 2);
    Value at = add(b, arith::MulIOp::create(b, thread, dimOf(b, memref, 1)), row);
    return amx::address(b, memref, add(b, arith::MulIOp::create(b, at, rowSize), column));
  }
  Value scoreStride(ImplicitLocOpBuilder &b) { return arith::IndexCastOp::create(b, b.getI64Type(), times(b, scoreRow, 4)); }
  void storeTileRow(ImplicitLocOpBuilder &b, Value row, Value memref, Value tile, Value r) {
    vector::StoreOp::create(b, row, memref, ValueRange{thread, add(b, times(b, tile, kLanes), r), zero});
  }

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

  //===-- Tiles of a head ------------------------------------------------------===//

  /// Keys [32 i, 32 i + 32) of all i: two tiles of transposed keys for each 32 of the head, a tile of values for each 16.
  void packKeys(ImplicitLocOpBuilder &b) {
    loop(b, zero, ceilDiv(b, keys, indexConstant(b, kStep)), 1, [&](ImplicitLocOpBuilder &ib, Value step) {
      Value t0 = times(ib, step, kStep), last = plus(ib, keys, -1);
      // What is past the last key repeats it: its score is masked, its probability 0. (Garbage might be NaN.)
      auto at = [&](int64_t i) { return SmallVector<Value>{batch, arith::MinUIOp::create(ib, plus(ib, t0, i), last), head}; };
      auto bits = VectorType::get({kLanes}, ib.getF32Type());
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t d = 0; d < depthSteps; ++d) {
          SmallVector<Value> rows;
          for (int64_t i = 0; i < kLanes; ++i) {
            SmallVector<Value> token = at(half * kLanes + i);
            Value pairs = amx::toBf16(ib, headPart(ib, k, token, d * kStep), headPart(ib, k, token, d * kStep + kLanes));
            rows.push_back(vector::BitCastOp::create(ib, bits, pairs));
          }
          emitTranspose(ib, rows);
          Value tile = plus(ib, times(ib, plus(ib, times(ib, step, 2), half), depthSteps), d);
          for (int64_t i = 0; i < kLanes; ++i)
            storeTileRow(ib, vector::BitCastOp::create(ib, VectorType::get({kStep}, ib.getBF16Type()), rows[i]), keyTiles, tile,
                         indexConstant(ib, i));
        }
      for (int64_t n = 0; n < columnTiles; ++n)
        for (int64_t i = 0; i < kLanes; ++i) {
          Value both = amx::toBf16(ib, headPart(ib, v, at(i), n * kLanes), headPart(ib, v, at(kLanes + i), n * kLanes));
          SmallVector<int64_t> order;
          for (int64_t j = 0; j < kLanes; ++j)
            llvm::append_values(order, j, kLanes + j);
          storeTileRow(ib, vector::ShuffleOp::create(ib, both, both, order), valueTiles,
                       plus(ib, times(ib, step, columnTiles), n), indexConstant(ib, i));
        }
    });
    // The mask that all queries share; past the last key nothing is seen.
    loop(b, zero, dimOf(b, shared, 2), kLanes, [&](ImplicitLocOpBuilder &ib, Value t) {
      Value lanes = lanesBelow(ib, arith::SubIOp::create(ib, keys, t)), value = splat(ib, 0);
      if (mask && !hasRowMask) {
        value = loadLanes(ib, mask, {maskIndex(0, batch), maskIndex(1, head), zero, t}, lanes); // its head: group is 1
        value = inBase2(ib, value);
      }
      value = arith::SelectOp::create(ib, lanes, value, splat(ib, -INFINITY));
      for (int64_t copy = 0; copy < 2; ++copy)
        vector::StoreOp::create(ib, value, shared, ValueRange{thread, indexConstant(ib, copy), t});
    });
  }

  /// The queries of the block, times the scale, to tiles from that of row `queryRow`; rows past the last one repeat it and are
  /// never written.
  void packQueries(ImplicitLocOpBuilder &b, Value queryRow) {
    Value factor = splat(b, op.getScale().convertToDouble() * kLog2e), last = plus(b, valid, -1);
    loop(b, zero, indexConstant(b, kRows), 1, [&](ImplicitLocOpBuilder &ib, Value r) {
      auto [s, h] = placeOf(ib, add(ib, first, arith::MinUIOp::create(ib, r, last)));
      Value tile = arith::DivUIOp::create(ib, add(ib, queryRow, r), indexConstant(ib, kLanes)),
            row = arith::RemUIOp::create(ib, r, indexConstant(ib, kLanes));
      for (int64_t d = 0; d < depthSteps; ++d) {
        Value part[2];
        for (int64_t half = 0; half < 2; ++half)
          part[half] = arith::MulFOp::create(ib, headPart(ib, q, {batch, s, h}, d * kStep + half * kLanes), factor);
        storeTileRow(ib, amx::toBf16(ib, part[0], part[1]), queryTiles, plus(ib, times(ib, tile, depthSteps), d), row);
      }
    });
  }

  /// What the sums of keys [t0, t0 + count) begin with, by query.
  void rowMasks(ImplicitLocOpBuilder &b, Value t0, Value count) {
    Value last = plus(b, valid, -1);
    SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, kLanes));
    auto indices = VectorType::get({kLanes}, b.getI32Type());
    loop(b, zero, indexConstant(b, kRows), 1, [&](ImplicitLocOpBuilder &rb, Value r) {
      auto [s, h] = placeOf(rb, add(rb, first, arith::MinUIOp::create(rb, r, last)));
      Value lastSeen =
          op.getCausal()
              ? Value(vector::BroadcastOp::create(rb, indices, arith::IndexCastOp::create(rb, rb.getI32Type(), add(rb, s, past))))
              : Value();
      loop(rb, zero, count, kLanes, [&, s = s, h = h](ImplicitLocOpBuilder &ib, Value t) {
        Value key = add(ib, t0, t);
        Value value = load(ib, shared, ValueRange{thread, zero, key});
        if (hasRowMask) {
          Value own = loadLanes(ib, mask, {maskIndex(0, batch), maskIndex(1, h), maskIndex(2, s), key},
                                lanesBelow(ib, arith::SubIOp::create(ib, keys, key)));
          value = arith::AddFOp::create(ib, value, inBase2(ib, own));
        }
        if (lastSeen) {
          Value at = vector::BroadcastOp::create(ib, indices, arith::IndexCastOp::create(ib, ib.getI32Type(), key));
          at = arith::AddIOp::create(ib, at, arith::ConstantOp::create(ib, DenseElementsAttr::get(indices, ArrayRef(lane))));
          Value isSeen = arith::CmpIOp::create(ib, arith::CmpIPredicate::sge, lastSeen, at);
          value = arith::SelectOp::create(ib, isSeen, value, splat(ib, -INFINITY));
        }
        vector::StoreOp::create(ib, value, masks, ValueRange{thread, r, t});
      });
    });
  }

  //===-- A block of queries and of keys ---------------------------------------===//

  /// Scores of keys [t0, t0 + count), count a multiple of 32, to the rows from `row`.
  void scoresOf(ImplicitLocOpBuilder &b, Value t0, Value count, Value row, Value queryRow) {
    bool byRow = hasRowMask || op.getCausal();
    loop(b, zero, count, kStep, [&](ImplicitLocOpBuilder &tb, Value t) {
      SmallVector<Value> init;
      for (int64_t m = 0; m < 2; ++m)
        for (int64_t n = 0; n < 2; ++n) {
          Value from = byRow ? rowAddress(tb, masks, indexConstant(tb, m * kLanes), plus(tb, t, n * kLanes))
                             : rowAddress(tb, shared, indexConstant(tb, m), plus(tb, add(tb, t0, t), n * kLanes));
          init.push_back(amx::loadTile(tb, from, byRow ? scoreStride(tb) : amx::strideOf(tb, 0)));
        }
      Value step = arith::DivUIOp::create(tb, add(tb, t0, t), indexConstant(tb, kStep));
      Value keyTile = times(tb, step, 2 * depthSteps),
            queryTile = arith::DivUIOp::create(tb, queryRow, indexConstant(tb, kLanes));
      auto depth = scf::ForOp::create(
          tb, zero, indexConstant(tb, depthSteps), indexConstant(tb, 1), init,
          [&](OpBuilder &o, Location l, Value d, ValueRange acc) {
            ImplicitLocOpBuilder ib(l, o);
            SmallVector<Value> rhs, lhs, next;
            for (int64_t i = 0; i < 2; ++i) {
              rhs.push_back(amx::loadTile(ib, tileAddress(ib, keyTiles, add(ib, plus(ib, keyTile, i * depthSteps), d)),
                                          amx::strideOf(ib, amx::kRowBytes)));
              lhs.push_back(amx::loadTile(
                  ib, tileAddress(ib, queryTiles, add(ib, plus(ib, d, i * depthSteps), times(ib, queryTile, depthSteps))),
                  amx::strideOf(ib, amx::kRowBytes)));
            }
            for (int64_t i = 0; i < 4; ++i)
              next.push_back(amx::multiplyBf16(ib, acc[i], lhs[i / 2], rhs[i % 2]));
            scf::YieldOp::create(ib, next);
          });
      for (int64_t i = 0; i < 4; ++i)
        amx::storeTile(tb, depth.getResult(i), rowAddress(tb, scores, plus(tb, row, i / 2 * kLanes), plus(tb, t, i % 2 * kLanes)),
                       scoreStride(tb));
    });
  }

  /// Scores to probabilities times 2^largest, in pairs of bf16; earlier results and sums come to the new scale.
  void softmax(ImplicitLocOpBuilder &b, Value t0, Value count, Value row, Value sumRow) {
    Value one = indexConstant(b, kStep), isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, t0, zero);
    auto before = [&](ImplicitLocOpBuilder &ib, Value memref, Value row, double atFirst) -> Value {
      return arith::SelectOp::create(ib, isFirst, number(ib, atFirst),
                                     memref::LoadOp::create(ib, memref, ValueRange{thread, row}));
    };
    Value unread = amx::address(b, waste, times(b, thread, cast<MemRefType>(waste.getType()).getDimSize(1) * kLanes * kLanes));
    amx::loopAwake(b, zero, indexConstant(b, kRows), kTogether, zeros, unread, [&](ImplicitLocOpBuilder &rb, Value r0) {
      SmallVector<Value> rows, init;
      for (int64_t i = 0; i < kTogether; ++i)
        rows.push_back(plus(rb, r0, i));
      auto score = [&](ImplicitLocOpBuilder &ib, int64_t i, Value t, int64_t half) {
        return load(ib, scores, ValueRange{thread, add(ib, row, rows[i]), plus(ib, t, half * kLanes)});
      };
      init.assign(2 * kTogether, splat(rb, -INFINITY));
      auto most = scf::ForOp::create(rb, zero, count, one, init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
        ImplicitLocOpBuilder ib(l, o);
        SmallVector<Value> next;
        for (int64_t i = 0; i < 2 * kTogether; ++i) {
          Value x = score(ib, i / 2, t, i % 2);
          next.push_back(arith::SelectOp::create(ib, arith::CmpFOp::create(ib, arith::CmpFPredicate::OGT, x, acc[i]), x, acc[i]));
        }
        scf::YieldOp::create(ib, next);
      });
      SmallVector<Value> shift;
      for (int64_t i = 0; i < kTogether; ++i) {
        Value x = most.getResult(2 * i), y = most.getResult(2 * i + 1);
        Value larger = arith::SelectOp::create(rb, arith::CmpFOp::create(rb, arith::CmpFPredicate::OGT, x, y), x, y);
        Value old = before(rb, largest, rows[i], -INFINITY);
        Value now = vector::ReductionOp::create(rb, vector::CombiningKind::MAXNUMF, larger, old, arith::FastMathFlags::nnan);
        memref::StoreOp::create(rb, now, largest, ValueRange{thread, rows[i]});
        // As long as all is masked by -inf, probabilities are 0, not NaN.
        Value none = arith::CmpFOp::create(rb, arith::CmpFPredicate::OEQ, now, number(rb, -INFINITY));
        Value from = vector::BroadcastOp::create(rb, vectorType, arith::SelectOp::create(rb, none, number(rb, 0), now));
        shift.push_back(from);
        Value isLater = arith::CmpIOp::create(rb, arith::CmpIPredicate::ne, t0, zero);
        scf::IfOp::create(rb, isLater, [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          Value worth = exp2(ib, arith::SubFOp::create(ib, vector::BroadcastOp::create(ib, vectorType, old), from));
          Value sum = memref::LoadOp::create(ib, sums, ValueRange{thread, add(ib, sumRow, rows[i])});
          memref::StoreOp::create(ib, arith::MulFOp::create(ib, sum, vector::ExtractOp::create(ib, worth, 0)), sums,
                                  ValueRange{thread, add(ib, sumRow, rows[i])});
          for (int64_t n = 0; n < columnTiles; ++n) {
            SmallVector<Value> at = {thread, rows[i], indexConstant(ib, n * kLanes)};
            vector::StoreOp::create(ib, arith::MulFOp::create(ib, load(ib, result, at), worth), result, at);
          }
          scf::YieldOp::create(ib);
        });
      }
      init.assign(2 * kTogether, splat(rb, 0));
      auto total = scf::ForOp::create(rb, zero, count, one, init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
        ImplicitLocOpBuilder ib(l, o);
        auto bits = VectorType::get({kLanes}, ib.getI32Type());
        auto constant = [&](int64_t value) {
          return arith::ConstantOp::create(ib, DenseElementsAttr::get(bits, int32_t(value)));
        };
        Value at = arith::DivUIOp::create(ib, t, indexConstant(ib, 2));
        SmallVector<Value> next, packed;
        for (int64_t i = 0; i < kTogether; ++i) {
          Value half[2];
          for (int64_t j = 0; j < 2; ++j) {
            Value e = exp2(ib, arith::SubFOp::create(ib, score(ib, i, t, j), shift[i]));
            next.push_back(arith::AddFOp::create(ib, acc[2 * i + j], e));
            // To the nearest; what is not a number makes the sum none.
            half[j] = arith::AddIOp::create(ib, arith::BitcastOp::create(ib, bits, e), constant(0x8000));
          }
          half[0] = arith::ShRUIOp::create(ib, half[0], constant(16));
          // (half[1] & 0xffff0000) | half[0]; LLVM would make a slow shuffle of it.
          Value both = LLVM::CallIntrinsicOp::create(
                           ib, bits, ib.getStringAttr("llvm.x86.avx512.pternlog.d.512"),
                           ValueRange{half[1], constant(0xffff0000), half[0], arith::ConstantIntOp::create(ib, 0xea, 32)})
                           .getResult(0);
          packed.push_back(arith::BitcastOp::create(ib, vectorType, both));
        }
        for (int64_t i = 0; i < kTogether; ++i)
          vector::StoreOp::create(ib, packed[i], scores, ValueRange{thread, add(ib, row, rows[i]), at});
        scf::YieldOp::create(ib, next);
      });
      for (int64_t i = 0; i < kTogether; ++i) {
        Value both = arith::AddFOp::create(rb, total.getResult(2 * i), total.getResult(2 * i + 1));
        Value sum = before(rb, sums, add(rb, sumRow, rows[i]), 0);
        sum = arith::AddFOp::create(
            rb, sum, vector::ReductionOp::create(rb, vector::CombiningKind::ADD, both, arith::FastMathFlags::reassoc));
        memref::StoreOp::create(rb, sum, sums, ValueRange{thread, add(rb, sumRow, rows[i])});
      }
    });
  }

  /// result += probabilities of keys [t0, t0 + count) times values.
  void valuesOf(ImplicitLocOpBuilder &b, Value t0, Value count, Value row) {
    Value firstStep = arith::DivUIOp::create(b, t0, indexConstant(b, kStep)),
          steps = arith::DivUIOp::create(b, count, indexConstant(b, kStep));
    Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, t0, zero);
    Value resultStride = amx::strideOf(b, columnTiles * amx::kRowBytes);
    for (int64_t n0 = 0; n0 < columnTiles; n0 += 2) {
      int64_t width = std::min<int64_t>(2, columnTiles - n0);
      auto place = [&](ImplicitLocOpBuilder &ib, int64_t i) {
        return rowAddress(ib, result, indexConstant(ib, i / width * kLanes), indexConstant(ib, (n0 + i % width) * kLanes));
      };
      SmallVector<Value> init;
      for (int64_t i = 0; i < 2 * width; ++i) {
        Value none = amx::address(b, zeros, indexConstant(b, i * amx::kRowBytes));
        init.push_back(amx::loadTile(b, arith::SelectOp::create(b, isFirst, none, place(b, i)),
                                     arith::SelectOp::create(b, isFirst, amx::strideOf(b, 0), resultStride)));
      }
      auto sum = scf::ForOp::create(
          b, zero, steps, indexConstant(b, 1), init, [&](OpBuilder &o, Location l, Value step, ValueRange acc) {
            ImplicitLocOpBuilder ib(l, o);
            SmallVector<Value> lhs, rhs, next;
            for (int64_t n = 0; n < width; ++n) {
              Value tile = plus(ib, times(ib, add(ib, firstStep, step), columnTiles), n0 + n);
              rhs.push_back(amx::loadTile(ib, tileAddress(ib, valueTiles, tile), amx::strideOf(ib, amx::kRowBytes)));
            }
            for (int64_t m = 0; m < 2; ++m)
              lhs.push_back(
                  amx::loadTile(ib, rowAddress(ib, scores, plus(ib, row, m * kLanes), times(ib, step, kLanes)), scoreStride(ib)));
            for (int64_t i = 0; i < 2 * width; ++i)
              next.push_back(amx::multiplyBf16(ib, acc[i], lhs[i / width], rhs[i % width]));
            scf::YieldOp::create(ib, next);
          });
      for (int64_t i = 0; i < 2 * width; ++i)
        amx::storeTile(b, sum.getResult(i), place(b, i), resultStride);
    }
  }

  /// A block of keys and one of queries, and where their scores, the queries' tiles and sums lie: two places each, by turns.
  struct Item {
    Value t0, count, first, valid, scoreRow, sumRow;

    static Item of(ValueRange v) { return {v[0], v[1], v[2], v[3], v[4], v[5]}; }
    SmallVector<Value> values() const { return {t0, count, first, valid, scoreRow, sumRow}; }
  };

  void writeResult(ImplicitLocOpBuilder &b, const Item &item) {
    loop(b, zero, item.valid, 1, [&](ImplicitLocOpBuilder &ib, Value r) {
      auto [s, h] = placeOf(ib, add(ib, item.first, r));
      Value sum = memref::LoadOp::create(ib, sums, ValueRange{thread, add(ib, item.sumRow, r)});
      Value inverse = vector::BroadcastOp::create(ib, vectorType, arith::DivFOp::create(ib, number(ib, 1), sum));
      for (int64_t n = 0; n < columnTiles; ++n) {
        Value d = indexConstant(ib, n * kLanes), lanes = headLanes(ib, n * kLanes);
        Value y = arith::MulFOp::create(ib, load(ib, result, ValueRange{thread, r, d}), inverse);
        if (lanes)
          vector::MaskedStoreOp::create(ib, out, ValueRange{batch, s, h, d}, lanes, y);
        else
          vector::StoreOp::create(ib, y, out, ValueRange{batch, s, h, d});
      }
    });
  }

  /// Blocks [from, to) of queries of a head. What was only just written is slow to load as a tile or from one, so that between
  /// the steps of an item are those of its neighbours; and products that come together leave the vector units alone for longer.
  void attend(ImplicitLocOpBuilder &b, Value from, Value to) {
    Value perBlock = indexConstant(b, kRows), one = indexConstant(b, 1);
    auto select = [&](ImplicitLocOpBuilder &ib, Value block) { // where
      first = times(ib, block, kRows);
      valid = arith::MinUIOp::create(ib, perBlock, arith::SubIOp::create(ib, queries, first));
    };
    auto otherRow = [&](ImplicitLocOpBuilder &ib, Value row) -> Value { return arith::SubIOp::create(ib, perBlock, row); };
    select(b, from);
    packQueries(b, zero);
    // Nothing was before the first: none of its rows are valid.
    SmallVector<Value> none = {zero, zero, zero, zero, perBlock, perBlock};
    auto blocks =
        scf::ForOp::create(b, from, to, one, none, [&](OpBuilder &blockBuilder, Location l, Value block, ValueRange outer) {
          ImplicitLocOpBuilder ib(l, blockBuilder);
          Value sumRow = otherRow(ib, outer[5]), next = plus(ib, block, 1);
          select(ib, block);
          Value here = first, rows = valid, seen = keys;
          if (op.getCausal()) {
            Value last = add(ib, here, plus(ib, rows, -1));
            seen = arith::MinSIOp::create(ib, keys, plus(ib, add(ib, placeOf(ib, last).first, past), 1));
          }
          seen = arith::MaxSIOp::create(ib, seen, one); // one that is masked, where there is none
          auto items = scf::ForOp::create(
              ib, zero, seen, indexConstant(ib, kKeys), outer,
              [&](OpBuilder &itemBuilder, Location tl, Value t0, ValueRange before) {
                ImplicitLocOpBuilder tb(tl, itemBuilder);
                Item previous = Item::of(before);
                Value left = arith::SubIOp::create(tb, seen, t0), most = indexConstant(tb, kKeys),
                      row = otherRow(tb, previous.scoreRow);
                Value isLast = arith::CmpIOp::create(tb, arith::CmpIPredicate::ule, left, most);
                Value count = times(tb, ceilDiv(tb, arith::MinUIOp::create(tb, most, left), indexConstant(tb, kStep)), kStep);
                first = here;
                valid = rows;
                if (hasRowMask || op.getCausal())
                  rowMasks(tb, t0, count);
                scoresOf(tb, t0, count, row, sumRow);
                valuesOf(tb, previous.t0, previous.count, previous.scoreRow);
                Value hasNext = arith::AndIOp::create(tb, isLast, arith::CmpIOp::create(tb, arith::CmpIPredicate::ult, next, to));
                scf::IfOp::create(tb, hasNext, [&](OpBuilder &o, Location at) {
                  ImplicitLocOpBuilder nb(at, o);
                  select(nb, next);
                  packQueries(nb, otherRow(nb, sumRow));
                  scf::YieldOp::create(nb);
                });
                softmax(tb, t0, count, row, sumRow);
                writeResult(tb, previous);
                scf::YieldOp::create(
                    tb, Item{t0, count, here, arith::SelectOp::create(tb, isLast, rows, zero), row, sumRow}.values());
              });
          scf::YieldOp::create(ib, items.getResults());
        });
    Item last = Item::of(blocks.getResults());
    valuesOf(b, last.t0, last.count, last.scoreRow);
    writeResult(b, last);
  }

  void emit(ImplicitLocOpBuilder &b) {
    zero = indexConstant(b, 0);
    vectorType = VectorType::get({kLanes}, b.getF32Type());
    auto maskDim = [&](int64_t dim) { return cast<MemRefType>(mask.getType()).getDimSize(dim); };
    hasRowMask = mask && (maskDim(2) != 1 || (maskDim(1) != 1 && group > 1));
    Value steps = arith::MaxUIOp::create(b, ceilDiv(b, keys, indexConstant(b, kStep)), indexConstant(b, 1));
    auto scratch = [&](ArrayRef<OpFoldResult> sizes, Type element) { return allocPerThread(b, sizes, element); };
    auto constant = [&](int64_t value) -> OpFoldResult { return b.getIndexAttr(value); };
    Type f32 = b.getF32Type(), bf16 = b.getBF16Type();
    scoreRow = plus(b, arith::MinUIOp::create(b, times(b, steps, kStep), indexConstant(b, kKeys)), kLanes);
    queryTiles = scratch({constant(4 * depthSteps * kLanes), constant(kStep)}, bf16);
    keyTiles = scratch({times(b, steps, 2 * depthSteps * kLanes), constant(kStep)}, bf16);
    valueTiles = scratch({times(b, steps, columnTiles * kLanes), constant(kStep)}, bf16);
    shared = scratch({constant(2), times(b, steps, kStep)}, f32);
    if (hasRowMask || op.getCausal())
      masks = scratch({constant(kRows), scoreRow}, f32);
    scores = scratch({constant(2 * kRows), scoreRow}, f32);
    result = scratch({constant(kRows), constant(columnTiles * kLanes)}, f32);
    largest = scratch({constant(kRows)}, f32);
    sums = scratch({constant(2 * kRows)}, f32);
    waste = scratch({constant(1), constant(kLanes), constant(kLanes)}, f32);

    Value heads = dimOf(b, k, 2), rows = indexConstant(b, kRows);
    Value blocks = ceilDiv(b, queries, rows), batches = dimOf(b, out, 0);
    Value chunkBlocks = amx::blocksPerTask(b, blocks, arith::MulIOp::create(b, batches, heads));
    Value chunks = ceilDiv(b, blocks, chunkBlocks);
    Value count = product(b, {batches, chunks, heads});
    Value cost = product(b, {keys, chunkBlocks, indexConstant(b, 4 * kRows * size)});
    ParallelOp::create(b, kernelName("attention", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         thread = range[2];
                         zeros = amx::zeroLines(pb);
                         loop(pb, range[0], range[1], 1, [&](ImplicitLocOpBuilder &hb, Value task) {
                           SmallVector<Value> where = delinearize(hb, task, {batches, chunks, heads});
                           batch = where[0];
                           head = where[2];
                           packKeys(hb);
                           Value from = arith::MulIOp::create(hb, where[1], chunkBlocks);
                           Value to = arith::MinUIOp::create(hb, arith::AddIOp::create(hb, from, chunkBlocks), blocks);
                           attend(hb, from, to);
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
