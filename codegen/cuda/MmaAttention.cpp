//===-- MmaAttention.cpp - attention with online softmax by mma.sync
//----------===//
//
// A warp has 16 queries, and their scores with the 64 keys of a tile in
// registers. The layout of mma's sums is that of its left factor: scores become
// probabilities where they are and multiply the values (FlashAttention-2, Dao
// 2023, section 3). The four lanes of a row share its maximum in every tile,
// its sum only at the end. Causal blocks stop at the last key that one of their
// queries sees.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/MmaAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kMostHeadSize =
    128; // of which a lane keeps two rows' quarters in registers
constexpr int64_t kPiece = 8; // 16-bit factors in 16 bytes
constexpr int64_t kLanes = 4; // that share a row
constexpr int64_t kDeep = 16; // of mma.m16n8k16

MemRefType typeOf(Value memref) { return cast<MemRefType>(memref.getType()); }
Value add(ImplicitLocOpBuilder &b, Value a, Value c) {
  return b.createOrFold<arith::AddIOp>(a, c);
}
Value times(ImplicitLocOpBuilder &b, Value a, int64_t c) {
  return b.createOrFold<arith::MulIOp>(a, indexConstant(b, c));
}
Value over(ImplicitLocOpBuilder &b, Value a, int64_t c) {
  return b.createOrFold<arith::DivUIOp>(a, indexConstant(b, c));
}
Value mod(ImplicitLocOpBuilder &b, Value a, int64_t c) {
  return b.createOrFold<arith::RemUIOp>(a, indexConstant(b, c));
}
Value lowest(ImplicitLocOpBuilder &b) {
  return f32Constant(b, -std::numeric_limits<double>::infinity());
}
Value maximum(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::MaximumFOp::create(b, x, y);
}
Value sum(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}

/// e^(x - shift), by the device's instruction for 2^x (2 ulp): the result is
/// rounded to 16 bits. The difference first: both may be -3.4e38.
Value expOf(ImplicitLocOpBuilder &b, Value x, Value shift) {
  Value difference = arith::SubFOp::create(b, x, shift);
  return LLVM::Exp2Op::create(
      b,
      arith::MulFOp::create(b, difference, f32Constant(b, 1.4426950408889634)));
}

} // namespace

bool MmaAttention::fits(AttentionOp op) {
  Type element = typeOf(op.getK()).getElementType();
  int64_t size = typeOf(op.getQ()).getDimSize(3);
  auto isReadable = [&](Value v) { // as a factor, without a step in between
    Type type = typeOf(v).getElementType();
    return type == element || type.isF32();
  };
  return (element.isF16() || element.isBF16()) && size > 0 &&
         size % kPiece == 0 && size <= kMostHeadSize && isReadable(op.getQ()) &&
         isReadable(op.getV());
}

MmaAttention::MmaAttention(AttentionOp op)
    : op(op), q(op.getQ()), k(op.getK()), v(op.getV()), mask(op.getMask()),
      out(op.getOuts()), size(typeOf(q).getDimSize(3)),
      padded(llvm::alignTo(size, kDeep)),
      group(typeOf(q).getDimSize(2) / typeOf(k).getDimSize(2)),
      factors(MmaProduct::factorsOf(typeOf(k).getElementType())) {}

