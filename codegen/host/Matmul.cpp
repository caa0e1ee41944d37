//===-- Matmul.cpp - the matrix product of two run-time tensors --------------===//
//
// The right operand is row-major as it stands: its rows are read as vectors
// without packing, which is right for the short products of attention-like
// graphs. f32 goes through the contraction tile, other types through scalar
// loops that accumulate in f32 (f64 for f64).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kChunkRows = 128;
constexpr int64_t kFlopsPerThread = 1 << 20;

struct Emitter {
  Value a, b, c;
  const TiledTarget &target;
  Location loc;
  SmallVector<Value> batchSizes;
  Value rows, columns, depth;

  /// Indices of `memref` for a batch index: broadcast dims are read at 0.
  SmallVector<Value> batchOf(ImplicitLocOpBuilder &ib, Value memref, ValueRange batch) {
    auto type = cast<MemRefType>(memref.getType());
    SmallVector<Value> at;
    for (auto [i, v] : llvm::enumerate(batch))
      at.push_back(type.getDimSize(i) == 1 ? indexConstant(ib, 0) : v);
    return at;
  }

  static SmallVector<Value> indexed(ArrayRef<Value> batch, Value i, Value j) {
    SmallVector<Value> at(batch);
    at.push_back(i);
    at.push_back(j);
    return at;
  }

