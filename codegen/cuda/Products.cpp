//===-- Products.cpp - matrix products on the GPU -----------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/cuda/Gemv.h"
#include "codegen/cuda/MmaProduct.h"
#include "codegen/cuda/TileProduct.h"
#include "codegen/cuda/WgmmaProduct.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kFewRows = 8; // at most, for the kernels that read the weights once
constexpr int64_t kSmallRows = 64, kLargeRows = 128; // of a block on tensor cores, as many columns
constexpr int64_t kLargeTilesWanted = 66;            // for half of the multiprocessors of an H200

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

Type elementOf(Value v) { return cast<MemRefType>(v.getType()).getElementType(); }

/// The epilogue of a product, and where its results go.
struct Epilogue {
  Block &body;
  SmallVector<Value> extras;
  Value y;

  /// The element of an extra for row m and column n; of rank 1 or less, or like rows of y.
  static SmallVector<Value> place(ImplicitLocOpBuilder &b, Value extra, Value m, Value n) {
    auto type = cast<MemRefType>(extra.getType());
    SmallVector<Value> at = {m, type.getRank() == 2 && type.getDimSize(1) == 1 ? indexConstant(b, 0) : n};
    return SmallVector<Value>(ArrayRef<Value>(at).take_back(type.getRank()));
  }

  void store(ImplicitLocOpBuilder &b, Value m, Value n, Value sum) const {
    auto sums = dyn_cast<VectorType>(sum.getType());
    if (!sums) {
      SmallVector<Value> args = {sum};
      for (Value extra : extras)
        args.push_back(memref::LoadOp::create(b, extra, place(b, extra, m, n)));
      memref::StoreOp::create(b, inlineRegion(b, body, args)[0], y, ValueRange{m, n});
      return;
    }
    int64_t count = sums.getNumElements();
    SmallVector<SmallVector<Value>> args(count);
    for (int64_t i = 0; i < count; ++i)
      args[i].push_back(vector::ExtractOp::create(b, sum, i));
    for (Value extra : extras) {
      if (hasAlignedRows(extra, count)) {
        auto type = VectorType::get({count}, elementOf(extra));
        Value all = vector::LoadOp::create(b, type, extra, ValueRange(place(b, extra, m, n)), false, alignmentOf(type));
        for (int64_t i = 0; i < count; ++i)
          args[i].push_back(vector::ExtractOp::create(b, all, i));
        continue;
      }
      for (int64_t i = 0; i < count; ++i)
        args[i].push_back(memref::LoadOp::create(b, extra, place(b, extra, m, plus(b, n, i))));
    }
    SmallVector<Value> results;
    for (int64_t i = 0; i < count; ++i)
      results.push_back(inlineRegion(b, body, args[i])[0]);
    if (hasAlignedRows(y, count)) {
      auto type = VectorType::get({count}, elementOf(y));
      vector::StoreOp::create(b, vector::FromElementsOp::create(b, type, results), y, ValueRange{m, n}, false, alignmentOf(type));
      return;
    }
    for (int64_t i = 0; i < count; ++i)
      memref::StoreOp::create(b, results[i], y, ValueRange{m, plus(b, n, i)});
  }
};

/// The epilogue of the product that column n, of those of all side by side, belongs to.
void storeAmong(ImplicitLocOpBuilder &b, ArrayRef<Epilogue> epilogues, Value m, Value n, Value sum) {
  if (epilogues.size() == 1)
    return epilogues.front().store(b, m, n, sum);
  Value width = indexConstant(b, cast<MemRefType>(epilogues.front().y.getType()).getDimSize(1));
  scf::IfOp::create(
      b, below(b, n, width),
      [&](OpBuilder &o, Location l) {
        ImplicitLocOpBuilder ib(l, o);
        epilogues.front().store(ib, m, n, sum);
        scf::YieldOp::create(ib);
      },
      [&](OpBuilder &o, Location l) {
        ImplicitLocOpBuilder ib(l, o);
        storeAmong(ib, epilogues.drop_front(), m, arith::SubIOp::create(ib, n, width), sum);
        scf::YieldOp::create(ib);
      });
}

/// Memory for `x`, of f32, in the type of the weights.
Value allocateShort(ImplicitLocOpBuilder &b, Value x, Type element) {
  auto type = cast<MemRefType>(x.getType());
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (type.isDynamicDim(d))
      sizes.push_back(dimOf(b, x, d));
  return memref::AllocOp::create(b, MemRefType::get(type.getShape(), element), sizes);
}

