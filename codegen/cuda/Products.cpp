//===-- Products.cpp - matrix products on the GPU -----------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "codegen/cuda/Gemv.h"
#include "codegen/cuda/MmaProduct.h"
#include "codegen/cuda/TileProduct.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kFewRows = 8; // at most, for the kernels that read the weights once

Value tileStart(ImplicitLocOpBuilder &b, Value tile, int64_t size) {
  return arith::MulIOp::create(b, tile, indexConstant(b, size));
}

Value tilesOf(ImplicitLocOpBuilder &b, Value extent, int64_t size) {
  return ceilDiv(b, extent, indexConstant(b, size));
}

/// A launch of TileProduct, with four blocks at a time on a multiprocessor.
void launchTiles(ImplicitLocOpBuilder &b, ArrayRef<Value> blocks, function_ref<void(Thread &)> body) {
  gpu::LaunchOp op = launch(b, "matmul", blocks, TileProduct::kThreads, TileProduct::shared(b), body);
  op->setAttr("sq.min_blocks", b.getI64IntegerAttr(4));
}

bool isF32(Value v) { return cast<MemRefType>(v.getType()).getElementType().isF32(); }

} // namespace

LogicalResult sq::cuda::lowerPackedMatmul(RewriterBase &rewriter, PackedMatmulOp op, const CudaTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), w = op.getWeight(), y = asRows(b, op.getOuts());
  auto panels = cast<MemRefType>(w.getType());
  Type factor = panels.getElementType();
  if (!isF32(x) || !isF32(y) || panels.getRank() != 3 || !(factor.isF32() || factor.isF16() || factor.isBF16()) ||
      panels.getDimSize(2) != kCudaPanelColumns)
    return op.emitOpError("has no kernel for a weight of ") << panels << " and outs " << op.getOuts().getType();
  if (panels.getDimSize(0) == 0) { // no columns
    rewriter.eraseOp(op);
    return success();
  }
  SmallVector<Value> extras;
  for (Value extra : op.getExtras()) {
    Value dense = denseMemref(b, extra);
    extras.push_back(cast<MemRefType>(dense.getType()).getRank() == 1 ? dense : asRows(b, dense));
  }
  Value rows = dimOf(b, x, 0), columns = dimOf(b, y, 1), depth = dimOf(b, x, 1);
  StoreSum store = [&](ImplicitLocOpBuilder &ib, Value m, Value n, Value sum) {
    SmallVector<Value> args = {sum};
    for (Value extra : extras)
      args.push_back(memref::LoadOp::create(
          ib, extra, cast<MemRefType>(extra.getType()).getRank() == 1 ? ValueRange(n) : ValueRange{m, n}));
    Value result = inlineRegion(ib, op.getEpilogue().front(), args)[0];
    memref::StoreOp::create(ib, result, y, ValueRange{m, n});
  };
  int64_t panelCount = panels.getDimSize(0);
  Value rowTiles = tilesOf(b, rows, MmaProduct::kRows), panelTiles = indexConstant(b, panelCount);
  SplitK split(b, rowTiles, panelCount, panels.getDimSize(1));
  auto tiles = [&](ImplicitLocOpBuilder &tb) {
    if (!factor.isF32() || target.tf32) {
      MmaProduct product{factor.isF16() ? MmaProduct::F16 : factor.isBF16() ? MmaProduct::BF16 : MmaProduct::TF32,
                         x, w, rows, columns, panels.getDimSize(1), {}};
      gpu::LaunchOp tile = launch(tb, "matmul", {rowTiles, panelTiles, split.parts}, MmaProduct::kThreads,
                                  product.shared(tb), [&](Thread &t) {
                                    auto [begin, end] = split.range(t.b, t.blockZ, indexConstant(t.b, panels.getDimSize(1)));
                                    product.store = split.storeOf(t.blockZ, store);
                                    product.emit(t, tileStart(t.b, t.block, MmaProduct::kRows), t.blockY, begin, end);
                                  });
      // Up to 128 registers: left to itself, ptxas spills a few for one more block.
      tile->setAttr("sq.min_blocks", b.getI64IntegerAttr(4));
    } else {
      Value width = indexConstant(tb, kCudaPanelColumns);
      launchTiles(tb, {rowTiles, panelTiles, split.parts}, [&](Thread &t) {
        auto [begin, end] = split.range(t.b, t.blockZ, depth);
        TileProduct product{
            rows, columns, begin, end,
            [&](ImplicitLocOpBuilder &ib, Value m, Value k) -> Value {
              return memref::LoadOp::create(ib, x, ValueRange{m, k});
            },
            [&](ImplicitLocOpBuilder &ib, Value k, Value n) -> Value {
              Value panel = arith::DivUIOp::create(ib, n, width), at = arith::RemUIOp::create(ib, n, width);
              return memref::LoadOp::create(ib, w, ValueRange{panel, k, at});
            },
            split.storeOf(t.blockZ, store)};
        product.emit(t, tileStart(t.b, t.block, TileProduct::kRows), tileStart(t.b, t.blockY, TileProduct::kColumns));
      });
    }
    split.join(tb, rows, columns, store);
  };
  // Which kernel it is depends on the number of rows, when that is known.
  int64_t known = cast<MemRefType>(x.getType()).getDimSize(0);
  bool dynamic = ShapedType::isDynamic(known);
  Gemv one{1, x, w, rows, columns, dynamic, store}, few{kFewRows, x, w, rows, columns, dynamic, store};
  Value scratch = dynamic || known <= kFewRows ? few.scratch(b) : Value();
  auto atMost = [&](ImplicitLocOpBuilder &ib, int64_t limit, function_ref<void(ImplicitLocOpBuilder &)> then,
                    function_ref<void(ImplicitLocOpBuilder &)> otherwise) {
    if (!dynamic)
      return known <= limit ? then(ib) : otherwise(ib);
    auto branch = [](function_ref<void(ImplicitLocOpBuilder &)> body) {
      return [body](OpBuilder &o, Location l) {
        ImplicitLocOpBuilder inner(l, o);
        body(inner);
        scf::YieldOp::create(inner);
      };
    };
    Value fits = arith::CmpIOp::create(ib, arith::CmpIPredicate::ule, rows, indexConstant(ib, limit));
    scf::IfOp::create(ib, fits, branch(then), branch(otherwise));
  };
  atMost(b, 1, [&](ImplicitLocOpBuilder &ib) { one.emit(ib, scratch); }, [&](ImplicitLocOpBuilder &ib) {
    atMost(ib, kFewRows, [&](ImplicitLocOpBuilder &gb) { few.emit(gb, scratch); }, tiles);
  });
  rewriter.eraseOp(op);
  return success();
}

