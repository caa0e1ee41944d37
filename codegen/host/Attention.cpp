//===-- Attention.cpp - scaled dot-product attention as one kernel ------------===//
//
// Lanes are queries: a block of them is transposed once, then the scores
// S^T = K Q^T and the result O^T = V^T P^T are both the contraction tile, and
// softmax runs down the keys without a horizontal operation
// (specs/host-codegen.md, section 9.4). Scores of one block and head are all
// that is ever stored: [keys][block] in scratch memory of the thread.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kVectors = 2; // of queries in a block
constexpr int64_t kFlopsPerThread = 1 << 20;

using LoopBody = function_ref<void(ImplicitLocOpBuilder &, Value)>;

void loop(ImplicitLocOpBuilder &b, Value begin, Value end, LoopBody body) {
  scf::ForOp::create(b, begin, end, indexConstant(b, 1), ValueRange(),
                     [&](OpBuilder &o, Location l, Value i, ValueRange) {
                       ImplicitLocOpBuilder ib(l, o);
                       body(ib, i);
                       scf::YieldOp::create(ib);
                     });
}

struct Emitter {
  AttentionOp op;
  const HostTarget &target;
  Value q, k, v, mask, out;
  Value queries, keys, heads, size; // S, T, H, D
  int64_t block;                    // queries in a block
  int64_t headsPerTask = 1;
  bool maskPerQuery = false;
  VectorType vectorType;
  Value scratch; // [threads][rows][block]

  // One task.
  Value batch, first, valid, thread, zero;

  Value scratchLoad(ImplicitLocOpBuilder &b, Value row, int64_t vec) {
    return vector::LoadOp::create(b, vectorType, scratch,
                                  ValueRange{thread, row, indexConstant(b, vec * target.lanes)});
  }
  void scratchStore(ImplicitLocOpBuilder &b, Value value, Value row, int64_t vec) {
    vector::StoreOp::create(b, value, scratch,
                            ValueRange{thread, row, indexConstant(b, vec * target.lanes)});
  }
  // Rows of the scratch memory: [0, D) queries and later the result, [D, D + T)
  // scores, [D + T, D + 2T) the transposed mask.
  Value scoreRow(ImplicitLocOpBuilder &b, Value t) { return arith::AddIOp::create(b, size, t); }
  Value maskRow(ImplicitLocOpBuilder &b, Value t) {
    return arith::AddIOp::create(b, arith::AddIOp::create(b, size, keys), t);
  }

  Value maskIndex(ImplicitLocOpBuilder &b, int64_t dim, Value index) {
    return cast<MemRefType>(mask.getType()).getDimSize(dim) == 1 ? zero : index;
  }

  void transposeMask(ImplicitLocOpBuilder &b, Value head) {
    Value h = maskIndex(b, 1, head), at = maskIndex(b, 0, batch);
    loop(b, zero, valid, [&](ImplicitLocOpBuilder &jb, Value j) {
      Value s = arith::AddIOp::create(jb, first, j);
      loop(jb, zero, keys, [&](ImplicitLocOpBuilder &tb, Value t) {
        Value m = memref::LoadOp::create(tb, mask, ValueRange{at, h, s, t});
        memref::StoreOp::create(tb, m, scratch, ValueRange{thread, maskRow(tb, t), j});
      });
    });
    // Lanes past the last query compute something harmless.
    Value nothing = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
    loop(b, valid, indexConstant(b, block), [&](ImplicitLocOpBuilder &jb, Value j) {
      loop(jb, zero, keys, [&](ImplicitLocOpBuilder &tb, Value t) {
        memref::StoreOp::create(tb, nothing, scratch, ValueRange{thread, maskRow(tb, t), j});
      });
    });
  }

  void packQueries(ImplicitLocOpBuilder &b, Value head) {
    Value scale = arith::ConstantOp::create(b, op.getScaleAttr());
    Value nothing = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
    loop(b, zero, valid, [&](ImplicitLocOpBuilder &jb, Value j) {
      Value s = arith::AddIOp::create(jb, first, j);
      loop(jb, zero, size, [&](ImplicitLocOpBuilder &db, Value d) {
        Value e = memref::LoadOp::create(db, q, ValueRange{batch, s, head, d});
        memref::StoreOp::create(db, arith::MulFOp::create(db, e, scale), scratch,
                                ValueRange{thread, d, j});
      });
    });
    loop(b, valid, indexConstant(b, block), [&](ImplicitLocOpBuilder &jb, Value j) {
      loop(jb, zero, size, [&](ImplicitLocOpBuilder &db, Value d) {
        memref::StoreOp::create(db, nothing, scratch, ValueRange{thread, d, j});
      });
    });
  }