/// 64 rows of [batch, from.., sourceHead, :] below `count` into shared memory;
/// zeros beyond.
void MmaAttention::load(ImplicitLocOpBuilder &b, Value thread, Value source,
                        Value from, Value count, Value sourceHead,
                        Value slice) {
  int64_t pieces = padded / kPiece;
  auto wide = VectorType::get({kPiece}, b.getF32Type()),
       narrow = VectorType::get({kPiece}, factorType(b, factors));
  bool together = hasAlignedRows(source, kPiece),
       isShort = !typeOf(source).getElementType().isF32();
  Value last = arith::SubIOp::create(b, count, indexConstant(b, 1));
  Value nothing = arith::ConstantOp::create(b, b.getZeroAttr(narrow));
  Values found, places;
  for (int64_t i = 0; i < kKeys * pieces / kThreads; ++i) {
    Value index = plus(b, thread, i * kThreads), row = over(b, index, pieces),
          d = times(b, mod(b, index, pieces), kPiece);
    Value place = add(b, from, row), exists = below(b, place, count);
    place = arith::MinUIOp::create(b, place, last);
    Value column = d;
    if (size != padded) {
      exists =
          arith::AndIOp::create(b, exists, below(b, d, indexConstant(b, size)));
      column = arith::MinUIOp::create(b, d, indexConstant(b, size - kPiece));
    }
    Value x;
    if (together && isShort) {
      x = vector::LoadOp::create(b, narrow, source,
                                 ValueRange{batch, place, sourceHead, column},
                                 false, alignmentOf(narrow));
    } else {
      if (together) {
        x = loadVectorF32(b, kPiece, source,
                          {batch, place, sourceHead, column});
      } else {
        Values all;
        for (int64_t j = 0; j < kPiece; ++j)
          all.push_back(loadF32(
              b, source, {batch, place, sourceHead, plus(b, column, j)}));
        x = vector::FromElementsOp::create(b, wide, all);
      }
      x = arith::TruncFOp::create(b, narrow, x);
    }
    found.push_back(arith::SelectOp::create(b, exists, x, nothing));
    places.append({row, d});
  }
  for (auto [i, x] : llvm::enumerate(found)) // after all loads
    vector::StoreOp::create(b, x, slice,
                            ValueRange{places[2 * i], places[2 * i + 1]}, false,
                            llvm::Align(16));
}

/// Sums of q k^T: 16 queries by 64 keys, four for each eight keys.
MmaAttention::Values MmaAttention::scores(ImplicitLocOpBuilder &b,
                                          ArrayRef<Value> fragmentsQ) {
  Values sums(kSums, f32Constant(b, 0.0));
  // Keys 0-7 and 8-15 by d 0-7 and 8-15: the columns of k^T.
  Value row = add(b, times(b, over(b, lane, 16), 8), mod(b, lane, 8)),
        column = times(b, mod(b, over(b, lane, 8), 2), 8);
  for (int64_t d = 0; d < padded / kDeep; ++d)
    for (int64_t j = 0; j < kKeys / 16; ++j) {
      Values two = loadMatrices(
          b, sliceK, {plus(b, row, j * 16), plus(b, column, d * kDeep)}, 4,
          /*transposed=*/false);
      for (int64_t half = 0; half < 2; ++half)
        multiplyFragments(b, factors, fragmentsQ.slice(d * 4, 4),
                          ArrayRef(two).slice(half * 2, 2),
                          MutableArrayRef(sums).slice((2 * j + half) * 4, 4));
    }
  return sums;
}

/// Scale and mask; -inf where a key is not seen.
void MmaAttention::finishScores(ImplicitLocOpBuilder &b, Value firstKey,
                                MutableArrayRef<Value> scores) {
  Value scale = arith::ConstantOp::create(b, op.getScaleAttr()),
        none = lowest(b);
  Value lastKey = arith::SubIOp::create(b, keyCount, indexConstant(b, 1));
  auto maskIndex = [&](int64_t dim, Value index) {
    return typeOf(mask).getDimSize(dim) == 1 ? zero : index;
  };
  Value lastQuery = arith::SubIOp::create(b, queries, indexConstant(b, 1));
  for (int64_t i = 0; i < kSums; ++i) {
    Value key = add(
              b, firstKey,
              plus(b, times(b, mod(b, lane, kLanes), 2), i / 4 * 8 + i % 2)),
          place = query[i / 2 % 2];
    Value score = arith::MulFOp::create(b, scores[i], scale),
          seen = below(b, key, keyCount);
    if (mask) {
      Value known = arith::MinUIOp::create(b, key, lastKey),
            row = arith::MinUIOp::create(b, place, lastQuery);
      score = sum(b, score,
                  loadF32(b, mask,
                          {maskIndex(0, batch), maskIndex(1, head),
                           maskIndex(2, row), maskIndex(3, known)}));
    }
    if (op.getCausal()) // key <= query + (T - S), without a negative number
      seen = arith::AndIOp::create(
          b, seen,
          arith::CmpIOp::create(b, arith::CmpIPredicate::ule,
                                add(b, key, queries), add(b, place, keyCount)));
    scores[i] = arith::SelectOp::create(b, seen, score, none);
  }
}

