//===-- DecodeAttention.cpp - attention of a few queries to many keys ---------===//
//
// A warp takes 32 keys at a time. For the scores each lane has a key and reads
// its vector; for the result each lane has columns, and the weights of the keys
// come by shuffles, so that rows of values are read as one piece. Warps of a
// block, and then parts of the keys, are joined by their maxima and sums.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/DecodeAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kWarps = 4;
constexpr int64_t kKeysOfPart = 256; // enough work for a block
constexpr int64_t kMostParts = 16;
constexpr int64_t kVector = 4;

ArrayRef<int64_t> shapeOf(Value memref) { return cast<MemRefType>(memref.getType()).getShape(); }
Value lowest(ImplicitLocOpBuilder &b) { return f32Constant(b, -std::numeric_limits<float>::infinity()); }
Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
Value times(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
Value maximum(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MaximumFOp::create(b, x, y); }
Value sum(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AddFOp::create(b, x, y); }
/// What is subtracted from scores: 0 when there was none, for -inf - -inf is none.
Value shiftOf(ImplicitLocOpBuilder &b, Value most) {
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most, lowest(b));
  return arith::SelectOp::create(b, none, f32Constant(b, 0.0), most);
}
Value expOf(ImplicitLocOpBuilder &b, Value x, Value shift) {
  return math::ExpOp::create(b, arith::SubFOp::create(b, x, shift));
}

} // namespace

DecodeAttention::DecodeAttention(ImplicitLocOpBuilder &b, AttentionOp op, Value mostQueries)
    : op(op), q(op.getQ()), k(op.getK()), v(op.getV()), mask(op.getMask()), out(op.getOuts()), size(shapeOf(q)[3]),
      group(shapeOf(q)[2] / shapeOf(k)[2]), each(llvm::divideCeil(size, kWarp)), queries(dimOf(b, q, 1)),
      keys(dimOf(b, k, 1)), heads(dimOf(b, q, 2)) {
  // Many queries are enough work without parts of the keys.
  int64_t knownKeys = shapeOf(k)[1];
  int64_t most = !mostQueries ? 1
                 : ShapedType::isDynamic(knownKeys) ? kMostParts
                                                    : std::clamp<int64_t>(llvm::divideCeil(knownKeys, kKeysOfPart), 1, kMostParts);
  parts = indexConstant(b, 1);
  if (most > 1) {
    parts = arith::MinUIOp::create(b, ceilDiv(b, keys, indexConstant(b, kKeysOfPart)), indexConstant(b, most));
    parts = arith::MaxUIOp::create(b, parts, indexConstant(b, 1));
    Value rows = product(b, {dimOf(b, q, 0), heads, mostQueries});
    partial = memref::AllocOp::create(b, MemRefType::get({ShapedType::kDynamic, most, size + 2}, b.getF32Type()), ValueRange(rows));
  }
  perPart = ceilDiv(b, keys, parts);
}

void DecodeAttention::locate(ImplicitLocOpBuilder &b, Value row) {
  SmallVector<Value> at = delinearize(b, row, {dimOf(b, q, 0), heads, queries});
  batch = at[0];
  head = at[1];
  query = at[2];
  keyHead = group == 1 ? head : Value(arith::DivUIOp::create(b, head, indexConstant(b, group)));
}

/// Of the query with this lane's key, which exists; -inf where it is not seen.
Value DecodeAttention::score(ImplicitLocOpBuilder &b, Value key) {
  Value zero = indexConstant(b, 0);
  Value total;
  if (hasAlignedRows(k, kVector)) {
    auto type = VectorType::get({kVector}, b.getF32Type());
    Value init = arith::ConstantOp::create(b, b.getZeroAttr(type));
    auto dot = scf::ForOp::create(b, zero, indexConstant(b, size), indexConstant(b, kVector), init,
                                  [&](OpBuilder &o, Location l, Value d, ValueRange acc) {
                                    ImplicitLocOpBuilder ib(l, o);
                                    Value a = vector::LoadOp::create(ib, type, scaled, ValueRange(d), false, llvm::Align(16));
                                    Value c = loadVectorF32(ib, kVector, k, {batch, key, keyHead, d});
                                    scf::YieldOp::create(ib, ValueRange(vector::FMAOp::create(ib, a, c, acc[0])));
                                  });
    for (int64_t i = 0; i < kVector; ++i) {
      Value lane = vector::ExtractOp::create(b, dot.getResult(0), i);
      total = total ? sum(b, total, lane) : lane;
    }
  } else {
    auto dot = scf::ForOp::create(b, zero, indexConstant(b, size), indexConstant(b, 1), f32Constant(b, 0.0),
                                  [&](OpBuilder &o, Location l, Value d, ValueRange acc) {
                                    ImplicitLocOpBuilder ib(l, o);
                                    Value a = memref::LoadOp::create(ib, scaled, d);
                                    Value c = loadF32(ib, k, {batch, key, keyHead, d});
                                    scf::YieldOp::create(ib, ValueRange(math::FmaOp::create(ib, a, c, acc[0])));
                                  });
    total = dot.getResult(0);
  }
  if (mask) {
    auto index = [&](int64_t dim, Value i) { return shapeOf(mask)[dim] == 1 ? zero : i; };
    total = sum(b, total, memref::LoadOp::create(b, mask, ValueRange{index(0, batch), index(1, head), index(2, query), index(3, key)}));
  }
  if (!op.getCausal())
    return total;
  // key <= query + (T - S), without a negative number.
  Value seen = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, add(b, key, queries), add(b, query, keys));
  return arith::SelectOp::create(b, seen, total, lowest(b));
}

