//===-- GroupedPanels.cpp - codes in groups for many rows of x
//-------------===//
//
// In floats a panel has the weights themselves, and all else is as with tables.
// In bytes it has the codes, and beside them the scales of its columns, so that
// products stay in bytes: sums of a group in registers, which are then
// converted, scaled and added to sums of floats. What offsets add takes the
// sums of x in a group, as for a few rows. Sums of floats are added up in
// another order than there.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"
#include "lib/numerics/Codes.h"

using namespace mlir;
using namespace sq;

/// Levels of the codes [from, from + a vector) of a block of row n as weights.
Value CodedPanels::ofGroup(ImplicitLocOpBuilder &b, Value weights, Value n,
                           Value block, int64_t from) {
  Value group = coded.firstGroup(b, block);
  if (coded.groupsOfBlock() > 1)
    group = plus(b, group, from / coded.groups.size);
  Value scale = coded.scalesAt(b, n, group, 1);
  Value offset = coded.offsetsAt(b, n, group, scale);
  auto broadcast = [&](Value v) -> Value {
    return vector::BroadcastOp::create(b, weights.getType(), v);
  };
  if (!offset)
    return arith::MulFOp::create(b, weights, broadcast(scale));
  return vector::FMAOp::create(b, weights, broadcast(scale), broadcast(offset));
}

/// Scales and offsets of columns [n, n + 48), the last one again where there
/// are no more.
void CodedPanels::decodeGroups(ImplicitLocOpBuilder &b, Value n) {
  int64_t count = llvm::divideCeil(coded.depth, coded.groups.size);
  Value last = indexConstant(b, columns - 1), zero = indexConstant(b, 0);
  loop(b, zero, indexConstant(b, kPanelColumns), 1,
       [&](ImplicitLocOpBuilder &cb, Value column) {
         Value row = arith::MinUIOp::create(
             cb, arith::AddIOp::create(cb, n, column), last);
         loop(cb, indexConstant(cb, 0), indexConstant(cb, count), 1,
              [&](ImplicitLocOpBuilder &ib, Value group) {
                Value scale = coded.scalesAt(ib, row, group, 1);
                SmallVector<Value> at = {thread, group, column};
                memref::StoreOp::create(ib, scale, groupScales, at);
                if (groupOffsets)
                  memref::StoreOp::create(
                      ib, coded.offsetsAt(ib, row, group, scale), groupOffsets,
                      at);
              });
       });
}

/// Sums of `rows` of x by `vectors` vectors of columns from `sub` on, in bytes.
SmallVector<Value> CodedPanels::multiplyGroups(ImplicitLocOpBuilder &b,
                                               ArrayRef<Value> rows,
                                               int64_t sub, int64_t vectors) {
  const TiledTarget &target = coded.target;
  VectorType type = coded.sumType(b);
  auto floats = VectorType::get({target.lanes}, b.getF32Type());
  int64_t count = llvm::divideCeil(coded.depth, coded.groups.size);
  int64_t perGroup = llvm::divideCeil(std::min(coded.groups.size, coded.depth),
                                      int64_t(4)); // units
  SmallVector<Value> init(rows.size() * vectors,
                          arith::ConstantOp::create(b, b.getZeroAttr(floats)));
  auto groups = scf::ForOp::create(
      b, indexConstant(b, 0), indexConstant(b, count), indexConstant(b, 1),
      init, [&](OpBuilder &o, Location l, Value group, ValueRange before) {
        ImplicitLocOpBuilder gb(l, o);
        Value first =
            arith::MulIOp::create(gb, group, indexConstant(gb, perGroup));
        Value end = arith::MinUIOp::create(gb, plus(gb, first, perGroup),
                                           indexConstant(gb, units));
        ContractionTile tile;
        tile.rows = rows.size();
        tile.vectors = vectors;
        tile.vectorType = type;
        tile.depth = arith::SubIOp::create(gb, end, first);
        auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value k) -> Value {
          Value at = arith::MulIOp::create(
              ib, arith::AddIOp::create(ib, first, k), indexConstant(ib, 4));
          return broadcastFour(ib, type, coded.rounded, {rows[r], at});
        };
        auto columnsAt = [&](int64_t v) { return sub + v * target.lanes; };
        auto rhs = [&](ImplicitLocOpBuilder &ib, Value k, int64_t v) -> Value {
          return vector::LoadOp::create(
              ib, type, panel,
              ValueRange{thread, arith::AddIOp::create(ib, first, k),
                         indexConstant(ib, columnsAt(v))});
        };
        auto multiply = [&](ImplicitLocOpBuilder &ib, Value left, Value right,
                            Value sum) {
          return multiplyBytes(ib, target, right, left, sum);
        };
        tile.lhs = lhs;
        tile.rhs = rhs;
        tile.multiply = multiply;
        SmallVector<Value> sums = emitContractionTile(gb, tile), next;
        auto ofColumns = [&](Value memory, int64_t v) -> Value {
          return vector::LoadOp::create(
              gb, floats, memory,
              ValueRange{thread, group, indexConstant(gb, columnsAt(v))});
        };
        SmallVector<Value> scales, offsets;
        for (int64_t v = 0; v < vectors; ++v) {
          scales.push_back(ofColumns(groupScales, v));
          if (groupOffsets)
            offsets.push_back(ofColumns(groupOffsets, v));
        }
        for (auto [r, row] : llvm::enumerate(rows)) {
          Value ofX;
          if (groupOffsets)
            ofX = vector::BroadcastOp::create(
                gb, floats,
                memref::LoadOp::create(gb, coded.groups.sums,
                                       ValueRange{row, group}));
          for (int64_t v = 0; v < vectors; ++v) {
            int64_t i = r * vectors + v;
            Value sum = vector::FMAOp::create(
                gb, arith::SIToFPOp::create(gb, floats, sums[i]), scales[v],
                before[i]);
            if (ofX)
              sum = vector::FMAOp::create(gb, ofX, offsets[v], sum);
            next.push_back(sum);
          }
        }
        scf::YieldOp::create(gb, next);
      });
  return SmallVector<Value>(groups.getResults());
}
