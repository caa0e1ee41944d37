//===-- IntAttention.cpp - attention of bytes: masks, softmax, division --------===//
//
// Softmax is 16-bit arithmetic on 32 lanes at a time: what is left of 32 bits is the
// largest score of a row and the distance from it. Scores are packed with
// saturation within parts of 128 bits, which one permutation of four-byte groups undoes
// at the end.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/IntAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Bytes.h"
#include "dialects/sq/IR/IntegerOps.h"

using namespace mlir;
using namespace sq;
using Emitter = IntAttentionEmitter;

// Scores are within 2^25 (kMostHeadElements).
static constexpr int64_t kMasked = -(1 << 29), kNoKey = 3 * kMasked, kLeastKept = -(1 << 28);

Emitter::IntAttentionEmitter(IntAttentionOp op, const TiledTarget &target, int64_t blockRows)
    : op(op), target(target), out(op.getOuts()), lanes(target.lanes), blockRows(blockRows) {
  auto type = [](Value v) { return cast<MemRefType>(v.getType()); };
  size = type(op.getQ()).getDimSize(3);
  group = type(op.getQ()).getDimSize(2) / type(op.getK()).getDimSize(2);
  resultVectors = llvm::divideCeil(size, lanes);
}

//===----------------------------------------------------------------------===//
// Small things
//===----------------------------------------------------------------------===//

static Value splatOf(ImplicitLocOpBuilder &b, VectorType type, int64_t value) {
  auto element = b.getIntegerAttr(type.getElementType(), APInt(type.getElementTypeBitWidth(), value, true, true));
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, Attribute(element)));
}

Value Emitter::splat(Builder &b, int64_t value) { return splatOf(b, sums, value); }
Value Emitter::times(Builder &b, Value x, int64_t y) { return b.createOrFold<arith::MulIOp>(x, indexConstant(b, y)); }
Value Emitter::add(Builder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
Value Emitter::sub(Builder &b, Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }

Value Emitter::scratch(Builder &b, ArrayRef<int64_t> shape, Type element, ValueRange sizes) {
  return allocPerThread(b, getMixedValues(shape, sizes, b), element);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// The rows of `x`, which are equally long, element by element: a tree of interleavings, as there is one for pairs.
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

/// As many keys as there are lanes: four bytes of each side by side, then the next four. Of keys that do not exist the
/// last one's: their scores begin with none. (Tiles take signed bytes as they are.)
void Emitter::packKeys(Builder &b) {
  int64_t part = widestPart(size / 4, 8); // words
  auto row = VectorType::get({4 * part}, b.getI8Type()), words = VectorType::get({part}, b.getI32Type());
  Value offset = arith::ConstantOp::create(b, DenseElementsAttr::get(row, b.getI8IntegerAttr(-128)));
  Value last = sub(b, keys, one);
  loop(b, zero, ceilDiv(b, keys, indexConstant(b, lanes)), 1, [&](Builder &kb, Value tile) {
    Value t = times(kb, tile, lanes), first = times(kb, tile, size / 4);
    for (int64_t d = 0; d < size; d += 4 * part) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < lanes; ++i) {
        Value x = vector::LoadOp::create(
            kb, row, k, ValueRange{batch, arith::MinUIOp::create(kb, plus(kb, t, i), last), keyHead, indexConstant(kb, d)});
        if (!op.getKUnsigned() && !target.amx)
          x = arith::XOrIOp::create(kb, x, offset);
        rows.push_back(vector::BitCastOp::create(kb, words, x));
      }
      Value all = vector::BitCastOp::create(kb, VectorType::get({4 * part * lanes}, kb.getI8Type()), interleaved(kb, rows));
      for (int64_t w = 0; w < part; ++w) {
        SmallVector<int64_t> own = llvm::to_vector(llvm::seq(4 * lanes * w, 4 * lanes * (w + 1)));
        vector::StoreOp::create(kb, vector::ShuffleOp::create(kb, all, all, own), packedK,
                                ValueRange{thread, plus(kb, first, d / 4 + w), zero});
      }
    }
  });
}

