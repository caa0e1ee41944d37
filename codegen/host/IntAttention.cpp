//===-- IntAttention.cpp - attention of bytes: masks, exponential, tasks
//-------===//
//
// Softmax is 16-bit arithmetic on 32 lanes at a time: what is left of 32 bits
// is the largest score of a query and the distance from it. Scores are packed
// with saturation within parts of 128 bits; who takes the exponentials puts
// them in order.
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
static constexpr int64_t kMasked = -(1 << 29), kNoKey = 3 * kMasked,
                         kLeastKept = -(1 << 28);

Emitter::IntAttentionEmitter(IntAttentionOp op, const TiledTarget &target)
    : op(op), target(target), out(op.getOuts()), lanes(target.lanes) {
  auto type = [](Value v) { return cast<MemRefType>(v.getType()); };
  size = type(op.getQ()).getDimSize(3);
  group = type(op.getQ()).getDimSize(2) / type(op.getK()).getDimSize(2);
}

//===----------------------------------------------------------------------===//
// Small things
//===----------------------------------------------------------------------===//

Value Emitter::splatOf(Builder &b, VectorType type, int64_t value) {
  auto element =
      b.getIntegerAttr(type.getElementType(),
                       APInt(type.getElementTypeBitWidth(), value, true, true));
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, Attribute(element)));
}

Value Emitter::splat(Builder &b, int64_t value) {
  return splatOf(b, sums, value);
}
Value Emitter::times(Builder &b, Value x, int64_t y) {
  return b.createOrFold<arith::MulIOp>(x, indexConstant(b, y));
}
Value Emitter::add(Builder &b, Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}
Value Emitter::sub(Builder &b, Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(x, y);
}