void DecodeAttention::part(Thread &t) {
  ImplicitLocOpBuilder &b = t.b;
  Value zero = indexConstant(b, 0), width = indexConstant(b, kWarp), headSize = indexConstant(b, size);
  locate(b, t.block);
  Value warp = arith::DivUIOp::create(b, t.thread, width), lane = arith::RemUIOp::create(b, t.thread, width);
  scaled = t.shared[0];
  Value scale = arith::ConstantOp::create(b, op.getScaleAttr());
  loop(b, t.thread, headSize, kWarps * kWarp, [&](ImplicitLocOpBuilder &ib, Value d) {
    Value x = loadF32(ib, q, {batch, query, head, d});
    memref::StoreOp::create(ib, arith::MulFOp::create(ib, x, scale), scaled, ValueRange(d));
  });
  gpu::BarrierOp::create(b);

  Value begin = times(b, t.blockY, perPart);
  Value end = arith::MinUIOp::create(b, add(b, begin, perPart), keys);
  SmallVector<Value> init = {lowest(b), f32Constant(b, 0.0)};
  init.append(each, f32Constant(b, 0.0));
  auto blocks = scf::ForOp::create(
      b, add(b, begin, times(b, warp, width)), end, indexConstant(b, kWarps * kWarp), init,
      [&](OpBuilder &o, Location l, Value first, ValueRange state) {
        ImplicitLocOpBuilder ib(l, o);
        Value key = add(ib, first, lane);
        Value s = scf::IfOp::create(
                      ib, below(ib, key, end),
                      [&](OpBuilder &so, Location sl) {
                        ImplicitLocOpBuilder sb(sl, so);
                        scf::YieldOp::create(sb, score(sb, key));
                      },
                      [&](OpBuilder &so, Location sl) {
                        ImplicitLocOpBuilder sb(sl, so);
                        scf::YieldOp::create(sb, lowest(sb));
                      })
                      .getResult(0);
        Value most = reduceLanes(ib, maximum(ib, state[0], s), kWarp, maximum), shift = shiftOf(ib, most);
        Value rescale = expOf(ib, state[0], shift), weight = expOf(ib, s, shift);
        SmallVector<Value> next = {most, math::FmaOp::create(ib, state[1], rescale, reduceLanes(ib, weight, kWarp, sum))};
        for (Value r : state.drop_front(2))
          next.push_back(arith::MulFOp::create(ib, r, rescale));
        // Keys of this piece that exist.
        Value count = arith::MinUIOp::create(ib, arith::SubIOp::create(ib, end, first), width);
        auto values = scf::ForOp::create(
            ib, zero, count, indexConstant(ib, 1), ValueRange(next).drop_front(2),
            [&](OpBuilder &vo, Location vl, Value j, ValueRange acc) {
              ImplicitLocOpBuilder vb(vl, vo);
              Value from = arith::IndexCastOp::create(vb, vb.getI32Type(), j);
              Value all = arith::ConstantOp::create(vb, vb.getI32IntegerAttr(kWarp));
              Value p = gpu::ShuffleOp::create(vb, weight, from, all, gpu::ShuffleMode::IDX).getShuffleResult();
              SmallVector<Value> sums;
              for (int64_t i = 0; i < each; ++i) {
                // Columns beyond the head are those of its last.
                Value d = arith::MinUIOp::create(vb, plus(vb, lane, i * kWarp), indexConstant(vb, size - 1));
                Value x = loadF32(vb, v, {batch, add(vb, first, j), keyHead, d});
                sums.push_back(math::FmaOp::create(vb, p, x, acc[i]));
              }
              scf::YieldOp::create(vb, sums);
            });
        SmallVector<Value> result = {next[0], next[1]};
        llvm::append_range(result, values.getResults());
        scf::YieldOp::create(ib, result);
      });

  // The warps of the block.
  Value states = t.shared[1]; // [warps, D + 2]
  for (int64_t i = 0; i < each; ++i) {
    Value d = plus(b, lane, i * kWarp);
    onlyIf(b, below(b, d, headSize), [&](ImplicitLocOpBuilder &ib) {
      memref::StoreOp::create(ib, blocks.getResult(2 + i), states, ValueRange{warp, d});
    });
  }
  Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lane, zero);
  onlyIf(b, isFirst, [&](ImplicitLocOpBuilder &ib) {
    memref::StoreOp::create(ib, blocks.getResult(0), states, ValueRange{warp, headSize});
    memref::StoreOp::create(ib, blocks.getResult(1), states, ValueRange{warp, indexConstant(ib, size + 1)});
  });
  gpu::BarrierOp::create(b);
  Value most = lowest(b), total = f32Constant(b, 0.0);
  auto load = [&](ImplicitLocOpBuilder &ib, int64_t w, Value at) -> Value {
    return memref::LoadOp::create(ib, states, ValueRange{indexConstant(ib, w), at});
  };
  for (int64_t w = 0; w < kWarps; ++w)
    most = maximum(b, most, load(b, w, headSize));
  Value shift = shiftOf(b, most);
  SmallVector<Value> factors;
  for (int64_t w = 0; w < kWarps; ++w) {
    factors.push_back(expOf(b, load(b, w, headSize), shift));
    total = math::FmaOp::create(b, load(b, w, indexConstant(b, size + 1)), factors[w], total);
  }
  Value single = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, parts, indexConstant(b, 1));
  loop(b, t.thread, headSize, kWarps * kWarp, [&](ImplicitLocOpBuilder &ib, Value d) {
    Value r = f32Constant(ib, 0.0);
    for (int64_t w = 0; w < kWarps; ++w)
      r = math::FmaOp::create(ib, load(ib, w, d), factors[w], r);
    if (!partial) {
      storeF32(ib, arith::DivFOp::create(ib, r, total), out, {batch, query, head, d});
      return;
    }
    scf::IfOp::create(
        ib, single,
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder sb(l, o);
          storeF32(sb, arith::DivFOp::create(sb, r, total), out, {batch, query, head, d});
          scf::YieldOp::create(sb);
        },
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder sb(l, o);
          memref::StoreOp::create(sb, r, partial, ValueRange{t.block, t.blockY, d});
          scf::YieldOp::create(sb);
        });
  });
  if (!partial)
    return;
  Value several = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, parts, indexConstant(b, 1));
  Value notes = arith::AndIOp::create(b, several, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, t.thread, zero));
  onlyIf(b, notes, [&](ImplicitLocOpBuilder &ib) {
    memref::StoreOp::create(ib, most, partial, ValueRange{t.block, t.blockY, headSize});
    memref::StoreOp::create(ib, total, partial, ValueRange{t.block, t.blockY, indexConstant(ib, size + 1)});
  });
}