/// Element by element, the bytes of four keys side by side. Of keys that do not exist the last one's: their weight is 0.
void Emitter::packValues(Builder &b) {
  int64_t chunk = widestPart(size, 16);
  auto part = VectorType::get({chunk}, b.getI8Type());
  Value last = sub(b, keys, one);
  loop(b, zero, ceilDiv(b, keys, indexConstant(b, 4)), 1, [&](Builder &kb, Value four) {
    Value t = times(kb, four, 4);
    for (int64_t d = 0; d < size; d += chunk) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < 4; ++i)
        rows.push_back(vector::LoadOp::create(
            kb, part, v, ValueRange{batch, arith::MinUIOp::create(kb, plus(kb, t, i), last), keyHead, indexConstant(kb, d)}));
      Value all = interleaved(kb, rows);
      vector::StoreOp::create(kb, all, packedV, ValueRange{thread, four, indexConstant(kb, 4 * d)});
    }
  });
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

bool Emitter::isKeptBy(int64_t dim) { return keep && cast<MemRefType>(keep.getType()).getDimSize(dim) != 1; }

void Emitter::fillStart(Builder &b, Value row, Value head, Value query) {
  SmallVector<Value> at = {batch, head, query};
  for (auto [dim, index] : llvm::enumerate(at))
    index = isKeptBy(dim) ? index : zero;
  Value masked = splat(b, kMasked), none = splat(b, kNoKey), open = splat(b, 0), lastSeen;
  if (op.getCausal())
    lastSeen = vector::BroadcastOp::create(b, sums, arith::IndexCastOp::create(b, b.getI32Type(), add(b, query, past)));
  SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
  loop(b, zero, columns, lanes, [&](Builder &tb, Value t) {
    Value exist = vector::CreateMaskOp::create(tb, VectorType::get({lanes}, tb.getI1Type()), ValueRange(sub(tb, keys, t)));
    Value value = open;
    if (keep) {
      SmallVector<Value> place(at);
      place.push_back(isKeptBy(3) ? t : zero);
      Value nothing = splatOf(tb, bytes, 0);
      Value kept = isKeptBy(3) ? Value(vector::MaskedLoadOp::create(tb, bytes, keep, place, exist, nothing))
                               : Value(vector::BroadcastOp::create(tb, bytes, memref::LoadOp::create(tb, keep, place)));
      Value is = arith::CmpIOp::create(tb, arith::CmpIPredicate::ne, kept, nothing);
      value = arith::SelectOp::create(tb, is, value, masked);
    }
    if (lastSeen) {
      Value key = add(tb, arith::ConstantOp::create(tb, DenseElementsAttr::get(sums, ArrayRef(lane))),
                      vector::BroadcastOp::create(tb, sums, arith::IndexCastOp::create(tb, tb.getI32Type(), t)));
      Value is = arith::CmpIOp::create(tb, arith::CmpIPredicate::sle, key, lastSeen);
      value = arith::SelectOp::create(tb, is, value, masked);
    }
    value = arith::SelectOp::create(tb, exist, value, none);
    for (int64_t copy = 0; copy < (startsPerQuery() ? 1 : startCopies); ++copy)
      vector::StoreOp::create(tb, value, start, ValueRange{thread, plus(tb, row, copy), t});
  });
}