/// One tile of keys; `state`: of both rows the maximum and this lane's part of
/// the sum, then the results so far.
MmaAttention::Values MmaAttention::tile(ImplicitLocOpBuilder &b,
                                        ArrayRef<Value> fragmentsQ,
                                        Value firstKey, ValueRange state) {
  Values s = scores(b, fragmentsQ), next(state.begin(), state.end());
  finishScores(b, firstKey, s);
  Value rescale[2];
  for (int64_t r = 0; r < 2; ++r) {
    Value most = state[r];
    for (int64_t i = 0; i < kSums; ++i)
      if (i / 2 % 2 == r)
        most = maximum(b, most, s[i]);
    most = reduceLanes(b, most, kLanes, maximum);
    // A row without a key so far keeps its maximum of -inf; -inf - -inf is
    // none.
    Value unseen =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most, lowest(b));
    Value shift = arith::SelectOp::create(b, unseen, f32Constant(b, 0.0), most);
    rescale[r] = expOf(b, state[r], shift);
    Value total = arith::MulFOp::create(b, state[2 + r], rescale[r]);
    for (int64_t i = 0; i < kSums; ++i)
      if (i / 2 % 2 == r) {
        s[i] = expOf(b, s[i], shift);
        total = sum(b, total, s[i]);
      }
    next[r] = most;
    next[2 + r] = total;
  }
  for (int64_t i = 4; i < static_cast<int64_t>(next.size()); ++i)
    next[i] = arith::MulFOp::create(b, next[i], rescale[i / 2 % 2]);
  auto two = VectorType::get({2}, b.getF32Type());
  for (int64_t key = 0; key < kKeys / kDeep; ++key) {
    Values weights; // (group, k), (group + 8, k), (group, k + 8), (group + 8, k
                    // + 8)
    for (int64_t i = 0; i < 4; ++i) {
      Value pair = vector::FromElementsOp::create(
          b, two, ArrayRef(s).slice(key * 8 + i * 2, 2));
      weights.push_back(asRegister(
          b,
          arith::TruncFOp::create(b, two.clone(factorType(b, factors)), pair)));
    }
    for (int64_t d = 0; d < padded / 16; ++d) {
      Value row = plus(b, mod(b, lane, 16), key * kDeep),
            column = plus(b, times(b, over(b, lane, 16), 8), d * 16);
      Values values =
          loadMatrices(b, sliceV, {row, column}, 4, /*transposed=*/true);
      for (int64_t half = 0; half < 2; ++half)
        multiplyFragments(
            b, factors, weights, ArrayRef(values).slice(half * 2, 2),
            MutableArrayRef(next).slice(4 + (2 * d + half) * 4, 4));
    }
  }
  return next;
}

void MmaAttention::store(ImplicitLocOpBuilder &b, ValueRange state) {
  auto two = VectorType::get({2}, b.getF32Type());
  for (int64_t r = 0; r < 2; ++r) {
    Value total = reduceLanes(b, state[2 + r], kLanes, sum);
    onlyIf(b, below(b, query[r], queries), [&](ImplicitLocOpBuilder &ib) {
      for (int64_t d = 0; d < size / 8; ++d) {
        Values pair;
        for (int64_t i = 0; i < 2; ++i)
          pair.push_back(
              arith::DivFOp::create(ib, state[4 + d * 4 + r * 2 + i], total));
        Value column = plus(ib, times(ib, mod(ib, lane, kLanes), 2), d * 8);
        if (hasAlignedRows(out, 2)) {
          storeF32(ib, vector::FromElementsOp::create(ib, two, pair), out,
                   {batch, query[r], head, column});
          continue;
        }
        for (int64_t i = 0; i < 2; ++i)
          storeF32(ib, pair[i], out,
                   {batch, query[r], head, plus(ib, column, i)});
      }
    });
  }
}