  void scores(ImplicitLocOpBuilder &b, Value head) {
    emitRowTiles(b, zero, keys, target.tileRows, [&](ImplicitLocOpBuilder &tb, int64_t rows, Value t0) {
      SmallVector<Value> row;
      for (int64_t r = 0; r < rows; ++r)
        row.push_back(tb.createOrFold<arith::AddIOp>(t0, indexConstant(tb, r)));
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value d) -> Value {
        return memref::LoadOp::create(ib, k, ValueRange{batch, row[r], head, d});
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value d, int64_t vec) -> Value {
        return scratchLoad(ib, d, vec);
      };
      SmallVector<Value> sums =
          emitContractionTile(tb, {rows, kVectors, vectorType, size, lhs, rhs});
      for (int64_t r = 0; r < rows; ++r) {
        Value shared;
        if (mask && !maskPerQuery) {
          Value m = memref::LoadOp::create(
              tb, mask,
              ValueRange{maskIndex(tb, 0, batch), maskIndex(tb, 1, head), zero, row[r]});
          shared = vector::BroadcastOp::create(tb, vectorType, m);
        }
        for (int64_t vec = 0; vec < kVectors; ++vec) {
          Value sum = sums[r * kVectors + vec];
          Value add = shared ? shared : maskPerQuery ? scratchLoad(tb, maskRow(tb, row[r]), vec) : Value();
          if (add)
            sum = arith::AddFOp::create(tb, sum, add);
          scratchStore(tb, sum, scoreRow(tb, row[r]), vec);
        }
      }
    });
  }

  /// Softmax down the keys, not yet divided by its sums, which are returned
  /// inverted.
  SmallVector<Value> softmax(ImplicitLocOpBuilder &b) {
    Value lowest = arith::ConstantOp::create(
        b, DenseElementsAttr::get(vectorType, -std::numeric_limits<float>::infinity()));
    Value none = arith::ConstantOp::create(b, b.getZeroAttr(vectorType));
    Value one = indexConstant(b, 1);
    auto most = scf::ForOp::create(
        b, zero, keys, one, SmallVector<Value>(kVectors, lowest),
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> next;
          for (int64_t vec = 0; vec < kVectors; ++vec)
            next.push_back(arith::MaximumFOp::create(ib, acc[vec], scratchLoad(ib, scoreRow(ib, t), vec)));
          scf::YieldOp::create(ib, next);
        });
    auto sums = scf::ForOp::create(
        b, zero, keys, one, SmallVector<Value>(kVectors, none),
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> next;
          for (int64_t vec = 0; vec < kVectors; ++vec) {
            Value s = arith::SubFOp::create(ib, scratchLoad(ib, scoreRow(ib, t), vec),
                                            most.getResult(vec));
            Value e = math::ExpOp::create(ib, s);
            scratchStore(ib, e, scoreRow(ib, t), vec);
            next.push_back(arith::AddFOp::create(ib, acc[vec], e));
          }
          scf::YieldOp::create(ib, next);
        });
    Value unit = arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, 1.0f));
    SmallVector<Value> inverse;
    for (Value sum : sums.getResults())
      inverse.push_back(arith::DivFOp::create(b, unit, sum));
    return inverse;
  }

  void values(ImplicitLocOpBuilder &b, Value head, ArrayRef<Value> inverse) {
    emitRowTiles(b, zero, size, target.tileRows, [&](ImplicitLocOpBuilder &tb, int64_t rows, Value d0) {
      SmallVector<Value> row;
      for (int64_t r = 0; r < rows; ++r)
        row.push_back(tb.createOrFold<arith::AddIOp>(d0, indexConstant(tb, r)));
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value t) -> Value {
        return memref::LoadOp::create(ib, v, ValueRange{batch, t, head, row[r]});
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value t, int64_t vec) -> Value {
        return scratchLoad(ib, scoreRow(ib, t), vec);
      };
      SmallVector<Value> sums =
          emitContractionTile(tb, {rows, kVectors, vectorType, keys, lhs, rhs});
      // The queries are no longer needed: their rows take the result.
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t vec = 0; vec < kVectors; ++vec)
          scratchStore(tb, arith::MulFOp::create(tb, sums[r * kVectors + vec], inverse[vec]), row[r], vec);
    });
    loop(b, zero, valid, [&](ImplicitLocOpBuilder &jb, Value j) {
      Value s = arith::AddIOp::create(jb, first, j);
      loop(jb, zero, size, [&](ImplicitLocOpBuilder &db, Value d) {
        Value e = memref::LoadOp::create(db, scratch, ValueRange{thread, d, j});
        memref::StoreOp::create(db, e, out, ValueRange{batch, s, head, d});
      });
    });
  }

  void emit(ImplicitLocOpBuilder &b) {
    zero = indexConstant(b, 0);
    Value perBlock = indexConstant(b, block);
    Value rows = arith::AddIOp::create(b, size, keys);
    if (maskPerQuery)
      rows = arith::AddIOp::create(b, rows, keys);
    scratch = memref::AllocOp::create(
        b, MemRefType::get({ShapedType::kDynamic, ShapedType::kDynamic, block}, b.getF32Type()),
        ValueRange{ThreadsOp::create(b, b.getIndexType()), rows});
    Value blocks = ceilDiv(b, queries, perBlock);
    Value groups = b.createOrFold<arith::DivUIOp>(heads, indexConstant(b, headsPerTask));
    SmallVector<Value> sizes = {dimOf(b, out, 0), groups, blocks};
    Value cost = product(b, {keys, size, indexConstant(b, 4 * block * headsPerTask)});
    ParallelOp::create(
        b, kernelName("attention", op.getLoc()), product(b, sizes),
        grainFor(b, cost, kFlopsPerThread), [&](OpBuilder &o, Location l, ValueRange range) {
          ImplicitLocOpBuilder pb(l, o);
          thread = range[2];
          loop(pb, range[0], range[1], [&](ImplicitLocOpBuilder &ib, Value task) {
            SmallVector<Value> at = delinearize(ib, task, sizes);
            batch = at[0];
            first = arith::MulIOp::create(ib, at[2], perBlock);
            valid = arith::MinUIOp::create(ib, perBlock, arith::SubIOp::create(ib, queries, first));
            Value head0 = arith::MulIOp::create(ib, at[1], indexConstant(ib, headsPerTask));
            bool once = maskPerQuery && cast<MemRefType>(mask.getType()).getDimSize(1) == 1;
            if (once)
              transposeMask(ib, head0);
            Value head1 = arith::AddIOp::create(ib, head0, indexConstant(ib, headsPerTask));
            loop(ib, head0, head1, [&](ImplicitLocOpBuilder &hb, Value head) {
              if (maskPerQuery && !once)
                transposeMask(hb, head);
              packQueries(hb, head);
              scores(hb, head);
              values(hb, head, softmax(hb));
            });
          });
        });
  }
};

} // namespace

LogicalResult sq::lowerAttention(RewriterBase &rewriter, AttentionOp op, const HostTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  for (Value v : op->getOperands())
    if (!cast<MemRefType>(v.getType()).getElementType().isF32())
      return op.emitOpError("has no kernel for ") << v.getType() << "; only f32";
  Emitter e{op, target, op.getQ(), op.getK(), op.getV(), op.getMask(), op.getOuts(),
            dimOf(b, op.getQ(), 1), dimOf(b, op.getK(), 1), dimOf(b, op.getQ(), 2),
            dimOf(b, op.getQ(), 3), kVectors * target.lanes, 1, false,
            VectorType::get({target.lanes}, b.getF32Type()), {}, {}, {}, {}, {}, {}};
  if (e.mask) {
    e.maskPerQuery = cast<MemRefType>(e.mask.getType()).getDimSize(2) != 1;
    // A mask per query is transposed once for several heads.
    int64_t heads = cast<MemRefType>(op.getQ().getType()).getDimSize(2);
    if (e.maskPerQuery && !ShapedType::isDynamic(heads))
      for (int64_t group : {4, 3, 2})
        if (heads % group == 0) {
          e.headsPerTask = group;
          break;
        }
  }
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
