//===-- Attention.cpp - scaled dot-product attention as one kernel ------------===//
//
// A block has the queries of one head that its rows of four threads take; keys
// and values pass through shared memory tile by tile, with the running maximum
// and sum of online softmax (Milakov and Gimelshein 2018; Dao et al. 2022). The
// four threads of a row share its scores (every fourth key) and its result
// (every fourth group of four columns), and meet in shuffles. Causal blocks stop
// at the last key that one of their queries sees.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/cuda/DecodeAttention.h"
#include "codegen/cuda/MmaAttention.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kLanes = 4; // threads of a row, and floats of a vector
constexpr int64_t kMostHeadSize = 256; // whose tiles fit shared memory

struct Emitter {
  AttentionOp op;
  Value q, k, v, mask, out;
  int64_t size, padded;  // D, and rounded up to whole vectors for each lane
  int64_t rows, keys;    // of a block and of a tile
  int64_t group;         // heads that share keys and values
  Value queries, keyCount, heads, tiles;
  VectorType four;
  // Of a thread:
  Value batch, head, keyHead, first, row, lane, query, zero;

  explicit Emitter(AttentionOp op)
      : op(op), q(op.getQ()), k(op.getK()), v(op.getV()), mask(op.getMask()), out(op.getOuts()),
        size(shape(q)[3]), padded(llvm::alignTo(size, kLanes * kLanes)), rows(size <= 128 ? 32 : 16), keys(rows),
        group(shape(q)[2] / shape(k)[2]) {}

  static ArrayRef<int64_t> shape(Value memref) { return cast<MemRefType>(memref.getType()).getShape(); }

  int64_t vectors() const { return padded / (kLanes * kLanes); } // of the result, in a thread
  int64_t pitch() const { return padded + kLanes; }

  Value add(ImplicitLocOpBuilder &b, Value a, Value c) { return b.createOrFold<arith::AddIOp>(a, c); }
  Value times(ImplicitLocOpBuilder &b, Value a, int64_t c) {
    return b.createOrFold<arith::MulIOp>(a, indexConstant(b, c));
  }