void MmaAttention::body(Thread &t) {
  ImplicitLocOpBuilder &b = t.b;
  zero = indexConstant(b, 0);
  Value first = times(b, arith::RemUIOp::create(b, t.block, tiles), kQueries);
  Value rest = arith::DivUIOp::create(b, t.block, tiles);
  head = arith::RemUIOp::create(b, rest, heads);
  batch = arith::DivUIOp::create(b, rest, heads);
  keyHead = group == 1 ? head : over(b, head, group);
  lane = mod(b, t.thread, kWarp);
  Value firstRow = times(b, over(b, t.thread, kWarp), kDeep);
  for (int64_t r = 0; r < 2; ++r)
    query[r] =
        add(b, first, plus(b, add(b, firstRow, over(b, lane, kLanes)), r * 8));
  Type element = factorType(b, factors);
  int64_t bytes = kKeys * pitch() * 2;
  sliceQ = sharedView(t, 0, {kQueries, pitch()}, element);
  sliceK = sharedView(t, bytes, {kKeys, pitch()}, element);
  sliceV = sharedView(t, 2 * bytes, {kKeys, pitch()}, element);
  load(b, t.thread, q, first, queries, head, sliceQ);
  gpu::BarrierOp::create(b);
  Values fragmentsQ;
  for (int64_t d = 0; d < padded / kDeep; ++d)
    fragmentsQ.append(
        loadMatrices(b, sliceQ,
                     {add(b, firstRow, mod(b, lane, 16)),
                      plus(b, times(b, over(b, lane, 16), 8), d * kDeep)},
                     4, /*transposed=*/false));
  Value end = keyCount;
  if (op.getCausal()) {
    // Keys up to T - S + the last query of the block; none when that is
    // negative.
    Value reach = add(b, plus(b, first, kQueries), keyCount);
    Value none = below(b, reach, queries);
    Value seen = arith::SelectOp::create(
        b, none, zero, arith::SubIOp::create(b, reach, queries));
    end = arith::MinUIOp::create(b, end, seen);
  }
  Values init = {lowest(b), lowest(b)};
  init.append(2 + padded / 8 * 4, f32Constant(b, 0.0));
  auto loop = scf::ForOp::create(
      b, zero, end, indexConstant(b, kKeys), init,
      [&](OpBuilder &o, Location l, Value key, ValueRange state) {
        ImplicitLocOpBuilder ib(l, o);
        gpu::BarrierOp::create(ib); // the tile before is read
        load(ib, t.thread, k, key, keyCount, keyHead, sliceK);
        load(ib, t.thread, v, key, keyCount, keyHead, sliceV);
        gpu::BarrierOp::create(ib);
        scf::YieldOp::create(ib, tile(ib, fragmentsQ, key, state));
      });
  store(b, loop.getResults());
}

void MmaAttention::emit(ImplicitLocOpBuilder &b) {
  queries = dimOf(b, q, 1);
  keyCount = dimOf(b, k, 1);
  heads = dimOf(b, q, 2);
  tiles = ceilDiv(b, queries, indexConstant(b, kQueries));
  Value blocks = product(b, {dimOf(b, q, 0), heads, tiles});
  gpu::LaunchOp op =
      launchDynamic(b, "attention", {blocks}, kThreads, 3 * kKeys * pitch() * 2,
                    [&](Thread &t) { body(t); });
  // As many as registers allow without spills.
  op->setAttr("sq.min_blocks", b.getI64IntegerAttr(padded <= 32 ? 4 : 2));
}
