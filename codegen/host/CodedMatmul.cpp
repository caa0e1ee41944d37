//===-- CodedMatmul.cpp - the product by codes into tables
//----------------------===//
//
// For a few rows of x, which is what decoding a token is, time is what it takes
// to read the codes: they are read once, in order, by rows of the weight.
// Sixteen such rows, and what the sparse matrix has of them, are a group, whose
// sums wait in L1 until they are vectors for the epilogue. Threads share
// groups. Each sum is computed in one order whatever the threads and the other
// rows of x.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/CodedMatmul.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/common/Schedule.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/Epilogue.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kGroup = 16; // rows of the weight
constexpr int64_t kRows =
    8; // of x, for which a row of the weight is decoded once
constexpr int64_t kCodesPerThread = 1 << 17; // some 4 us

/// Products of bytes of the same x right behind `op`, with nothing between that
/// writes it.
SmallVector<PackedMatmulOp> sharersOfX(PackedMatmulOp op) {
  SmallVector<PackedMatmulOp> sharers;
  Value written = rootOf(op.getOuts()), x = rootOf(op.getX());
  for (Operation *other = op->getNextNode(); other && written != x;
       other = other->getNextNode()) {
    auto product = dyn_cast<PackedMatmulOp>(other);
    if (!product && (isMemoryEffectFree(other) || isa<memref::AllocOp>(other)))
      continue;
    if (!product || product.getX() != op.getX() || !product.hasByteCodes())
      break;
    sharers.push_back(product);
    written = rootOf(product.getOuts());
  }
  return sharers;
}

struct Emitter : EpilogueEmitter {
  CodedRows coded;
  int64_t columns;
  Value rows, scratch, thread; // scratch: f32 [threads][kRows][kGroup]

  Emitter(ImplicitLocOpBuilder &b, PackedMatmulOp op, const TiledTarget &target,
          Value x)
      : EpilogueEmitter(b, op, target), coded(b, op, target, x),
        columns(cast<MemRefType>(out.getType()).getDimSize(1)),
        rows(dimOf(b, x, 0)) {}

  /// Columns [n, n + width) of the result for rows [first, first + count),
  /// where count is at most `most`.
  void tile(ImplicitLocOpBuilder &b, Value n, int64_t width, Value first,
            Value count, int64_t most) {
    Value last = arith::SubIOp::create(
        b, arith::AddIOp::create(b, first, count), indexConstant(b, 1));
    SmallVector<Value> row;
    for (int64_t i = 0; i < most; ++i)
      row.push_back(arith::MinUIOp::create(b, plus(b, first, i), last));
    loop(b, indexConstant(b, 0), indexConstant(b, width), 1,
         [&](ImplicitLocOpBuilder &ib, Value i) {
           for (auto [r, sum] : llvm::enumerate(
                    coded.sums(ib, arith::AddIOp::create(ib, n, i), row)))
             memref::StoreOp::create(
                 ib, sum, scratch, ValueRange{thread, indexConstant(ib, r), i});
         });
    loop(b, indexConstant(b, 0), count, 1,
         [&](ImplicitLocOpBuilder &ib, Value r) {
           epilogue(ib, scratch, r, arith::AddIOp::create(ib, first, r), n,
                    width);
         });
  }

  /// Sums of row `r` of `memory` to columns [n, n + width) of row y of the
  /// result.
  void epilogue(ImplicitLocOpBuilder &b, Value memory, Value r, Value y,
                Value n, int64_t width) {
    for (int64_t v = 0; v < width; v += target.lanes) {
      int64_t lanes = validLanes(width, v);
      Value sum = vector::LoadOp::create(
          b, vectorType, memory, ValueRange{thread, r, indexConstant(b, v)});
      Value at = plus(b, n, v);
      store(b, apply(b, sum, y, at, lanes), out, ValueRange{y, at}, lanes);
    }
  }

  /// All rows of x for a group: by eights, and what is left by 1, 2, 4 or 8,
  /// some of them twice.
  void groupOf(ImplicitLocOpBuilder &b, Value group, int64_t width) {
    Value n = arith::MulIOp::create(b, group, indexConstant(b, kGroup));
    loop(b, indexConstant(b, 0), rows, kRows,
         [&](ImplicitLocOpBuilder &ib, Value first) {
           Value count = arith::MinUIOp::create(
               ib, arith::SubIOp::create(ib, rows, first),
               indexConstant(ib, kRows));
           SmallVector<int64_t> cases = {1, 2, 3, 4};
           auto choice = scf::IndexSwitchOp::create(ib, TypeRange(), count,
                                                    cases, cases.size());
           auto fill = [&](Region &region, int64_t most) {
             OpBuilder::InsertionGuard guard(ib);
             ib.createBlock(&region);
             tile(ib, n, width, first, count, most);
             scf::YieldOp::create(ib);
           };
           fill(choice.getDefaultRegion(), kRows);
           for (auto [i, size] : llvm::enumerate(cases))
             fill(choice.getCaseRegions()[i], size);
         });
  }

  /// All rows of x for a panel of columns.
  void panelOf(ImplicitLocOpBuilder &b, CodedPanels &panels, Value panel,
               int64_t width) {
    Value n = arith::MulIOp::create(b, panel, indexConstant(b, kPanelColumns));
    panels.decode(b, n);
    loop(b, indexConstant(b, 0), rows, CodedPanels::kBlockRows,
         [&](ImplicitLocOpBuilder &tb, Value first) {
           Value count = arith::MinUIOp::create(
               tb, arith::SubIOp::create(tb, rows, first),
               indexConstant(tb, CodedPanels::kBlockRows));
           panels.multiply(tb, n, width, first, count);
           loop(tb, indexConstant(tb, 0), count, 1,
                [&](ImplicitLocOpBuilder &ib, Value row) {
                  epilogue(ib, panels.sums, row,
                           arith::AddIOp::create(ib, first, row), n, width);
                });
         });
  }

