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
    extras.push_back(cast<MemRefType>(dense.getType()).getRank() <= 1 ? dense : asRows(b, dense));
  }
  Value rows = dimOf(b, x, 0), columns = dimOf(b, y, 1), depth = dimOf(b, x, 1);
  StoreSum store = [&](ImplicitLocOpBuilder &ib, Value m, Value n, Value sum) {
    SmallVector<Value> args = {sum};
    for (Value extra : extras) {
      auto type = cast<MemRefType>(extra.getType());
      SmallVector<Value> at = {m, type.getRank() == 2 && type.getDimSize(1) == 1 ? indexConstant(ib, 0) : n};
      args.push_back(memref::LoadOp::create(ib, extra, ArrayRef<Value>(at).take_back(type.getRank())));
    }
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

namespace {

/// The operands of a stack of products, and where the matrix at `at` of the stack lies.
struct Stack {
  Value a, c, y, rows, columns, depth;
  SmallVector<Value> batchDims;

  Stack(ImplicitLocOpBuilder &b, MatmulOp op) : a(op.getA()), c(op.getB()), y(op.getOuts()) {
    int64_t rank = cast<MemRefType>(y.getType()).getRank();
    for (int64_t d = 0; d < rank - 2; ++d)
      batchDims.push_back(dimOf(b, y, d));
    rows = dimOf(b, y, rank - 2);
    columns = dimOf(b, y, rank - 1);
    depth = dimOf(b, a, rank - 1);
  }
  /// Indices of an operand, whose dims of 1 are broadcast.
  SmallVector<Value> indices(ImplicitLocOpBuilder &b, Value operand, ArrayRef<Value> at, Value i, Value j) const {
    SmallVector<Value> result;
    for (auto [d, index] : llvm::enumerate(at))
      result.push_back(cast<MemRefType>(operand.getType()).getDimSize(d) == 1 ? indexConstant(b, 0) : index);
    result.append({i, j});
    return result;
  }
};

/// Of f64, which the tiles do not have: a thread for each element.
void lowerDoubleMatmul(ImplicitLocOpBuilder &b, const Stack &stack) {
  constexpr int64_t kThreads = 256;
  Value total = product(b, {product(b, stack.batchDims), stack.rows, stack.columns});
  launch(b, "matmul", ceilDiv(b, total, indexConstant(b, kThreads)), kThreads, {}, [&](Thread &t) {
    Value start = arith::MulIOp::create(t.b, t.block, indexConstant(t.b, kThreads));
    Value point = arith::AddIOp::create(t.b, start, t.thread);
    onlyIf(t.b, below(t.b, point, total), [&](ImplicitLocOpBuilder &ib) {
      Value n = arith::RemUIOp::create(ib, point, stack.columns);
      Value rest = arith::DivUIOp::create(ib, point, stack.columns);
      Value m = arith::RemUIOp::create(ib, rest, stack.rows);
      SmallVector<Value> at =
          delinearize(ib, arith::DivUIOp::create(ib, rest, stack.rows), stack.batchDims);
      Value zero = arith::ConstantOp::create(ib, ib.getF64FloatAttr(0));
      auto loop = scf::ForOp::create(
          ib, indexConstant(ib, 0), stack.depth, indexConstant(ib, 1), zero,
          [&](OpBuilder &o, Location l, Value k, ValueRange sums) {
            ImplicitLocOpBuilder inner(l, o);
            Value x = memref::LoadOp::create(inner, stack.a, stack.indices(inner, stack.a, at, m, k));
            Value w = memref::LoadOp::create(inner, stack.c, stack.indices(inner, stack.c, at, k, n));
            Value term = arith::MulFOp::create(inner, x, w);
            scf::YieldOp::create(inner, ValueRange(arith::AddFOp::create(inner, sums[0], term)));
          });
      memref::StoreOp::create(ib, loop.getResult(0), stack.y, stack.indices(ib, stack.y, at, m, n));
    });
  });
}

} // namespace

LogicalResult sq::cuda::lowerMatmul(RewriterBase &rewriter, MatmulOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Type element = cast<MemRefType>(op.getOuts().getType()).getElementType();
  for (Value v : {op.getA(), op.getB(), op.getOuts()})
    if (cast<MemRefType>(v.getType()).getElementType() != element ||
        !(element.isF32() || element.isF64() || element.isF16() || element.isBF16()))
      return op.emitOpError("has no kernel for ") << v.getType() << "; only for one type of float";
  Stack stack(b, op);
  if (element.isF64()) {
    lowerDoubleMatmul(b, stack);
    rewriter.eraseOp(op);
    return success();
  }
  Value rowTiles = tilesOf(b, stack.rows, TileProduct::kRows);
  // All tiles of all matrices in one dim of the grid: the others end at 65,535.
  Value columnTiles = tilesOf(b, stack.columns, TileProduct::kColumns);
  Value blocks = product(b, {product(b, stack.batchDims), rowTiles, columnTiles});
  launchTiles(b, {blocks}, [&](Thread &t) {
    Value columnTile = arith::RemUIOp::create(t.b, t.block, columnTiles);
    Value rest = arith::DivUIOp::create(t.b, t.block, columnTiles);
    Value batch = arith::DivUIOp::create(t.b, rest, rowTiles), tile = arith::RemUIOp::create(t.b, rest, rowTiles);
    SmallVector<Value> at = delinearize(t.b, batch, stack.batchDims);
    // The short floats are widened where they are read and rounded once.
    auto load = [&](ImplicitLocOpBuilder &ib, Value operand, Value i, Value j) -> Value {
      Value x = memref::LoadOp::create(ib, operand, stack.indices(ib, operand, at, i, j));
      return element.isF32() ? x : arith::ExtFOp::create(ib, ib.getF32Type(), x).getResult();
    };
    TileProduct product{
        stack.rows, stack.columns, indexConstant(t.b, 0), stack.depth,
        [&](ImplicitLocOpBuilder &ib, Value m, Value k) { return load(ib, stack.a, m, k); },
        [&](ImplicitLocOpBuilder &ib, Value k, Value n) { return load(ib, stack.c, k, n); },
        [&](ImplicitLocOpBuilder &ib, Value m, Value n, Value sum) {
          if (!element.isF32())
            sum = arith::TruncFOp::create(ib, element, sum);
          memref::StoreOp::create(ib, sum, stack.y, stack.indices(ib, stack.y, at, m, n));
        }};
    product.emit(t, tileStart(t.b, tile, TileProduct::kRows), tileStart(t.b, columnTile, TileProduct::kColumns));
  });
  rewriter.eraseOp(op);
  return success();
}
