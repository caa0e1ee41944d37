//===-- PackedMatmul.cpp - the matrix product with packed weights ------------===//
//
// Work is shared as (chunk of rows) x (panel of columns): a chunk of at most
// 128 rows keeps the left operand in L2 while panel after panel passes by. A
// panel is multiplied tile by tile, and each tile's sums go through the
// epilogue in registers.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kChunkRows = 128;
// Below this many flops a thread's share is not worth waking it (about 10 us).
constexpr int64_t kFlopsPerThread = 1 << 20;

struct Emitter {
  PackedMatmulOp op;
  const HostTarget &target;
  Value x, weight, out; // x and out as [rows, k] and [rows, n]
  SmallVector<Value> extras;
  int64_t depth, columns;
  VectorType vectorType;

  /// The epilogue on vectors: the region's ops are elementwise, so each is
  /// cloned with vector types.
  Value epilogue(ImplicitLocOpBuilder &b, ValueRange args) {
    IRMapping map;
    Block &body = op.getEpilogue().front();
    map.map(body.getArguments(), args);
    auto widen = [&](Type t) -> Type {
      return t.isIntOrFloat() ? VectorType::get(vectorType.getShape(), t) : t;
    };
    auto operand = [&](Value v) {
      Value mapped = map.lookupOrDefault(v);
      if (isa<VectorType>(mapped.getType()) || !mapped.getType().isIntOrFloat())
        return mapped;
      return Value(vector::BroadcastOp::create(b, cast<VectorType>(widen(mapped.getType())), mapped));
    };
    for (Operation &inner : body.without_terminator()) {
      if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
        auto type = cast<VectorType>(widen(constant.getType()));
        map.map(constant.getResult(),
                arith::ConstantOp::create(
                    b, DenseElementsAttr::get(type, cast<Attribute>(constant.getValue()))));
        continue;
      }
      OperationState state(b.getLoc(), inner.getName());
      for (Value v : inner.getOperands())
        state.addOperands(operand(v));
      for (Type t : inner.getResultTypes())
        state.addTypes(widen(t));
      state.addAttributes(inner.getAttrs());
      state.propertiesAttr = inner.getPropertiesAsAttribute();
      Operation *copy = b.create(state);
      map.map(inner.getResults(), copy->getResults());
    }
    return operand(cast<YieldOp>(body.getTerminator()).getValues().front());
  }

  /// Lanes of the vector at column offset `first` (static part) that exist.
  int64_t validLanes(int64_t width, int64_t first) {
    return std::min<int64_t>(target.lanes, width - first);
  }

  Value load(ImplicitLocOpBuilder &b, Value memref, ValueRange at, int64_t lanes) {
    if (lanes == target.lanes)
      return vector::LoadOp::create(b, vectorType, memref, at);
    Value mask = laneMask(b, lanes);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(vectorType));
    return vector::MaskedLoadOp::create(b, vectorType, memref, at, mask, zero);
  }

  void store(ImplicitLocOpBuilder &b, Value value, Value memref, ValueRange at, int64_t lanes) {
    if (lanes == target.lanes)
      vector::StoreOp::create(b, value, memref, at);
    else
      vector::MaskedStoreOp::create(b, memref, at, laneMask(b, lanes), value);
  }

  Value laneMask(ImplicitLocOpBuilder &b, int64_t lanes) {
    return vector::CreateMaskOp::create(b, VectorType::get({target.lanes}, b.getI1Type()),
                                        ValueRange(indexConstant(b, lanes)));
  }

  /// Columns [sub, sub + vectors * lanes) of a panel, for all rows of a chunk;
  /// `width` columns of the panel exist.
  void subpanel(ImplicitLocOpBuilder &b, Value panel, Value column, Value begin, Value end,
                int64_t sub, int64_t width) {
    int64_t left = std::min(width - sub, target.tileVectors * target.lanes);
    int64_t vectors = llvm::divideCeil(left, target.lanes);
    // While a panel is multiplied the next one is fetched to L2, each tile its
    // share of it, evenly over its steps of k (specs/host-codegen.md, section
    // 1). Behind the last panel lies what the next layer begins with.
    Value next = plus(b, panel, 1);
    Value tiles = ceilDiv(b, arith::SubIOp::create(b, end, begin), indexConstant(b, target.tileRows));
    Value perStep = ceilDiv(b, indexConstant(b, kPanelColumns), tiles); // floats
    emitRowTiles(b, begin, end, target.tileRows, [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      int64_t rows = row.size();
      ContractionTile tile;
      tile.rows = rows;
      tile.vectors = vectors;
      tile.vectorType = vectorType;
      tile.depth = indexConstant(tb, depth);
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) -> Value {
        return memref::LoadOp::create(ib, x, ValueRange{row[r], k});
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) -> Value {
        return vector::LoadOp::create(
            ib, vectorType, weight,
            ValueRange{panel, k, indexConstant(ib, sub + v * target.lanes)});
      };
      tile.lhs = lhs;
      tile.rhs = rhs;
      Value from = arith::MulIOp::create(
          tb, indexConstant(tb, depth),
          arith::MulIOp::create(tb, perStep,
                                arith::DivUIOp::create(tb, arith::SubIOp::create(tb, row[0], begin),
                                                       indexConstant(tb, target.tileRows))));
      auto prefetch = [&](ImplicitLocOpBuilder &ib, Value k) {
        Value at = arith::AddIOp::create(ib, from, arith::MulIOp::create(ib, k, perStep));
        memref::PrefetchOp::create(ib, weight, ValueRange{next, indexConstant(ib, 0), at},
                                   /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
      };
      tile.step = prefetch;
      SmallVector<Value> sums = emitContractionTile(tb, tile);
      // First every load, then every store: between them, loads would wait for
      // stores whose addresses agree in the lower 12 bits.
      if (cheapEpilogue())
        for (int64_t v = 0; v < vectors; ++v)
          for (int64_t r = 0; r < rows; ++r) {
            int64_t offset = sub + v * target.lanes;
            Value &sum = sums[r * vectors + v];
            sum = epilogueAt(tb, sum, row[r], plus(tb, column, offset), validLanes(width, offset));
          }
      for (int64_t v = 0; v < vectors; ++v)
        for (int64_t r = 0; r < rows; ++r) {
          int64_t offset = sub + v * target.lanes;
          store(tb, sums[r * vectors + v], out, ValueRange{row[r], plus(tb, column, offset)},
                validLanes(width, offset));
        }
      if (cheapEpilogue())
        return;
      // The sums lie in L1; one copy of the epilogue per column vector instead
      // of one per accumulator keeps the code short.
      Value last = tb.createOrFold<arith::AddIOp>(row.back(), indexConstant(tb, 1));
      scf::ForOp::create(
          tb, row[0], last, indexConstant(tb, 1), ValueRange(),
          [&](OpBuilder &nested, Location loc, Value r, ValueRange) {
            ImplicitLocOpBuilder rb(loc, nested);
            for (int64_t v = 0; v < vectors; ++v) {
              int64_t offset = sub + v * target.lanes, lanes = validLanes(width, offset);
              Value n = rb.createOrFold<arith::AddIOp>(column, indexConstant(rb, offset));
              Value sum = load(rb, out, ValueRange{r, n}, lanes);
              store(rb, epilogueAt(rb, sum, r, n, lanes), out, ValueRange{r, n}, lanes);
            }
            scf::YieldOp::create(rb);
          });
    });
  }

  bool cheapEpilogue() {
    constexpr int64_t kCheapOps = 4;
    return llvm::range_size(op.getEpilogue().front().without_terminator()) <= kCheapOps &&
           llvm::none_of(op.getEpilogue().front(), [](Operation &inner) {
             return inner.getName().getDialectNamespace() == "math";
           });
  }

  Value epilogueAt(ImplicitLocOpBuilder &b, Value sum, Value row, Value n, int64_t lanes) {
    SmallVector<Value> args = {sum};
    for (Value extra : extras)
      args.push_back(cast<MemRefType>(extra.getType()).getRank() == 1
                         ? load(b, extra, n, lanes)
                         : load(b, extra, ValueRange{row, n}, lanes));
    return epilogue(b, args);
  }

  void panelOf(ImplicitLocOpBuilder &b, Value panel, Value begin, Value end, int64_t width) {
    Value column = arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns));
    for (int64_t sub = 0; sub < width; sub += target.tileVectors * target.lanes)
      subpanel(b, panel, column, begin, end, sub, width);
  }

  void emit(ImplicitLocOpBuilder &b) {
    int64_t panelCount = llvm::divideCeil(columns, kPanelColumns);
    int64_t lastWidth = columns - (panelCount - 1) * kPanelColumns;
    Value rows = dimOf(b, x, 0), panels = indexConstant(b, panelCount);
    // Chunks of equal size, a multiple of the tile's rows.
    Value chunks = ceilDiv(b, rows, indexConstant(b, kChunkRows));
    Value one = indexConstant(b, 1), step = indexConstant(b, target.tileRows);
    Value chunkRows = arith::MulIOp::create(
        b, ceilDiv(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunks, one)), step), step);
    Value count = arith::MulIOp::create(b, ceilDiv(b, rows, arith::MaxUIOp::create(b, chunkRows, one)), panels);
    Value cost = arith::MulIOp::create(
        b, arith::MinUIOp::create(b, chunkRows, rows),
        indexConstant(b, 2 * depth * std::min(columns, kPanelColumns)));
    ParallelOp::create(
        b, kernelName("matmul", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
        [&](OpBuilder &nested, Location loc, ValueRange range) {
          scf::ForOp::create(
              nested, loc, range[0], range[1], one, ValueRange(),
              [&](OpBuilder &inner, Location l, Value task, ValueRange) {
                ImplicitLocOpBuilder ib(l, inner);
                Value chunk = arith::DivUIOp::create(ib, task, panels);
                Value panel = arith::RemUIOp::create(ib, task, panels);
                Value begin = arith::MulIOp::create(ib, chunk, chunkRows);
                Value end = arith::MinUIOp::create(
                    ib, arith::AddIOp::create(ib, begin, chunkRows), rows);
                if (lastWidth == kPanelColumns) {
                  panelOf(ib, panel, begin, end, kPanelColumns);
                } else if (panelCount == 1) {
                  panelOf(ib, panel, begin, end, lastWidth);
                } else {
                  Value last = arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, panel,
                                                     indexConstant(ib, panelCount - 1));
                  scf::IfOp::create(
                      ib, last,
                      [&](OpBuilder &o, Location at) {
                        ImplicitLocOpBuilder sb(at, o);
                        panelOf(sb, panel, begin, end, lastWidth);
                        scf::YieldOp::create(sb);
                      },
                      [&](OpBuilder &o, Location at) {
                        ImplicitLocOpBuilder sb(at, o);
                        panelOf(sb, panel, begin, end, kPanelColumns);
                        scf::YieldOp::create(sb);
                      });
                }
                scf::YieldOp::create(ib);
              });
        });
  }
};

} // namespace