void Emitter::fillStarts(Builder &b, Value begin, Value end, Value head) {
  if (startsPerQuery())
    loop(b, zero, sub(b, end, begin), 1, [&](Builder &ib, Value i) { fillStart(ib, i, head, add(ib, begin, i)); });
  else
    fillStart(b, zero, head, zero);
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// OctaveExp::entry(t mod 32) of words.
Value Emitter::octaveEntry(Builder &b, Value t) {
  auto words = cast<VectorType>(t.getType());
  if (lanes == 16) {
    SmallVector<int16_t> table;
    for (int i = 0; i < 32; ++i)
      table.push_back(numerics::OctaveExp::entry(i));
    Value entries = arith::ConstantOp::create(b, DenseElementsAttr::get(words, ArrayRef(table)));
    return LLVM::CallIntrinsicOp::create(b, words, b.getStringAttr("llvm.x86.avx512.permvar.hi.512"), ValueRange{entries, t}).getResult(0);
  }
  // vpshufb has tables of 16 bytes, and gives 0 for an index with its high bit set.
  auto type = VectorType::get({4 * lanes}, b.getI8Type());
  auto call = [&](StringRef name, ValueRange args) -> Value {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args).getResult(0);
  };
  Value step = arith::AndIOp::create(b, t, splatOf(b, words, 31));
  Value both = vector::BitCastOp::create(b, type, arith::OrIOp::create(b, step, arith::ShLIOp::create(b, step, splatOf(b, words, 8))));
  Value index[] = {call("llvm.uadd.sat.v32i8", {both, splatOf(b, type, 0x70)}), arith::SubIOp::create(b, both, splatOf(b, type, 16))};
  Value result;
  for (int byte = 0; byte < 2; ++byte) {
    Value found;
    for (int half = 0; half < 2; ++half) {
      SmallVector<int8_t> table;
      for (int64_t i = 0; i < 4 * lanes; ++i)
        table.push_back(static_cast<int8_t>(numerics::OctaveExp::entry(16 * half + i % 16) >> (8 * byte)));
      Value entries = arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef(table)));
      Value entry = call("llvm.x86.avx2.pshuf.b", {entries, index[half]});
      found = found ? Value(arith::OrIOp::create(b, found, entry)) : entry;
    }
    Value part = arith::AndIOp::create(b, vector::BitCastOp::create(b, words, found), splatOf(b, words, byte ? 0xff00 : 0xff));
    result = result ? Value(arith::OrIOp::create(b, result, part)) : part;
  }
  return result;
}

Value Emitter::exponential(Builder &b, Value largest, ArrayRef<Value> x) {
  numerics::OctaveExp exp = octaveExpOf(op);
  bool wide = lanes == 16;
  auto words = VectorType::get({2 * lanes}, b.getI16Type());
  auto call = [&](Type type, StringRef avx512, StringRef avx2, ValueRange args) -> Value {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(wide ? avx512 : avx2), args).getResult(0);
  };
  auto product = [&](Value v, int64_t factor) {
    return call(words, "llvm.x86.avx512.pmul.hr.sw.512", "llvm.x86.avx2.pmul.hr.sw", {v, splatOf(b, words, factor)});
  };
  SmallVector<Value> distances, parts;
  for (Value score : x) {
    Value d = arith::SubIOp::create(b, largest, score); // below 2^31
    if (exp.shift > 0)
      d = arith::ShRUIOp::create(b, d, splat(b, exp.shift));
    else if (exp.shift < 0)
      d = arith::ShLIOp::create(b, arith::MinUIOp::create(b, d, splat(b, (1 << 15) - 1)), splat(b, -exp.shift));
    distances.push_back(d);
  }
  for (int i = 0; i < 4; i += 2) {
    Value d = call(words, "llvm.x86.avx512.packssdw.512", "llvm.x86.avx2.packssdw", {distances[i], distances[i + 1]});
    Value t = product(d, exp.factor), octaves = arith::ShRUIOp::create(b, t, splatOf(b, words, 5)), entry = octaveEntry(b, t);
    Value e = wide ? LLVM::CallIntrinsicOp::create(b, words, b.getStringAttr("llvm.x86.avx512.psrlv.w.512"), ValueRange{entry, octaves})
                         .getResult(0) // 0 from 16 on
                   : Value(arith::ShRUIOp::create(b, entry, arith::MinUIOp::create(b, octaves, splatOf(b, words, 15))));
    parts.push_back(product(e, 256)); // (e + 64) >> 7
  }
  Value packed = call(quads, "llvm.x86.avx512.packuswb.512", "llvm.x86.avx2.packuswb", parts);
  // Group 4 L + g holds part L of vector g.
  SmallVector<int64_t> order;
  for (int64_t g = 0; g < 4; ++g)
    for (int64_t l = 0; l < lanes / 4; ++l)
      order.push_back(4 * l + g);
  Value groups = vector::BitCastOp::create(b, sums, packed);
  return vector::BitCastOp::create(b, quads, vector::ShuffleOp::create(b, groups, groups, order));
}