  /// `body` for each of [begin, end), of which the last of all `count` has a
  /// width of its own.
  static void
  forWidths(ImplicitLocOpBuilder &b, ValueRange range, int64_t columns,
            int64_t width,
            function_ref<void(ImplicitLocOpBuilder &, Value, int64_t)> body) {
    int64_t count = llvm::divideCeil(columns, width),
            lastWidth = columns - (count - 1) * width;
    Value whole = indexConstant(b, lastWidth == width ? count : count - 1);
    if (columns >= width)
      loop(b, range[0], arith::MinUIOp::create(b, range[1], whole), 1,
           [&](ImplicitLocOpBuilder &ib, Value i) { body(ib, i, width); });
    if (lastWidth != width)
      loop(b, arith::MaxUIOp::create(b, range[0], whole), range[1], 1,
           [&](ImplicitLocOpBuilder &ib, Value i) { body(ib, i, lastWidth); });
  }

  /// Rounds x for this product and those behind it, with the sums of groups
  /// that they need.
  void round(ImplicitLocOpBuilder &b, RoundedInputs &known) {
    SmallVector<GroupShape> shapes;
    auto placeOf = [&](const CodedRows &rows) -> std::optional<size_t> {
      if (!rows.needsSums())
        return std::nullopt;
      auto *found = llvm::find(shapes, rows.groupShape());
      size_t place = found - shapes.begin();
      if (found == shapes.end())
        shapes.push_back(rows.groupShape());
      return place;
    };
    std::optional<size_t> own = placeOf(coded);
    SmallVector<std::pair<PackedMatmulOp, std::optional<size_t>>> sharers;
    for (PackedMatmulOp sharer : sharersOfX(op))
      sharers.emplace_back(sharer,
                           placeOf(CodedRows(b, sharer, target, coded.x)));
    SmallVector<Value> sums =
        coded.roundInput(b, kernelName("round", op.getLoc()), shapes);
    auto sumsAt = [&](std::optional<size_t> place) {
      return place ? sums[*place] : Value();
    };
    coded.groups.sums = sumsAt(own);
    for (auto [sharer, place] : sharers)
      known[sharer] = {coded.rounded, coded.roundedScale, Value(),
                       sumsAt(place)};
  }

  void emit(ImplicitLocOpBuilder &b, RoundedInputs &known) {
    if (auto it = known.find(op); it != known.end()) {
      coded.rounded = it->second.bytes;
      coded.roundedScale = it->second.scale;
      coded.transposed = it->second.transposed;
      coded.groups.sums = it->second.groupSums;
      known.erase(it);
    } else if (coded.bytes) {
      round(b, known);
    } else if (coded.needsSums()) {
      coded.sumInput(b, kernelName("sum", op.getLoc()));
    }
    scratch = allocPerThread(b, {b.getIndexAttr(kRows), b.getIndexAttr(kGroup)},
                             b.getF32Type());
    Value isFew = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, rows,
                                        indexConstant(b, kRows));
    if (coded.bytes && coded.rowPtr && !coded.transposed) {
      coded.transposeInput(b, kernelName("transpose", op.getLoc()), isFew);
      for (auto &[sharer, input] : known)
        if (input.bytes == coded.rounded)
          input.transposed = coded.transposed;
    }
    CodedPanels panels(b, coded, columns);
    auto either = [&](int64_t few, int64_t many) -> Value {
      return arith::SelectOp::create(b, isFew, indexConstant(b, few),
                                     indexConstant(b, many));
    };
    Value count = either(llvm::divideCeil(columns, kGroup),
                         llvm::divideCeil(columns, kPanelColumns));
    Value cost = arith::MulIOp::create(
        b, ceilDiv(b, rows, indexConstant(b, kRows)),
        either(kGroup * coded.depth, kPanelColumns * coded.depth));
    ParallelOp::create(
        b, kernelName("matmul", op.getLoc()), count,
        grainFor(b, cost, kCodesPerThread),
        [&](OpBuilder &o, Location l, ValueRange range) {
          ImplicitLocOpBuilder pb(l, o);
          thread = panels.thread = range[2];
          scf::IfOp::create(
              pb, isFew,
              [&](OpBuilder &fo, Location fl) {
                ImplicitLocOpBuilder fb(fl, fo);
                forWidths(fb, range, columns, kGroup,
                          [&](ImplicitLocOpBuilder &ib, Value group,
                              int64_t width) { groupOf(ib, group, width); });
                scf::YieldOp::create(fb);
              },
              [&](OpBuilder &mo, Location ml) {
                ImplicitLocOpBuilder mb(ml, mo);
                panels.prepare(mb);
                forWidths(
                    mb, range, columns, kPanelColumns,
                    [&](ImplicitLocOpBuilder &ib, Value panel, int64_t width) {
                      panelOf(ib, panels, panel, width);
                    });
                scf::YieldOp::create(mb);
              });
        });
  }
};

} // namespace

LogicalResult sq::lowerCodedMatmul(RewriterBase &rewriter, PackedMatmulOp op,
                                   const TiledTarget &target,
                                   RoundedInputs &rounded) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  if (!outType.getElementType().isF32() || !outType.getLayout().isIdentity())
    return op.emitOpError("needs a dense f32 result, got ") << outType;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX()));
  TiledTarget tiled = op.hasByteCodes() ? tilesForBytes(target) : target;
  Emitter emitter(b, op, tiled, x);
  emitter.emit(b, rounded);
  rewriter.eraseOp(op);
  return success();
}