LogicalResult sq::lowerPackedMatmul(RewriterBase &rewriter, PackedMatmulOp op,
                                    const HostTarget &target) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  if (!outType.getElementType().isF32() || !outType.getLayout().isIdentity())
    return op.emitOpError("needs a dense f32 result, got ") << outType;
  auto weightType = cast<MemRefType>(op.getWeight().getType());
  if (weightType.getShape().back() != kPanelColumns)
    return op.emitOpError("needs a weight in panels of ")
           << kPanelColumns << " columns, got " << weightType
           << "; run --sq-pack-linear with columns=" << kPanelColumns;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Emitter e{op, target, asRows(b, denseMemref(b, op.getX())), op.getWeight(),
            asRows(b, op.getOuts()), {}, 0, 0, VectorType::get({target.lanes}, b.getF32Type())};
  for (Value extra : op.getExtras()) {
    Value dense = denseMemref(b, extra);
    // An extra of rank 1 runs over columns, unless the result itself is a vector.
    bool perColumn = cast<MemRefType>(dense.getType()).getRank() == 1;
    e.extras.push_back(perColumn ? dense : asRows(b, dense));
  }
  e.depth = cast<MemRefType>(op.getWeight().getType()).getDimSize(1);
  e.columns = outType.getShape().back();
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