void Emitter::emitSoftmaxRows(Builder &b, Value from, Value to) {
  Value step = indexConstant(b, 4 * lanes);
  auto four = [&](Builder &ib, int64_t i, Value t) {
    SmallVector<Value> x;
    for (int64_t j = 0; j < 4; ++j)
      x.push_back(vector::LoadOp::create(ib, sums, scores, ValueRange{thread, plus(ib, from, i), plus(ib, t, j * lanes)}));
    return x;
  };
  SmallVector<Value> init(kTogether, splat(b, INT32_MIN)), shift;
  auto most = scf::ForOp::create(b, zero, columns, step, init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
    Builder ib(l, o);
    SmallVector<Value> next(acc);
    for (auto [i, largest] : llvm::enumerate(next))
      for (Value x : four(ib, i, t))
        largest = arith::MaxSIOp::create(ib, largest, x);
    scf::YieldOp::create(ib, next);
  });
  for (Value largest : most.getResults()) {
    largest = vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, largest);
    // Of nothing but masked keys all exponentials are 0, or of nothing but keys that do not exist.
    int64_t least = op.getFullyMaskedUniform() ? 2 * kMasked : kLeastKept;
    largest = arith::MaxSIOp::create(b, largest, arith::ConstantOp::create(b, b.getI32IntegerAttr(least)));
    shift.push_back(vector::BroadcastOp::create(b, sums, largest));
  }
  Value ones = splatOf(b, quads, 1);
  init.assign(kTogether, splat(b, 0));
  auto total = scf::ForOp::create(b, zero, columns, step, init, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
    Builder ib(l, o);
    SmallVector<Value> next;
    for (int64_t i = 0; i < kTogether; ++i) {
      Value p = exponential(ib, shift[i], four(ib, i, t));
      vector::StoreOp::create(ib, p, weights, ValueRange{thread, plus(ib, to, i), t});
      next.push_back(multiplyBytes(ib, target, p, ones, acc[i]));
    }
    scf::YieldOp::create(ib, next);
  });
  // ContextFactor::of
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  auto number = [&](int64_t x) -> Value { return arith::ConstantOp::create(b, b.getI64IntegerAttr(x)); };
  for (auto [i, each] : llvm::enumerate(total.getResults())) {
    Value sum = arith::ExtUIOp::create(b, i64, vector::ReductionOp::create(b, vector::CombiningKind::ADD, each)), row = plus(b, to, i);
    sum = arith::MaxUIOp::create(b, sum, number(1));
    Value less = sub(b, number(63), LLVM::CountLeadingZerosOp::create(b, i64, sum, /*is_zero_poison=*/true).getResult()); // bits - 1
    Value factor = arith::ShLIOp::create(b, number(static_cast<int32_t>(op.getMultiplier())), less);
    Value reciprocal = arith::DivUIOp::create(b, factor, sum);
    memref::StoreOp::create(b, arith::TruncIOp::create(b, i32, reciprocal), divisors, ValueRange{thread, row, zero});
    Value by = add(b, less, number(static_cast<int32_t>(op.getExponent())));
    memref::StoreOp::create(b, arith::TruncIOp::create(b, i32, by), divisors, ValueRange{thread, row, one});
  }
}

/// Rows past the last, which a block has memory for, are computed from whatever is there.
void Emitter::emitSoftmax(Builder &b, Value from, Value to, Value count) {
  loop(b, zero, count, kTogether, [&](Builder &ib, Value i) { emitSoftmaxRows(ib, add(ib, from, i), add(ib, to, i)); });
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void Emitter::writeResult(Builder &b, Value local, Value query, Value head, Value row) {
  auto wideType = VectorType::get({lanes}, b.getI64Type());
  auto divisor = [&](Value which) -> Value {
    return arith::ExtSIOp::create(b, b.getI64Type(), memref::LoadOp::create(b, divisors, ValueRange{thread, row, which}));
  };
  auto broadcast = [&](Value scalar) -> Value { return vector::BroadcastOp::create(b, wideType, scalar); };
  Value reciprocal = broadcast(divisor(zero)), by = divisor(one), unit = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
  Value half = broadcast(arith::ShLIOp::create(b, unit, sub(b, by, unit))), shift = broadcast(by);
  numerics::IntegerRange range = rangeOf(out, std::nullopt, op.getIsUnsigned());
  for (int64_t vector = 0; vector < resultVectors; ++vector) {
    Value acc = vector::LoadOp::create(b, sums, results, ValueRange{thread, local, indexConstant(b, vector * lanes)});
    Value product = arith::MulIOp::create(b, arith::ExtSIOp::create(b, wideType, acc), reciprocal);
    Value y = arith::TruncIOp::create(b, sums, arith::ShRSIOp::create(b, add(b, product, half), shift)); // within 2^30
    if (op.getZeroPoint())
      y = add(b, y, splat(b, op.getZeroPoint()));
    y = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, y, splat(b, range.lo)), splat(b, range.hi));
    y = arith::TruncIOp::create(b, bytes, y);
    SmallVector<Value> place = {batch, query, head, indexConstant(b, vector * lanes)};
    int64_t left = size - vector * lanes;
    if (left >= lanes) {
      vector::StoreOp::create(b, y, out, place);
    } else {
      Value mask = vector::CreateMaskOp::create(b, VectorType::get({lanes}, b.getI1Type()), ValueRange(indexConstant(b, left)));
      vector::MaskedStoreOp::create(b, out, place, mask, y);
    }
  }
}