LogicalResult sq::cuda::lowerMatmul(RewriterBase &rewriter, MatmulOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value a = op.getA(), c = op.getB(), y = op.getOuts();
  for (Value v : {a, c, y})
    if (!isF32(v))
      return op.emitOpError("has no kernel for ") << v.getType() << "; only f32";
  int64_t rank = cast<MemRefType>(y.getType()).getRank();
  SmallVector<Value> batchDims;
  for (int64_t d = 0; d < rank - 2; ++d)
    batchDims.push_back(dimOf(b, y, d));
  Value rows = dimOf(b, y, rank - 2), columns = dimOf(b, y, rank - 1), depth = dimOf(b, a, rank - 1);
  Value rowTiles = tilesOf(b, rows, TileProduct::kRows);
  // All tiles of all matrices in one dim of the grid: the others end at 65,535.
  Value columnTiles = tilesOf(b, columns, TileProduct::kColumns);
  Value blocks = product(b, {product(b, batchDims), rowTiles, columnTiles});
  launchTiles(b, {blocks}, [&](Thread &t) {
           Value columnTile = arith::RemUIOp::create(t.b, t.block, columnTiles);
           Value rest = arith::DivUIOp::create(t.b, t.block, columnTiles);
           Value batch = arith::DivUIOp::create(t.b, rest, rowTiles), tile = arith::RemUIOp::create(t.b, rest, rowTiles);
           SmallVector<Value> at = delinearize(t.b, batch, batchDims);
           Value zero = indexConstant(t.b, 0);
           // Indices of an operand, whose dims of 1 are broadcast.
           auto indices = [&](Value operand, Value i, Value j) {
             SmallVector<Value> result;
             for (int64_t d = 0; d < rank - 2; ++d)
               result.push_back(cast<MemRefType>(operand.getType()).getDimSize(d) == 1 ? zero : at[d]);
             result.append({i, j});
             return result;
           };
           TileProduct product{
               rows, columns, zero, depth,
               [&](ImplicitLocOpBuilder &ib, Value m, Value k) -> Value {
                 return memref::LoadOp::create(ib, a, indices(a, m, k));
               },
               [&](ImplicitLocOpBuilder &ib, Value k, Value n) -> Value {
                 return memref::LoadOp::create(ib, c, indices(c, k, n));
               },
               [&](ImplicitLocOpBuilder &ib, Value m, Value n, Value sum) {
                 memref::StoreOp::create(ib, sum, y, indices(y, m, n));
               }};
           product.emit(t, tileStart(t.b, tile, TileProduct::kRows), tileStart(t.b, columnTile, TileProduct::kColumns));
         });
  rewriter.eraseOp(op);
  return success();
}