void DecodeAttention::join(Thread &t) {
  ImplicitLocOpBuilder &b = t.b;
  locate(b, t.block);
  Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
  auto load = [&](ImplicitLocOpBuilder &ib, Value p, Value at) -> Value {
    return memref::LoadOp::create(ib, partial, ValueRange{t.block, p, at});
  };
  auto most = scf::ForOp::create(b, zero, parts, one, lowest(b), [&](OpBuilder &o, Location l, Value p, ValueRange acc) {
    ImplicitLocOpBuilder ib(l, o);
    scf::YieldOp::create(ib, maximum(ib, acc[0], load(ib, p, indexConstant(ib, size))));
  });
  Value shift = shiftOf(b, most.getResult(0));
  loop(b, t.thread, indexConstant(b, size), kWarp, [&](ImplicitLocOpBuilder &lb, Value d) {
    SmallVector<Value> init(2, f32Constant(lb, 0.0));
    auto sums = scf::ForOp::create(lb, zero, parts, one, init, [&](OpBuilder &o, Location l, Value p, ValueRange acc) {
      ImplicitLocOpBuilder ib(l, o);
      Value factor = expOf(ib, load(ib, p, indexConstant(ib, size)), shift);
      scf::YieldOp::create(ib, ValueRange{math::FmaOp::create(ib, load(ib, p, d), factor, acc[0]),
                                          math::FmaOp::create(ib, load(ib, p, indexConstant(ib, size + 1)), factor, acc[1])});
    });
    Value result = arith::DivFOp::create(lb, sums.getResult(0), sums.getResult(1));
    storeF32(lb, result, out, {batch, query, head, d});
  });
}

void DecodeAttention::emit(ImplicitLocOpBuilder &b, bool isAlternative) {
  Value rows = product(b, {dimOf(b, q, 0), heads, queries});
  Type f32 = b.getF32Type();
  gpu::LaunchOp main = launch(b, "attention_decode", {rows, parts}, kWarps * kWarp,
                              {sharedType(b, {int64_t(llvm::alignTo(size, kVector))}, f32), sharedType(b, {kWarps, size + 2}, f32)},
                              [&](Thread &t) { part(t); });
  main->setAttr("sq.min_blocks", b.getI64IntegerAttr(4));
  if (isAlternative)
    main->setAttr("sq.alternative", b.getUnitAttr());
  if (!partial)
    return;
  Value several = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, parts, indexConstant(b, 1));
  onlyIf(b, several, [&](ImplicitLocOpBuilder &ib) {
    gpu::LaunchOp rest = launch(ib, "attention_join", {rows}, kWarp, {}, [&](Thread &t) { join(t); });
    rest->setAttr("sq.alternative", ib.getUnitAttr()); // its work is told with the other's
  });
}