void Emitter::writeResults(Builder &b, Value begin, Value end, Value head, Value row) {
  loop(b, zero, sub(b, end, begin), 1, [&](Builder &ib, Value i) { writeResult(ib, i, add(ib, begin, i), head, add(ib, row, i)); });
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

void Emitter::emit(Builder &b) {
  Type i8 = b.getI8Type(), i32 = b.getI32Type();
  sums = VectorType::get({lanes}, i32);
  bytes = VectorType::get({lanes}, i8);
  quads = VectorType::get({4 * lanes}, i8);
  zero = indexConstant(b, 0), one = indexConstant(b, 1);
  q = denseMemref(b, op.getQ()), k = denseMemref(b, op.getK()), v = denseMemref(b, op.getV());
  keep = op.getKeep();
  queries = dimOf(b, q, 1), keys = dimOf(b, k, 1), keyHeads = dimOf(b, k, 2);
  past = sub(b, keys, queries);
  // At least one group, of no keys where there are none.
  columns = times(b, arith::MaxUIOp::create(b, ceilDiv(b, keys, indexConstant(b, 4 * lanes)), one), 4 * lanes);
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value pitch = plus(b, columns, lanes), bytePitch = plus(b, columns, 64);
  Value keyRows = plus(b, times(b, arith::DivUIOp::create(b, columns, indexConstant(b, lanes)), size / 4), 16);
  packedK = scratch(b, {dynamic, 4 * lanes}, i8, keyRows);
  packedV = scratch(b, {dynamic, 4 * lanes * resultVectors}, i8, Value(arith::DivUIOp::create(b, columns, indexConstant(b, 4))));
  start = scratch(b, {startsPerQuery() ? blockRows : startCopies, dynamic}, i32, pitch);
  scores = scratch(b, {blockRows, dynamic}, i32, pitch);
  weights = scratch(b, {weightRows, dynamic}, i8, bytePitch);
  results = scratch(b, {blockRows, resultVectors * lanes}, i32, {});
  divisors = scratch(b, {weightRows, 2}, i32, {});
  allocate(b);
  Value perTask = taskRows(b), chunks = ceilDiv(b, queries, perTask);
  SmallVector<Value> sizes = {dimOf(b, out, 0), chunks, keyHeads};
  Value cost = product(b, {keys, arith::MinUIOp::create(b, queries, perTask), indexConstant(b, 2 * size * group)});
  ParallelOp::create(b, kernelName("attention", op.getLoc()), product(b, sizes), grainFor(b, cost, productsPerThread),
                     [&](OpBuilder &o, Location l, ValueRange range) {
                       Builder pb(l, o);
                       thread = range[2];
                       prepare(pb);
                       loop(pb, range[0], range[1], 1, [&](Builder &tb, Value task) {
                         SmallVector<Value> where = delinearize(tb, task, sizes);
                         batch = where[0], keyHead = where[2];
                         Value first = arith::MulIOp::create(tb, where[1], perTask);
                         packKeys(tb);
                         packValues(tb);
                         attend(tb, first, arith::MinUIOp::create(tb, queries, add(tb, first, perTask)));
                       });
                     });
}