  /// Rows of [batch, from.., head, :] below `count` into shared memory, times
  /// `factor`; zeros beyond.
  void loadRows(ImplicitLocOpBuilder &b, Thread &t, Value source, Value from, Value count, Value sourceHead,
                Value buffer, int64_t bufferRows, Value factor) {
    int64_t threads = rows * kLanes;
    Value none = f32Constant(b, 0.0);
    loop(b, t.thread, indexConstant(b, bufferRows * padded), threads, [&](ImplicitLocOpBuilder &ib, Value i) {
      Value width = indexConstant(ib, padded);
      Value r = arith::DivUIOp::create(ib, i, width), d = arith::RemUIOp::create(ib, i, width);
      Value place = add(ib, from, r);
      Value inside = arith::AndIOp::create(ib, below(ib, place, count), below(ib, d, indexConstant(ib, size)));
      Value value = scf::IfOp::create(
                        ib, inside,
                        [&](OpBuilder &o, Location l) {
                          ImplicitLocOpBuilder lb(l, o);
                          Value x = loadF32(lb, source, {batch, place, sourceHead, d});
                          scf::YieldOp::create(lb, factor ? Value(arith::MulFOp::create(lb, x, factor)) : x);
                        },
                        [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, none); })
                        .getResult(0);
      memref::StoreOp::create(ib, value, buffer, ValueRange{r, d});
    });
  }

  Value maskIndex(int64_t dim, Value index) { return shape(mask)[dim] == 1 ? zero : index; }

  /// Score of the row with the key at `key`: -inf where it is not seen.
  Value visibleScore(ImplicitLocOpBuilder &b, Value score, Value key) {
    Value none = f32Constant(b, -std::numeric_limits<float>::infinity());
    Value seen = arith::AndIOp::create(b, below(b, key, keyCount), below(b, query, queries));
    if (op.getCausal()) {
      // key <= query + (T - S), without a negative number.
      Value last = add(b, query, keyCount);
      seen = arith::AndIOp::create(
          b, seen, arith::CmpIOp::create(b, arith::CmpIPredicate::ule, add(b, key, queries), last));
    }
    return scf::IfOp::create(
               b, seen,
               [&](OpBuilder &o, Location l) {
                 ImplicitLocOpBuilder ib(l, o);
                 Value s = score;
                 if (mask)
                   s = arith::AddFOp::create(
                       ib, s, memref::LoadOp::create(ib, mask, ValueRange{maskIndex(0, batch), maskIndex(1, head), maskIndex(2, query), maskIndex(3, key)}));
                 scf::YieldOp::create(ib, s);
               },
               [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, none); })
        .getResult(0);
  }

  /// Scores of this thread's keys of the tile: lane, lane + 4, ...
  SmallVector<Value> scores(ImplicitLocOpBuilder &b, Value bufferQ, Value bufferK) {
    int64_t each = keys / kLanes;
    SmallVector<Value> init(each, arith::ConstantOp::create(b, b.getZeroAttr(four)));
    auto loop = scf::ForOp::create(
        b, zero, indexConstant(b, padded), indexConstant(b, kLanes), init,
        [&](OpBuilder &o, Location l, Value d, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          Value a = vector::LoadOp::create(ib, four, bufferQ, ValueRange{row, d}, false, llvm::Align(16));
          SmallVector<Value> sums;
          for (int64_t j = 0; j < each; ++j) {
            Value c = vector::LoadOp::create(ib, four, bufferK, ValueRange{plus(ib, lane, j * kLanes), d}, false, llvm::Align(16));
            sums.push_back(vector::FMAOp::create(ib, a, c, acc[j]));
          }
          scf::YieldOp::create(ib, sums);
        });
    return llvm::map_to_vector(loop.getResults(), [&](Value sums) -> Value {
      Value total = vector::ExtractOp::create(b, sums, 0);
      for (int64_t i = 1; i < kLanes; ++i)
        total = arith::AddFOp::create(b, total, vector::ExtractOp::create(b, sums, i));
      return total;
    });
  }

  /// One tile of keys; `state` is the maximum, the sum, and the result so far.
  SmallVector<Value> tile(ImplicitLocOpBuilder &b, Thread &t, Value firstKey, ValueRange state) {
    auto maximum = [](ImplicitLocOpBuilder &ib, Value a, Value c) -> Value {
      return arith::MaximumFOp::create(ib, a, c);
    };
    auto sum = [](ImplicitLocOpBuilder &ib, Value a, Value c) -> Value { return arith::AddFOp::create(ib, a, c); };
    Value bufferQ = t.shared[0], buffer = t.shared[1], weights = t.shared[2];
    gpu::BarrierOp::create(b); // the values of the tile before are read
    loadRows(b, t, k, firstKey, keyCount, keyHead, buffer, keys, Value());
    gpu::BarrierOp::create(b);
    SmallVector<Value> s = scores(b, bufferQ, buffer);
    Value most = state[0];
    for (auto [j, score] : llvm::enumerate(s)) {
      score = visibleScore(b, score, add(b, firstKey, plus(b, lane, j * kLanes)));
      most = maximum(b, most, score);
    }
    most = reduceLanes(b, most, kLanes, maximum);
    // A row without a key so far keeps its maximum of -inf; -inf - -inf is none.
    Value lowest = f32Constant(b, -std::numeric_limits<float>::infinity());
    Value unseen = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most, lowest);
    Value shift = arith::SelectOp::create(b, unseen, f32Constant(b, 0.0), most);
    Value rescale = math::ExpOp::create(b, arith::SubFOp::create(b, state[0], shift));
    Value total;
    for (auto [j, score] : llvm::enumerate(s)) {
      Value e = math::ExpOp::create(b, arith::SubFOp::create(b, score, shift));
      memref::StoreOp::create(b, e, weights, ValueRange{row, plus(b, lane, j * kLanes)});
      total = total ? sum(b, total, e) : e;
    }
    total = reduceLanes(b, total, kLanes, sum);
    total = math::FmaOp::create(b, state[1], rescale, total);
    gpu::BarrierOp::create(b); // keys are read, weights written
    loadRows(b, t, v, firstKey, keyCount, keyHead, buffer, keys, Value());
    gpu::BarrierOp::create(b);
    Value rescales = vector::BroadcastOp::create(b, four, rescale);
    SmallVector<Value> result;
    for (Value r : state.drop_front(2))
      result.push_back(arith::MulFOp::create(b, r, rescales));
    auto products = scf::ForOp::create(
        b, zero, indexConstant(b, keys), indexConstant(b, 1), result,
        [&](OpBuilder &o, Location l, Value key, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          Value p = vector::BroadcastOp::create(ib, four, memref::LoadOp::create(ib, weights, ValueRange{row, key}));
          SmallVector<Value> sums;
          for (int64_t i = 0; i < vectors(); ++i) {
            Value column = plus(ib, times(ib, lane, kLanes), i * kLanes * kLanes);
            Value c = vector::LoadOp::create(ib, four, buffer, ValueRange{key, column}, false, llvm::Align(16));
            sums.push_back(vector::FMAOp::create(ib, p, c, acc[i]));
          }
          scf::YieldOp::create(ib, sums);
        });
    SmallVector<Value> next = {most, total};
    llvm::append_range(next, products.getResults());
    return next;
  }

  void body(Thread &t) {
    ImplicitLocOpBuilder &b = t.b;
    zero = indexConstant(b, 0);
    Value tileIndex = arith::RemUIOp::create(b, t.block, tiles);
    Value rest = arith::DivUIOp::create(b, t.block, tiles);
    head = arith::RemUIOp::create(b, rest, heads);
    batch = arith::DivUIOp::create(b, rest, heads);
    keyHead = group == 1 ? head : Value(arith::DivUIOp::create(b, head, indexConstant(b, group)));
    first = times(b, tileIndex, rows);
    row = arith::DivUIOp::create(b, t.thread, indexConstant(b, kLanes));
    lane = arith::RemUIOp::create(b, t.thread, indexConstant(b, kLanes));
    query = add(b, first, row);
    loadRows(b, t, q, first, queries, head, t.shared[0], rows,
             arith::ConstantOp::create(b, op.getScaleAttr()));
    Value end = keyCount;
    if (op.getCausal()) {
      // Keys up to T - S + the last query of the block; none when that is negative.
      Value reach = add(b, plus(b, first, rows), keyCount);
      Value none = below(b, reach, queries);
      Value seen = arith::SelectOp::create(b, none, zero, arith::SubIOp::create(b, reach, queries));
      end = arith::MinUIOp::create(b, end, seen);
    }
    SmallVector<Value> init = {f32Constant(b, -std::numeric_limits<float>::infinity()), f32Constant(b, 0.0)};
    init.append(vectors(), arith::ConstantOp::create(b, b.getZeroAttr(four)));
    auto loop = scf::ForOp::create(b, zero, end, indexConstant(b, keys), init,
                                   [&](OpBuilder &o, Location l, Value key, ValueRange state) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     scf::YieldOp::create(ib, tile(ib, t, key, state));
                                   });
    Value total = vector::BroadcastOp::create(b, four, loop.getResult(1));
    onlyIf(b, below(b, query, queries), [&](ImplicitLocOpBuilder &ib) {
      for (int64_t i = 0; i < vectors(); ++i) {
        Value value = arith::DivFOp::create(ib, loop.getResult(2 + i), total);
        for (int64_t j = 0; j < kLanes; ++j) {
          Value column = plus(ib, times(ib, lane, kLanes), i * kLanes * kLanes + j);
          onlyIf(ib, below(ib, column, indexConstant(ib, size)), [&](ImplicitLocOpBuilder &sb) {
            storeF32(sb, vector::ExtractOp::create(sb, value, j), out, {batch, query, head, column});
          });
        }
      }
    });
  }

  void emit(ImplicitLocOpBuilder &b) {
    queries = dimOf(b, q, 1);
    keyCount = dimOf(b, k, 1);
    heads = dimOf(b, q, 2);
    tiles = ceilDiv(b, queries, indexConstant(b, rows));
    four = VectorType::get({kLanes}, b.getF32Type());
    Value blocks = product(b, {dimOf(b, q, 0), heads, tiles});
    Type f32 = b.getF32Type();
    launch(b, "attention", {blocks}, rows * kLanes,
           {sharedType(b, {rows, pitch()}, f32), sharedType(b, {keys, pitch()}, f32), sharedType(b, {rows, keys + 1}, f32)},
           [&](Thread &t) { body(t); });
  }
};

