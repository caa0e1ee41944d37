//===-- IntAttention.cpp - attention of bytes as one kernel -------------------===//
//
// A task is some queries of a head of the keys: K and V of that head are packed by
// fours once, then a few queries at a time go through scores, softmax, the sum of
// values and its division, in scratch memory that stays in L1. Lanes are keys in the
// first two, elements of a head in the last two. K is the unsigned factor of its
// product: what an offset of K adds is the same for all keys of a query, and softmax
// sees differences only.
//
// All is 32-bit arithmetic but the last step, which is two products an element. What
// divides is either constant, and then a product that is right or one too small, or
// once a row.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/Kernels.h"
#include "dialects/sq/IR/IntegerOps.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kProductsPerThread = 1 << 19;
/// Queries of a task: enough that packing K and V for them does not count.
constexpr int64_t kTaskRows = 64;

struct Emitter {
  IntAttentionOp op;
  const TiledTarget &target;
  Value q, k, v, keep, out;
  int64_t size, group; // elements of a head; heads that share keys
  int64_t lanes, keyVectors, rowsOfTile, blockRows;
  int64_t resultVectors; // of a head
  VectorType sums, bytes, quads; // i32, one byte and four bytes a lane
  Value queries, keys, keyHeads, past;
  Value zero, one;
  // [threads][..] each.
  Value packedK; // [tiles of keys * size / 4][4 * lanes]
  Value packedV; // [keys / 4][4 * lanes * resultVectors]
  Value scores;  // i32 [blockRows][keys, whole tiles]
  Value weights; // i8, like scores
  Value seen;    // i8 [keys, whole tiles]: 2 kept, 1 masked, 0 no key
  Value results; // i32 [blockRows][lanes * resultVectors]
  Value divisors; // i64 [blockRows][2]: reciprocal and shift
  // A task.
  Value thread, batch, keyHead;

  Emitter(IntAttentionOp op, const TiledTarget &target) : op(op), target(target), out(op.getOuts()), lanes(target.lanes) {
    auto type = [](Value v) { return cast<MemRefType>(v.getType()); };
    size = type(op.getQ()).getDimSize(3);
    group = type(op.getQ()).getDimSize(2) / type(op.getK()).getDimSize(2);
    // 8 of 16 or 24 of 32 registers for sums; without VNNI operands and products take several.
    keyVectors = lanes == 16 ? 4 : 2;
    rowsOfTile = target.vnni ? 6 : 4;
    blockRows = 2 * rowsOfTile;
    resultVectors = llvm::divideCeil(size, lanes);
  }

  //===-- Vectors --------------------------------------------------------------===//