/// A kernel that rounds `x` into `to`.
void shorten(ImplicitLocOpBuilder &b, Value x, Value to) {
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(2));
  SmallVector<utils::IteratorType> loops(2, utils::IteratorType::parallel);
  linalg::GenericOp::create(b, TypeRange(), x, to, maps, loops, [](OpBuilder &o, Location l, ValueRange args) {
    linalg::YieldOp::create(o, l, Value(arith::TruncFOp::create(o, l, args[1].getType(), args[0])));
  });
}

} // namespace

LogicalResult sq::cuda::lowerPackedMatmuls(RewriterBase &rewriter, ArrayRef<PackedMatmulOp> ops, const CudaTarget &target) {
  PackedMatmulOp op = ops.front();
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), w = op.getWeight(), y = asRows(b, op.getOuts());
  auto panels = cast<MemRefType>(w.getType());
  Type factor = panels.getElementType();
  bool onTensorCores = !factor.isF32() || target.tf32;
  if (!isFloatUpTo32(x) || !isFloatUpTo32(y) || !isFloatUpTo32(w) || panels.getRank() != 3 ||
      panels.getDimSize(2) != kCudaPanelColumns || (elementOf(x) != factor && !elementOf(x).isF32()))
    return op.emitOpError("has no kernel for ") << op.getX().getType() << ", a weight of " << panels << " and outs " << op.getOuts().getType();
  auto eraseAll = [&] {
    for (PackedMatmulOp done : ops)
      rewriter.eraseOp(done);
    return success();
  };
  if (panels.getDimSize(0) == 0) // no columns
    return eraseAll();
  SmallVector<Epilogue> epilogues;
  for (PackedMatmulOp one : ops) {
    Epilogue &epilogue = epilogues.emplace_back(Epilogue{one.getEpilogue().front(), {}, asRows(b, one.getOuts())});
    for (Value extra : one.getExtras()) {
      Value dense = denseMemref(b, extra);
      epilogue.extras.push_back(cast<MemRefType>(dense.getType()).getRank() <= 1 ? dense : asRows(b, dense));
    }
  }
  Value rows = dimOf(b, x, 0), columns = dimOf(b, y, 1), depth = dimOf(b, x, 1);
  if (ops.size() > 1) {
    // Their panels follow one another in memory.
    int64_t count = static_cast<int64_t>(ops.size());
    columns = indexConstant(b, count * panels.getDimSize(0) * kCudaPanelColumns);
    panels = MemRefType::get({count * panels.getDimSize(0), panels.getDimSize(1), kCudaPanelColumns}, factor);
    SmallVector<int64_t> strides = {panels.getDimSize(1) * kCudaPanelColumns, kCudaPanelColumns, 1};
    w = memref::ReinterpretCastOp::create(b, panels, w, /*offset=*/0, panels.getShape(), strides);
  }
  StoreSum store = [&](ImplicitLocOpBuilder &ib, Value m, Value n, Value sum) { storeAmong(ib, epilogues, m, n, sum); };
  int64_t known = cast<MemRefType>(x.getType()).getDimSize(0);
  bool dynamic = ShapedType::isDynamic(known);
  Value factors = x; // as the tensor cores take them
  if (onTensorCores && elementOf(x) != factor && (dynamic || known > kFewRows))
    factors = allocateShort(b, x, factor);
  int64_t panelCount = panels.getDimSize(0);
  Value rowTiles = tilesOf(b, rows, kSmallRows), panelTiles = indexConstant(b, panelCount);
  SplitK split(b, rowTiles, panelCount, panels.getDimSize(1));
  auto mmaTiles = [&](ImplicitLocOpBuilder &tb, int64_t warpTile, bool isAlternative) {
    bool mayBeSplit = warpTile == kSmallRows / 2;
    MmaProduct product{MmaProduct::factorsOf(factor), factors, w, rows, columns, panels.getDimSize(1), warpTile, {}};
    Value blocksM = tilesOf(tb, rows, product.rowsOfBlock());
    Value blocksN = indexConstant(tb, llvm::divideCeil(panelCount, product.panelsOfBlock()));
    gpu::LaunchOp tile = launchDynamic(
        tb, "matmul", {blocksM, blocksN, mayBeSplit ? split.parts : indexConstant(tb, 1)}, MmaProduct::kThreads, product.sharedBytes(),
        [&](Thread &t) {
          Value k = indexConstant(t.b, panels.getDimSize(1));
          auto [begin, end] = mayBeSplit ? split.range(t.b, t.blockZ, k) : std::pair<Value, Value>(indexConstant(t.b, 0), k);
          product.store = mayBeSplit ? split.storeOf(t.blockZ, store) : store;
          product.emit(t, tileStart(t.b, t.block, product.rowsOfBlock()), tileStart(t.b, t.blockY, product.panelsOfBlock()), begin, end);
        });
    tile->setAttr("sq.min_blocks", b.getI64IntegerAttr(product.minBlocks()));
    if (isAlternative)
      tile->setAttr("sq.alternative", b.getUnitAttr());
    if (mayBeSplit)
      split.join(tb, rows, columns, store);
  };
  bool hasWgmma = target.wgmma && WgmmaProduct::fits(factor, panels.getDimSize(1));
  auto wgmmaTiles = [&](ImplicitLocOpBuilder &tb, bool isAlternative) {
    WgmmaProduct product{MmaProduct::factorsOf(factor), factors, w, rows, columns, panels.getDimSize(1), WgmmaProduct::panelsFor(panelCount), store};
    Value blocksM = tilesOf(tb, rows, WgmmaProduct::kRows), blocksN = indexConstant(tb, llvm::divideCeil(panelCount, product.panels));
    gpu::LaunchOp tile = launchDynamic(tb, "matmul", {blocksM, blocksN}, WgmmaProduct::kThreads, product.sharedBytes(), [&](Thread &t) {
      product.emit(t, tileStart(t.b, t.block, WgmmaProduct::kRows), tileStart(t.b, t.blockY, product.panels));
    });
    tile->setAttr("sq.min_blocks", b.getI64IntegerAttr(1));
    if (isAlternative)
      tile->setAttr("sq.alternative", b.getUnitAttr());
  };
  auto tiles = [&](ImplicitLocOpBuilder &tb) {
    if (onTensorCores) {
      if (factors != x)
        shorten(tb, x, factors);
      // Large tiles read each factor half as often, if there are enough of them.
      auto tilesIn = [](int64_t extent, int64_t size) { return static_cast<int64_t>(llvm::divideCeil(extent, size)); };
      int64_t across = tilesIn(panelCount, hasWgmma ? WgmmaProduct::panelsFor(panelCount) : 2);
      int64_t fewest = tilesIn(kLargeTilesWanted, across); // of rows
      auto largeTiles = [&](ImplicitLocOpBuilder &lb, bool isAlternative) {
        return hasWgmma ? wgmmaTiles(lb, isAlternative) : mmaTiles(lb, kLargeRows / 2, isAlternative);
      };
      if (panelCount == 1)
        return mmaTiles(tb, kSmallRows / 2, false);
      if (!dynamic)
        return tilesIn(known, kLargeRows) >= fewest ? largeTiles(tb, false) : mmaTiles(tb, kSmallRows / 2, false);
      Value isLarge = arith::CmpIOp::create(tb, arith::CmpIPredicate::ugt, rows, indexConstant(tb, (fewest - 1) * kLargeRows));
      scf::IfOp::create(
          tb, isLarge,
          [&](OpBuilder &o, Location l) {
            ImplicitLocOpBuilder ib(l, o);
            largeTiles(ib, true);
            scf::YieldOp::create(ib);
          },
          [&](OpBuilder &o, Location l) {
            ImplicitLocOpBuilder ib(l, o);
            mmaTiles(ib, kSmallRows / 2, false);
            scf::YieldOp::create(ib);
          });
      return;
    } else {
      Value width = indexConstant(tb, kCudaPanelColumns);
      launchTiles(tb, {rowTiles, panelTiles, split.parts}, [&](Thread &t) {
        auto [begin, end] = split.range(t.b, t.blockZ, depth);
        TileProduct product{
            rows, columns, begin, end,
            [&](ImplicitLocOpBuilder &ib, Value m, Value k) -> Value {
              return loadF32(ib, x, {m, k});
            },
            [&](ImplicitLocOpBuilder &ib, Value k, Value n) -> Value {
              Value panel = arith::DivUIOp::create(ib, n, width), at = arith::RemUIOp::create(ib, n, width);
              return loadF32(ib, w, {panel, k, at});
            },
            split.storeOf(t.blockZ, store)};
        product.emit(t, tileStart(t.b, t.block, TileProduct::kRows), tileStart(t.b, t.blockY, TileProduct::kColumns));
      });
      split.join(tb, rows, columns, store);
    }
  };
  // Which kernel it is depends on the number of rows, when that is known.
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
  return eraseAll();
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