Value Emitter::scratch(Builder &b, ArrayRef<int64_t> shape, Type element,
                       ValueRange sizes) {
  return allocPerThread(b, getMixedValues(shape, sizes, b), element);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

bool Emitter::isKeptBy(int64_t dim) {
  return keep && cast<MemRefType>(keep.getType()).getDimSize(dim) != 1;
}

void Emitter::fillStart(Builder &b, Value start, Value row, Value head,
                        Value query) {
  SmallVector<Value> at = {batch, head, query};
  for (auto [dim, index] : llvm::enumerate(at))
    index = isKeptBy(dim) ? index : zero;
  Value masked = splat(b, kMasked), none = splat(b, kNoKey), open = splat(b, 0),
        lastSeen;
  if (op.getCausal())
    lastSeen = vector::BroadcastOp::create(
        b, sums,
        arith::IndexCastOp::create(b, b.getI32Type(), add(b, query, past)));
  SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
  loop(b, zero, columns, lanes, [&](Builder &tb, Value t) {
    Value exist = vector::CreateMaskOp::create(
        tb, VectorType::get({lanes}, tb.getI1Type()),
        ValueRange(sub(tb, keys, t)));
    Value value = open;
    if (keep) {
      SmallVector<Value> place(at);
      place.push_back(isKeptBy(3) ? t : zero);
      Value nothing = splatOf(tb, bytes, 0);
      Value kept =
          isKeptBy(3)
              ? Value(vector::MaskedLoadOp::create(tb, bytes, keep, place,
                                                   exist, nothing))
              : Value(vector::BroadcastOp::create(
                    tb, bytes, memref::LoadOp::create(tb, keep, place)));
      Value is =
          arith::CmpIOp::create(tb, arith::CmpIPredicate::ne, kept, nothing);
      value = arith::SelectOp::create(tb, is, value, masked);
    }
    if (lastSeen) {
      Value key = add(
          tb,
          arith::ConstantOp::create(
              tb, DenseElementsAttr::get(sums, ArrayRef(lane))),
          vector::BroadcastOp::create(
              tb, sums, arith::IndexCastOp::create(tb, tb.getI32Type(), t)));
      Value is =
          arith::CmpIOp::create(tb, arith::CmpIPredicate::sle, key, lastSeen);
      value = arith::SelectOp::create(tb, is, value, masked);
    }
    value = arith::SelectOp::create(tb, exist, value, none);
    vector::StoreOp::create(tb, value, start, ValueRange{thread, row, t});
  });
}

int64_t Emitter::leastLargest() {
  return op.getFullyMaskedUniform() ? 2 * kMasked : kLeastKept;
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// OctaveExp::entry(t mod 32) of words; twice as much on 16 lanes.
Value Emitter::octaveEntry(Builder &b, Value t) {
  auto words = cast<VectorType>(t.getType());
  if (lanes == 16) {
    SmallVector<int16_t> table;
    for (int i = 0; i < 32; ++i)
      table.push_back(static_cast<int16_t>(2 * numerics::OctaveExp::entry(i)));
    Value entries = arith::ConstantOp::create(
        b, DenseElementsAttr::get(words, ArrayRef(table)));
    return LLVM::CallIntrinsicOp::create(
               b, words, b.getStringAttr("llvm.x86.avx512.permvar.hi.512"),
               ValueRange{entries, t})
        .getResult(0);
  }
  // vpshufb has tables of 16 bytes, and gives 0 for an index with its high bit
  // set.
  auto type = VectorType::get({4 * lanes}, b.getI8Type());
  auto call = [&](StringRef name, ValueRange args) -> Value {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args)
        .getResult(0);
  };
  Value step = arith::AndIOp::create(b, t, splatOf(b, words, 31));
  Value both = vector::BitCastOp::create(
      b, type,
      arith::OrIOp::create(
          b, step, arith::ShLIOp::create(b, step, splatOf(b, words, 8))));
  Value index[] = {call("llvm.uadd.sat.v32i8", {both, splatOf(b, type, 0x70)}),
                   arith::SubIOp::create(b, both, splatOf(b, type, 16))};
  Value result;
  for (int byte = 0; byte < 2; ++byte) {
    Value found;
    for (int half = 0; half < 2; ++half) {
      SmallVector<int8_t> table;
      for (int64_t i = 0; i < 4 * lanes; ++i)
        table.push_back(static_cast<int8_t>(
            numerics::OctaveExp::entry(16 * half + i % 16) >> (8 * byte)));
      Value entries = arith::ConstantOp::create(
          b, DenseElementsAttr::get(type, ArrayRef(table)));
      Value entry = call("llvm.x86.avx2.pshuf.b", {entries, index[half]});
      found = found ? Value(arith::OrIOp::create(b, found, entry)) : entry;
    }
    Value part =
        arith::AndIOp::create(b, vector::BitCastOp::create(b, words, found),
                              splatOf(b, words, byte ? 0xff00 : 0xff));
    result = result ? Value(arith::OrIOp::create(b, result, part)) : part;
  }
  return result;
}

Value Emitter::exponential(Builder &b, Value largest, ArrayRef<Value> x) {
  numerics::OctaveExp exp = octaveExpOf(op);
  bool wide = lanes == 16;
  auto words = VectorType::get({2 * lanes}, b.getI16Type());
  auto call = [&](Type type, StringRef avx512, StringRef avx2,
                  ValueRange args) -> Value {
    return LLVM::CallIntrinsicOp::create(
               b, type, b.getStringAttr(wide ? avx512 : avx2), args)
        .getResult(0);
  };
  auto product = [&](Value v, int64_t factor) {
    return call(words, "llvm.x86.avx512.pmul.hr.sw.512",
                "llvm.x86.avx2.pmul.hr.sw", {v, splatOf(b, words, factor)});
  };
  SmallVector<Value> distances, parts;
  for (Value score : x) {
    Value d = arith::SubIOp::create(b, largest, score); // below 2^31
    if (exp.shift > 0)
      d = arith::ShRUIOp::create(b, d, splat(b, exp.shift));
    else if (exp.shift < 0)
      d = arith::ShLIOp::create(
          b, arith::MinUIOp::create(b, d, splat(b, (1 << 15) - 1)),
          splat(b, -exp.shift));
    distances.push_back(d);
  }
  for (int i = 0; i < 4; i += 2) {
    Value d = call(words, "llvm.x86.avx512.packssdw.512",
                   "llvm.x86.avx2.packssdw", {distances[i], distances[i + 1]});
    Value t = product(d, exp.factor),
          octaves = arith::ShRUIOp::create(b, t, splatOf(b, words, 5)),
          entry = octaveEntry(b, t);
    if (!wide) {
      octaves = arith::MinUIOp::create(b, octaves, splatOf(b, words, 15));
      Value e = arith::ShRUIOp::create(b, entry, octaves);
      parts.push_back(product(e, 256)); // (e + 64) >> 7
      continue;
    }
    Value e = LLVM::CallIntrinsicOp::create(
                  b, words, b.getStringAttr("llvm.x86.avx512.psrlv.w.512"),
                  ValueRange{entry, octaves})
                  .getResult(0); // 0 from 16 on
    // Of twice as much the result is the high byte.
    parts.push_back(arith::AddIOp::create(b, e, splatOf(b, words, 128)));
  }
  if (!wide)
    return LLVM::CallIntrinsicOp::create(
               b, quads, b.getStringAttr("llvm.x86.avx2.packuswb"), parts)
        .getResult(0);
  // Shifts and products share a port; so bytes are taken by turns, which LLVM
  // would make a slow shuffle of: (parts[1] & 0xff00) | low.
  auto ints = [&](Value v) { return vector::BitCastOp::create(b, sums, v); };
  Value low = arith::ShRUIOp::create(b, parts[0], splatOf(b, words, 8));
  Value both = LLVM::CallIntrinsicOp::create(
                   b, sums, b.getStringAttr("llvm.x86.avx512.pternlog.d.512"),
                   ValueRange{ints(parts[1]), splat(b, 0xff00ff00), ints(low),
                              arith::ConstantIntOp::create(b, 0xea, 32)})
                   .getResult(0);
  SmallVector<int64_t> order;
  for (int64_t part = 0; part < 64; part += 16)
    for (int64_t i = 0; i < 16; ++i)
      order.push_back(part + i / 4 % 2 * 8 + i % 4 * 2 + i / 8);
  both = vector::BitCastOp::create(b, quads, both);
  return vector::ShuffleOp::create(b, both, both, order);
}

Emitter::Factor Emitter::factorOf(Builder &b, Value sum) {
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  auto number = [&](int64_t x) -> Value {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(x));
  };
  Value wide =
      arith::MaxUIOp::create(b, arith::ExtUIOp::create(b, i64, sum), number(1));
  Value less = sub(
      b, number(63),
      LLVM::CountLeadingZerosOp::create(b, i64, wide, /*is_zero_poison=*/true)
          .getResult()); // bits - 1
  Value factor = arith::ShLIOp::create(
      b, number(static_cast<int32_t>(op.getMultiplier())), less);
  Value shift = add(b, less, number(static_cast<int32_t>(op.getExponent())));
  return {
      arith::TruncIOp::create(b, i32, arith::DivUIOp::create(b, factor, wide)),
      arith::TruncIOp::create(b, i32, shift)};
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
  q = denseMemref(b, op.getQ()), k = denseMemref(b, op.getK()),
  v = denseMemref(b, op.getV());
  keep = op.getKeep();
  queries = dimOf(b, q, 1), keys = dimOf(b, k, 1), keyHeads = dimOf(b, k, 2);
  past = sub(b, keys, queries);
  // At least one group, of no keys where there are none.
  columns = times(b,
                  arith::MaxUIOp::create(
                      b, ceilDiv(b, keys, indexConstant(b, 4 * lanes)), one),
                  4 * lanes);
  allocate(b);
  Value perTask = taskRows(b), chunks = ceilDiv(b, queries, perTask);
  SmallVector<Value> sizes = {dimOf(b, out, 0), chunks, keyHeads};
  Value cost = product(b, {keys, arith::MinUIOp::create(b, queries, perTask),
                           indexConstant(b, 2 * size * group)});
  ParallelOp::create(
      b, kernelName("attention", op.getLoc()), product(b, sizes),
      grainFor(b, cost, productsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        Builder pb(l, o);
        thread = range[2];
        prepare(pb);
        loop(pb, range[0], range[1], 1, [&](Builder &tb, Value task) {
          SmallVector<Value> where = delinearize(tb, task, sizes);
          batch = where[0], keyHead = where[2];
          Value first = arith::MulIOp::create(tb, where[1], perTask);
          attend(tb, first,
                 arith::MinUIOp::create(tb, queries, add(tb, first, perTask)));
        });
      });
}