  void panel(ImplicitLocOpBuilder &pb, ArrayRef<Value> batchA, ArrayRef<Value> batchB,
             ArrayRef<Value> batchC, Value n0, Value begin, Value end, bool masked) {
    auto vectorType = VectorType::get({target.lanes}, pb.getF32Type());
    auto maskType = VectorType::get({target.lanes}, pb.getI1Type());
    SmallVector<Value> masks, column;
    for (int64_t v = 0; v < target.tiles.vectors; ++v) {
      column.push_back(arith::AddIOp::create(pb, n0, indexConstant(pb, v * target.lanes)));
      if (masked) {
        // create_mask takes a negative count for none.
        Value left = arith::SubIOp::create(pb, columns, column[v]);
        masks.push_back(vector::CreateMaskOp::create(pb, maskType, ValueRange(left)));
      }
    }
    emitRowTiles(pb, begin, end, target.tiles.rows, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      int64_t count = row.size();
      Value zero = arith::ConstantOp::create(tb, tb.getZeroAttr(vectorType));
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) -> Value {
        return memref::LoadOp::create(ib, a, indexed(batchA, row[r], k));
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) -> Value {
        if (!masked)
          return vector::LoadOp::create(ib, vectorType, b, indexed(batchB, k, column[v]));
        return vector::MaskedLoadOp::create(ib, vectorType, b, indexed(batchB, k, column[v]),
                                            masks[v], zero);
      };
      ContractionTile tile{count, target.tiles.vectors, vectorType, depth, lhs, rhs};
      SmallVector<Value> sums = emitContractionTile(tb, tile);
      for (int64_t r = 0; r < count; ++r)
        for (int64_t v = 0; v < target.tiles.vectors; ++v) {
          Value sum = sums[r * target.tiles.vectors + v];
          if (masked)
            vector::MaskedStoreOp::create(tb, c, indexed(batchC, row[r], column[v]), masks[v], sum);
          else
            vector::StoreOp::create(tb, sum, c, indexed(batchC, row[r], column[v]));
        }
    });
  }

  void emitF32(ImplicitLocOpBuilder &ib) {
    int64_t width = target.tiles.vectors * target.lanes;
    Value one = indexConstant(ib, 1);
    Value panels = ceilDiv(ib, columns, indexConstant(ib, width));
    Value chunks = ceilDiv(ib, rows, indexConstant(ib, kChunkRows));
    Value tasks = arith::MulIOp::create(ib, chunks, panels);
    Value count = arith::MulIOp::create(ib, product(ib, batchSizes), tasks);
    Value cost = arith::MulIOp::create(
        ib, arith::MinUIOp::create(ib, rows, indexConstant(ib, kChunkRows)),
        arith::MulIOp::create(ib, depth, indexConstant(ib, 2 * width)));
    ParallelOp::create(
        ib, kernelName("matmul", loc), count, grainFor(ib, cost, kFlopsPerThread),
        [&](OpBuilder &nested, Location l, ValueRange range) {
          scf::ForOp::create(nested, l, range[0], range[1], one, ValueRange(), [&](OpBuilder &inner, Location, Value flat, ValueRange) {
            ImplicitLocOpBuilder fb(l, inner);
            SmallVector<Value> sizes(batchSizes);
            sizes.push_back(chunks);
            sizes.push_back(panels);
            SmallVector<Value> at = delinearize(fb, flat, sizes);
            ValueRange batch = ValueRange(at).drop_back(2);
            SmallVector<Value> batchA = batchOf(fb, a, batch), batchB = batchOf(fb, b, batch),
                               batchC = batchOf(fb, c, batch);
            Value begin = arith::MulIOp::create(fb, at[at.size() - 2], indexConstant(fb, kChunkRows));
            Value end = arith::MinUIOp::create(
                fb, arith::AddIOp::create(fb, begin, indexConstant(fb, kChunkRows)), rows);
            Value n0 = arith::MulIOp::create(fb, at.back(), indexConstant(fb, width));
            Value n1 = arith::AddIOp::create(fb, n0, indexConstant(fb, width));
            Value full = arith::CmpIOp::create(fb, arith::CmpIPredicate::ule, n1, columns);
            auto emitPanel = [&](bool masked) {
              return [&, masked](OpBuilder &o, Location at2) {
                ImplicitLocOpBuilder pb(at2, o);
                panel(pb, batchA, batchB, batchC, n0, begin, end, masked);
                scf::YieldOp::create(pb);
              };
            };
            scf::IfOp::create(fb, full, emitPanel(false), emitPanel(true));
            scf::YieldOp::create(fb);
          });
        });
  }

  void emitScalar(ImplicitLocOpBuilder &ib) {
    Type type = cast<MemRefType>(c.getType()).getElementType();
    Type sumType = type.isF64() ? type : Type(ib.getF32Type());
    Value one = indexConstant(ib, 1), zero = indexConstant(ib, 0);
    SmallVector<Value> sizes(batchSizes);
    sizes.push_back(rows);
    Value cost = arith::MulIOp::create(ib, depth, columns);
    auto widen = [&](ImplicitLocOpBuilder &eb, Value v) -> Value {
      return v.getType() == sumType ? v : Value(arith::ExtFOp::create(eb, sumType, v));
    };
    ParallelOp::create(
        ib, kernelName("matmul", loc), product(ib, sizes), grainFor(ib, cost, 1 << 15),
        [&](OpBuilder &nested, Location l, ValueRange range) {
          scf::ForOp::create(nested, l, range[0], range[1], one, ValueRange(), [&](OpBuilder &inner, Location, Value flat, ValueRange) {
            ImplicitLocOpBuilder fb(l, inner);
            SmallVector<Value> at = delinearize(fb, flat, sizes);
            Value m = at.pop_back_val();
            SmallVector<Value> batchA = batchOf(fb, a, at), batchB = batchOf(fb, b, at),
                               batchC = batchOf(fb, c, at);
            scf::ForOp::create(fb, zero, columns, one, ValueRange(), [&](OpBuilder &o, Location, Value n, ValueRange) {
              ImplicitLocOpBuilder nb(l, o);
              Value init = arith::ConstantOp::create(nb, nb.getZeroAttr(sumType));
              auto loop = scf::ForOp::create(nb, zero, depth, one, init, [&](OpBuilder &kOp, Location, Value k, ValueRange acc) {
                ImplicitLocOpBuilder kb(l, kOp);
                Value lhs = widen(kb, memref::LoadOp::create(kb, a, indexed(batchA, m, k)));
                Value rhs = widen(kb, memref::LoadOp::create(kb, b, indexed(batchB, k, n)));
                Value prod = arith::MulFOp::create(kb, lhs, rhs);
                scf::YieldOp::create(kb, ValueRange(arith::AddFOp::create(kb, acc[0], prod)));
              });
              Value sum = loop.getResult(0);
              if (sumType != type)
                sum = arith::TruncFOp::create(nb, type, sum);
              memref::StoreOp::create(nb, sum, c, indexed(batchC, m, n));
              scf::YieldOp::create(nb);
            });
            scf::YieldOp::create(fb);
          });
        });
  }
};

} // namespace

LogicalResult sq::lowerMatmul(RewriterBase &rewriter, MatmulOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder ib(op.getLoc(), rewriter);
  Emitter e{denseMemref(ib, op.getA()), denseMemref(ib, op.getB()), op.getOuts(), target,
            op.getLoc(), {}, {}, {}, {}};
  auto type = cast<MemRefType>(e.c.getType());
  int64_t rank = type.getRank();
  for (int64_t i = 0; i < rank - 2; ++i)
    e.batchSizes.push_back(dimOf(ib, e.c, i));
  e.rows = dimOf(ib, e.c, rank - 2);
  e.columns = dimOf(ib, e.c, rank - 1);
  e.depth = dimOf(ib, e.a, rank - 1);
  if (type.getElementType().isF32())
    e.emitF32(ib);
  else
    e.emitScalar(ib);
  rewriter.eraseOp(op);
  return success();
}