  Value splat(ImplicitLocOpBuilder &b, int64_t value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(sums, b.getI32IntegerAttr(value)));
  }
  Value wide(ImplicitLocOpBuilder &b, Value v) { return arith::ExtSIOp::create(b, VectorType::get({lanes}, b.getI64Type()), v); }
  Value wideSplat(ImplicitLocOpBuilder &b, int64_t value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(VectorType::get({lanes}, b.getI64Type()), b.getI64IntegerAttr(value)));
  }
  Value at(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value times(ImplicitLocOpBuilder &b, Value x, int64_t y) { return b.createOrFold<arith::MulIOp>(x, indexConstant(b, y)); }
  Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value mul(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value shr(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::ShRUIOp::create(b, x, y); }

  /// Four bytes of `memref` at `index`, in every lane.
  Value broadcastQuad(ImplicitLocOpBuilder &b, Value memref, ValueRange index) {
    Value four = vector::LoadOp::create(b, VectorType::get({4}, b.getI8Type()), memref, index);
    Value quad = vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()), four);
    return vector::BroadcastOp::create(b, sums, vector::ExtractOp::create(b, quad, 0));
  }

  //===-- Packing --------------------------------------------------------------===//

  /// Key by key, four bytes of it go to its lane of each row.
  void packKeys(ImplicitLocOpBuilder &b) {
    auto four = VectorType::get({4}, b.getI8Type());
    Value offset = arith::ConstantOp::create(b, DenseElementsAttr::get(four, b.getI8IntegerAttr(-128)));
    loop(b, zero, keys, 1, [&](ImplicitLocOpBuilder &kb, Value t) {
      Value width = indexConstant(kb, lanes);
      Value tile = arith::DivUIOp::create(kb, t, width), lane = times(kb, arith::RemUIOp::create(kb, t, width), 4);
      Value first = times(kb, tile, size / 4);
      for (int64_t d = 0; d < size; d += 4) {
        Value x = vector::LoadOp::create(kb, four, k, ValueRange{batch, t, keyHead, indexConstant(kb, d)});
        if (!op.getKUnsigned())
          x = arith::XOrIOp::create(kb, x, offset);
        vector::StoreOp::create(kb, x, packedK, ValueRange{thread, plus(kb, first, d / 4), lane});
      }
    });
  }

  /// Element by element, the bytes of four keys side by side. Of keys that do not exist the last one's:
  /// their weight is 0.
  void packValues(ImplicitLocOpBuilder &b) {
    int64_t chunk = 4;
    while (size % (2 * chunk) == 0 && chunk < 16)
      chunk *= 2;
    auto part = VectorType::get({chunk}, b.getI8Type());
    auto interleave = [](ImplicitLocOpBuilder &ib, Value x, Value y) -> Value {
      int64_t n = cast<VectorType>(x.getType()).getNumElements();
      SmallVector<int64_t> order;
      for (int64_t i = 0; i < n; ++i)
        order.append({i, n + i});
      return vector::ShuffleOp::create(ib, x, y, order);
    };
    Value last = arith::SubIOp::create(b, keys, one);
    loop(b, zero, ceilDiv(b, keys, indexConstant(b, 4)), 1, [&](ImplicitLocOpBuilder &kb, Value four) {
      Value t = times(kb, four, 4);
      for (int64_t d = 0; d < size; d += chunk) {
        Value row[4];
        for (int64_t i = 0; i < 4; ++i)
          row[i] = vector::LoadOp::create(
              kb, part, v, ValueRange{batch, arith::MinUIOp::create(kb, plus(kb, t, i), last), keyHead, indexConstant(kb, d)});
        Value all = interleave(kb, interleave(kb, row[0], row[2]), interleave(kb, row[1], row[3]));
        vector::StoreOp::create(kb, all, packedV, ValueRange{thread, four, indexConstant(kb, 4 * d)});
      }
    });
  }

  Value keepIndex(int64_t dim, Value index) {
    return cast<MemRefType>(keep.getType()).getDimSize(dim) == 1 ? zero : index;
  }
  bool keepsPerHead() { return keep && cast<MemRefType>(keep.getType()).getDimSize(1) != 1; }
  bool keepsPerQuery() { return keep && cast<MemRefType>(keep.getType()).getDimSize(2) != 1; }

  void fillSeen(ImplicitLocOpBuilder &b, Value head, Value query, Value end) {
    auto byte = [](ImplicitLocOpBuilder &ib, int64_t value) -> Value { return arith::ConstantOp::create(ib, ib.getI8IntegerAttr(value)); };
    loop(b, zero, keys, 1, [&](ImplicitLocOpBuilder &tb, Value t) {
      Value is = byte(tb, 2);
      if (keep) {
        Value x = memref::LoadOp::create(tb, keep, ValueRange{keepIndex(0, batch), keepIndex(1, head), keepIndex(2, query), keepIndex(3, t)});
        is = arith::SelectOp::create(tb, arith::CmpIOp::create(tb, arith::CmpIPredicate::ne, x, byte(tb, 0)), is, byte(tb, 1));
      }
      memref::StoreOp::create(tb, is, seen, ValueRange{thread, t});
    });
    loop(b, keys, end, 1, [&](ImplicitLocOpBuilder &tb, Value t) {
      memref::StoreOp::create(tb, byte(tb, 0), seen, ValueRange{thread, t});
    });
  }

  //===-- Scores, softmax ------------------------------------------------------===//

  void emitScores(ImplicitLocOpBuilder &b, Value begin, Value end, Value head, Value tiles) {
    emitRowTiles(b, begin, end, rowsOfTile, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      loop(tb, zero, tiles, 1, [&](ImplicitLocOpBuilder &kb, Value tile) {
        Value first = times(kb, tile, keyVectors * (size / 4)), column = times(kb, tile, keyVectors * lanes);
        auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value d) { return broadcastQuad(ib, q, {batch, row[r], head, times(ib, d, 4)}); };
        auto rhs = [&](ImplicitLocOpBuilder &ib, Value d, int64_t vector) -> Value {
          return vector::LoadOp::create(ib, quads, packedK, ValueRange{thread, at(ib, plus(ib, first, vector * (size / 4)), d), zero});
        };
        auto multiply = [&](ImplicitLocOpBuilder &ib, Value l, Value r, Value sum) { return multiplyBytes(ib, target, r, l, sum); };
        ContractionTile product{int64_t(row.size()), keyVectors, sums, indexConstant(kb, size / 4), lhs, rhs};
        product.multiply = multiply;
        SmallVector<Value> all = emitContractionTile(kb, product);
        for (size_t r = 0; r < row.size(); ++r)
          for (int64_t vector = 0; vector < keyVectors; ++vector)
            vector::StoreOp::create(kb, all[r * keyVectors + vector], scores,
                                    ValueRange{thread, arith::SubIOp::create(kb, row[r], begin), plus(kb, column, vector * lanes)});
      });
    });
  }

  /// Which keys of [t, t + lanes) count; with `masked`, also those that are not kept.
  Value counts(ImplicitLocOpBuilder &b, Value t, Value threshold, Value lastSeen) {
    Value is = vector::LoadOp::create(b, bytes, seen, ValueRange{thread, t});
    Value result = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, is, threshold);
    if (!lastSeen)
      return result;
    SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
    Value place = add(b, arith::ConstantOp::create(b, DenseElementsAttr::get(sums, ArrayRef(lane))),
                      vector::BroadcastOp::create(b, sums, arith::IndexCastOp::create(b, b.getI32Type(), t)));
    return arith::AndIOp::create(b, result, arith::CmpIOp::create(b, arith::CmpIPredicate::sle, place, lastSeen));
  }

  /// exp(-d), in units of 1 / exp.one; d is unsigned.
  Value exponential(ImplicitLocOpBuilder &b, const numerics::IntegerExp &exp, Value d) {
    if (exp.u >= 0) {
      d = arith::MinUIOp::create(b, d, splat(b, ((31 * exp.ln2) >> exp.u) + 1));
      d = arith::ShLIOp::create(b, d, splat(b, exp.u));
    } else {
      d = shr(b, add(b, d, splat(b, INT64_C(1) << (-exp.u - 1))), splat(b, -exp.u));
    }
    // From 31 ln 2 on the result is 0, as (one + 2^30) >> 31 is.
    d = arith::MinUIOp::create(b, d, splat(b, 31 * exp.ln2));
    // d / ln2 with 26 bits of the reciprocal: below 2^31, and at most 2^-8 too small.
    Value estimate = shr(b, mul(b, d, splat(b, (INT64_C(1) << 26) / exp.ln2)), splat(b, 26));
    Value rest = sub(b, d, mul(b, estimate, splat(b, exp.ln2)));
    Value isMore = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, rest, splat(b, exp.ln2));
    Value z = arith::SelectOp::create(b, isMore, add(b, estimate, splat(b, 1)), estimate);
    rest = arith::SelectOp::create(b, isMore, sub(b, rest, splat(b, exp.ln2)), rest);
    Value base = sub(b, splat(b, exp.b), rest);
    Value polynomial = add(b, mul(b, base, base), splat(b, exp.c));
    Value half = shr(b, arith::ShLIOp::create(b, splat(b, 1), z), splat(b, 1));
    return shr(b, add(b, polynomial, half), z);
  }

  /// (255 e + one / 2) / one, e <= one < 2^29.
  Value relative(ImplicitLocOpBuilder &b, const numerics::IntegerExp &exp, Value e) {
    // 15 bits of e and 16 of 255 / one: the estimate is right or one too small. What is left then is
    // within 32 bits, so that 255 e may wrap.
    Value estimate = mul(b, shr(b, e, splat(b, 14)), splat(b, (INT64_C(255) << 34) / exp.one));
    estimate = shr(b, add(b, estimate, splat(b, (1 << 19) - 1)), splat(b, 20));
    Value all = add(b, mul(b, e, splat(b, 255)), splat(b, exp.one / 2));
    Value rest = sub(b, all, mul(b, estimate, splat(b, exp.one)));
    Value isMore = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, rest, splat(b, exp.one));
    return arith::SelectOp::create(b, isMore, add(b, estimate, splat(b, 1)), estimate);
  }

  void emitSoftmax(ImplicitLocOpBuilder &b, Value begin, Value row, Value head, Value columns) {
    numerics::IntegerExp exp = exponentialOf(op);
    Value local = arith::SubIOp::create(b, row, begin);
    if (keepsPerQuery())
      fillSeen(b, head, row, columns);
    Value limit;
    if (op.getCausal())
      limit = arith::IndexCastOp::create(b, b.getI32Type(), at(b, row, past));
    Value lowest = splat(b, INT32_MIN), step = indexConstant(b, lanes);
    auto largest = [&](ImplicitLocOpBuilder &lb, Value threshold, Value lastSeen) -> Value {
      auto most = scf::ForOp::create(lb, zero, columns, step, ValueRange(lowest), [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
        ImplicitLocOpBuilder ib(l, o);
        Value x = vector::LoadOp::create(ib, sums, scores, ValueRange{thread, local, t});
        x = arith::SelectOp::create(ib, counts(ib, t, threshold, lastSeen), x, lowest);
        scf::YieldOp::create(ib, ValueRange(arith::MaxSIOp::create(ib, acc[0], x).getResult()));
      });
      return vector::ReductionOp::create(lb, vector::CombiningKind::MAXSI, most.getResult(0));
    };
    auto thresholdOf = [&](ImplicitLocOpBuilder &lb, int64_t value) -> Value {
      return arith::ConstantOp::create(lb, DenseElementsAttr::get(bytes, lb.getI8IntegerAttr(value)));
    };
    Value threshold = thresholdOf(b, 2), lastSeen = limit ? Value(vector::BroadcastOp::create(b, sums, limit)) : Value();
    Value most = largest(b, threshold, lastSeen);
    if (op.getFullyMaskedUniform() && (keep || limit)) {
      // As if all were kept.
      Value none = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, most, arith::ConstantOp::create(b, b.getI32IntegerAttr(INT32_MIN)));
      threshold = arith::SelectOp::create(b, none, thresholdOf(b, 1), threshold);
      if (limit) {
        Value all = arith::ConstantOp::create(b, b.getI32IntegerAttr(INT32_MAX));
        lastSeen = vector::BroadcastOp::create(b, sums, arith::SelectOp::create(b, none, all, limit));
      }
      auto again = scf::IfOp::create(
          b, none,
          [&](OpBuilder &o, Location l) {
            ImplicitLocOpBuilder ib(l, o);
            scf::YieldOp::create(ib, largest(ib, threshold, lastSeen));
          },
          [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, most); });
      most = again.getResult(0);
    }
    Value shift = vector::BroadcastOp::create(b, sums, most);
    auto total = scf::ForOp::create(b, zero, columns, step, ValueRange(splat(b, 0)), [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
      ImplicitLocOpBuilder ib(l, o);
      Value x = vector::LoadOp::create(ib, sums, scores, ValueRange{thread, local, t});
      Value p = relative(ib, exp, exponential(ib, exp, sub(ib, shift, x)));
      p = arith::SelectOp::create(ib, counts(ib, t, threshold, lastSeen), p, splat(ib, 0));
      vector::StoreOp::create(ib, arith::TruncIOp::create(ib, bytes, p), weights, ValueRange{thread, local, t});
      scf::YieldOp::create(ib, ValueRange(add(ib, acc[0], p)));
    });
    // 2^(l + 30) / s and l + 14, l the bits of the sum; of no weight at all any divisor does.
    Type i64 = b.getI64Type();
    auto number = [&](int64_t x) -> Value { return arith::ConstantOp::create(b, b.getI64IntegerAttr(x)); };
    Value sum = arith::ExtUIOp::create(b, i64, vector::ReductionOp::create(b, vector::CombiningKind::ADD, total.getResult(0)));
    sum = arith::MaxUIOp::create(b, sum, number(1));
    Value bits = sub(b, number(64), math::CountLeadingZerosOp::create(b, sum));
    Value reciprocal = arith::DivUIOp::create(b, arith::ShLIOp::create(b, number(1), add(b, bits, number(30))), sum);
    memref::StoreOp::create(b, reciprocal, divisors, ValueRange{thread, local, zero});
    memref::StoreOp::create(b, add(b, bits, number(14)), divisors, ValueRange{thread, local, one});
  }

  //===-- Values ---------------------------------------------------------------===//

  void emitValues(ImplicitLocOpBuilder &b, Value begin, Value end) {
    Value depth = ceilDiv(b, keys, indexConstant(b, 4));
    emitRowTiles(b, begin, end, rowsOfTile, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      for (int64_t first = 0; first < resultVectors; first += keyVectors) {
        int64_t vectors = std::min(keyVectors, resultVectors - first);
        SmallVector<Value> local;
        for (Value r : row)
          local.push_back(arith::SubIOp::create(tb, r, begin));
        auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value t) { return broadcastQuad(ib, weights, {thread, local[r], times(ib, t, 4)}); };
        auto rhs = [&](ImplicitLocOpBuilder &ib, Value t, int64_t vector) -> Value {
          return vector::LoadOp::create(ib, quads, packedV, ValueRange{thread, t, indexConstant(ib, (first + vector) * 4 * lanes)});
        };
        auto multiply = [&](ImplicitLocOpBuilder &ib, Value l, Value r, Value sum) { return multiplyBytes(ib, target, l, r, sum); };
        ContractionTile product{int64_t(row.size()), vectors, sums, depth, lhs, rhs};
        product.multiply = multiply;
        SmallVector<Value> all = emitContractionTile(tb, product);
        for (size_t r = 0; r < row.size(); ++r)
          for (int64_t vector = 0; vector < vectors; ++vector)
            vector::StoreOp::create(tb, all[r * vectors + vector], results, ValueRange{thread, local[r], indexConstant(tb, (first + vector) * lanes)});
      }
    });
  }

  /// x / 2^shift in 64 bits, rounded as the op says.
  Value shiftRounded(ImplicitLocOpBuilder &b, Value x, int64_t shift) {
    Value half = wideSplat(b, INT64_C(1) << (shift - 1)), by = wideSplat(b, shift);
    switch (*roundingOf(op.getRounding())) {
    case numerics::Rounding::HalfUp:
      break;
    case numerics::Rounding::HalfAway:
      x = add(b, x, arith::ShRSIOp::create(b, x, wideSplat(b, 63)));
      break;
    case numerics::Rounding::HalfEven: // x + half - 1 + odd
      x = add(b, sub(b, x, wideSplat(b, 1)), arith::AndIOp::create(b, arith::ShRSIOp::create(b, x, by), wideSplat(b, 1)));
      break;
    }
    return arith::ShRSIOp::create(b, add(b, x, half), by);
  }

  void writeResult(ImplicitLocOpBuilder &b, Value begin, Value row, Value head) {
    Value local = arith::SubIOp::create(b, row, begin);
    auto wideType = VectorType::get({lanes}, b.getI64Type());
    auto broadcast = [&](Value scalar) -> Value { return vector::BroadcastOp::create(b, wideType, scalar); };
    Value reciprocal = broadcast(memref::LoadOp::create(b, divisors, ValueRange{thread, local, zero}));
    Value bits = memref::LoadOp::create(b, divisors, ValueRange{thread, local, one});
    Value unit = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
    Value half = broadcast(arith::ShLIOp::create(b, unit, sub(b, bits, unit)));
    Value shift = broadcast(bits);
    numerics::IntegerRange range = rangeOf(out, std::nullopt, op.getIsUnsigned());
    for (int64_t vector = 0; vector < resultVectors; ++vector) {
      Value acc = vector::LoadOp::create(b, sums, results, ValueRange{thread, local, indexConstant(b, vector * lanes)});
      Value c = arith::ShRSIOp::create(b, add(b, mul(b, wide(b, acc), reciprocal), half), shift);
      c = arith::TruncIOp::create(b, sums, c); // within 2^23
      Value y = shiftRounded(b, mul(b, wide(b, c), wideSplat(b, static_cast<int32_t>(op.getMultiplier()))), op.getExponent());
      y = add(b, y, wideSplat(b, op.getZeroPoint()));
      y = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, y, wideSplat(b, range.lo)), wideSplat(b, range.hi));
      y = arith::TruncIOp::create(b, bytes, y);
      SmallVector<Value> place = {batch, row, head, indexConstant(b, vector * lanes)};
      int64_t left = size - vector * lanes;
      if (left >= lanes) {
        vector::StoreOp::create(b, y, out, place);
      } else {
        Value mask = vector::CreateMaskOp::create(b, VectorType::get({lanes}, b.getI1Type()), ValueRange(indexConstant(b, left)));
        vector::MaskedStoreOp::create(b, out, place, mask, y);
      }
    }
  }

  //===-- Tasks ----------------------------------------------------------------===//

  Value scratch(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape, Type element, ValueRange sizes) {
    SmallVector<int64_t> dims = {ShapedType::kDynamic};
    dims.append(shape.begin(), shape.end());
    SmallVector<Value> dynamic = {ThreadsOp::create(b, b.getIndexType())};
    llvm::append_range(dynamic, sizes);
    return memref::AllocOp::create(b, MemRefType::get(dims, element), dynamic);
  }

  void emit(ImplicitLocOpBuilder &b) {
    Type i8 = b.getI8Type(), i32 = b.getI32Type();
    sums = VectorType::get({lanes}, i32);
    bytes = VectorType::get({lanes}, i8);
    quads = VectorType::get({4 * lanes}, i8);
    zero = indexConstant(b, 0), one = indexConstant(b, 1);
    q = denseMemref(b, op.getQ()), k = denseMemref(b, op.getK()), v = denseMemref(b, op.getV());
    keep = op.getKeep();
    queries = dimOf(b, q, 1), keys = dimOf(b, k, 1), keyHeads = dimOf(b, k, 2);
    past = arith::SubIOp::create(b, keys, queries);
    constexpr int64_t dynamic = ShapedType::kDynamic;
    Value tiles = ceilDiv(b, keys, indexConstant(b, keyVectors * lanes)), columns = times(b, tiles, keyVectors * lanes);
    packedK = scratch(b, {dynamic, 4 * lanes}, i8, times(b, tiles, keyVectors * (size / 4)));
    packedV = scratch(b, {dynamic, 4 * lanes * resultVectors}, i8, ceilDiv(b, keys, indexConstant(b, 4)));
    scores = scratch(b, {blockRows, dynamic}, i32, columns);
    weights = scratch(b, {blockRows, dynamic}, i8, columns);
    seen = scratch(b, {dynamic}, i8, columns);
    results = scratch(b, {blockRows, resultVectors * lanes}, i32, {});
    divisors = scratch(b, {blockRows, 2}, b.getI64Type(), {});
    Value perTask = indexConstant(b, kTaskRows);
    SmallVector<Value> sizes = {dimOf(b, out, 0), keyHeads, ceilDiv(b, queries, perTask)};
    Value cost = product(b, {keys, arith::MinUIOp::create(b, queries, perTask), indexConstant(b, 2 * size * group)});
    ParallelOp::create(b, kernelName("attention", op.getLoc()), product(b, sizes), grainFor(b, cost, kProductsPerThread),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         thread = range[2];
                         loop(pb, range[0], range[1], 1, [&](ImplicitLocOpBuilder &tb, Value task) {
                           SmallVector<Value> where = delinearize(tb, task, sizes);
                           batch = where[0], keyHead = where[1];
                           Value first = arith::MulIOp::create(tb, where[2], perTask);
                           Value end = arith::MinUIOp::create(tb, queries, at(tb, first, perTask));
                           attend(tb, first, end, tiles, columns);
                         });
                       });
  }

  void attend(ImplicitLocOpBuilder &b, Value first, Value end, Value tiles, Value columns) {
    packKeys(b);
    packValues(b);
    if (!keepsPerHead() && !keepsPerQuery())
      fillSeen(b, zero, zero, columns);
    loop(b, zero, indexConstant(b, group), 1, [&](ImplicitLocOpBuilder &gb, Value member) {
      Value head = at(gb, times(gb, keyHead, group), member);
      if (keepsPerHead() && !keepsPerQuery())
        fillSeen(gb, head, zero, columns);
      loop(gb, first, end, blockRows, [&](ImplicitLocOpBuilder &rb, Value begin) {
        Value stop = arith::MinUIOp::create(rb, end, plus(rb, begin, blockRows));
        emitScores(rb, begin, stop, head, tiles);
        loop(rb, begin, stop, 1, [&](ImplicitLocOpBuilder &sb, Value row) { emitSoftmax(sb, begin, row, head, columns); });
        emitValues(rb, begin, stop);
        loop(rb, begin, stop, 1, [&](ImplicitLocOpBuilder &sb, Value row) { writeResult(sb, begin, row, head); });
      });
    });
  }
};

} // namespace

LogicalResult sq::lowerIntAttention(RewriterBase &rewriter, IntAttentionOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Emitter e(op, target);
  if (e.size % 4 != 0 || e.size > kMostHeadElements)
    return op.emitOpError("has no kernel for heads of ") << e.size << " elements; a multiple of 4, at most " << kMostHeadElements;
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