/// Many queries: on tensor cores where keys and values are short.
void emitTiles(ImplicitLocOpBuilder &b, AttentionOp op) {
  if (MmaAttention::fits(op))
    MmaAttention(op).emit(b);
  else
    Emitter(op).emit(b);
}

} // namespace

LogicalResult sq::cuda::lowerAttention(RewriterBase &rewriter, AttentionOp op, const CudaTarget &) {
  for (Value x : {op.getQ(), op.getK(), op.getV(), op.getOuts()})
    if (auto type = cast<MemRefType>(x.getType()); !isFloatUpTo32(x) || type.isDynamicDim(3) || type.getDimSize(3) > kMostDecodeSize)
      return op.emitOpError("has no kernel for ") << type << "; only f32, f16 or bf16 and heads of a known size up to " << kMostDecodeSize;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  int64_t size = cast<MemRefType>(op.getQ().getType()).getDimSize(3), known = cast<MemRefType>(op.getQ().getType()).getDimSize(1);
  bool dynamic = ShapedType::isDynamic(known);
  if (size > kMostHeadSize || (!dynamic && known <= kDecodeQueries)) {
    Value most = !dynamic && known <= kDecodeQueries ? indexConstant(b, known) : Value();
    DecodeAttention(b, op, most).emit(b, /*isAlternative=*/false);
  } else if (!dynamic) {
    emitTiles(b, op);
  } else {
    DecodeAttention decode(b, op, indexConstant(b, kDecodeQueries));
    Value few = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, dimOf(b, op.getQ(), 1), indexConstant(b, kDecodeQueries));
    scf::IfOp::create(
        b, few,
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          decode.emit(ib, /*isAlternative=*/true);
          scf::YieldOp::create(ib);
        },
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          emitTiles(ib, op);
          scf::YieldOp::create(ib);
        });
  }
  rewriter.eraseOp(op);
  return success();
}
