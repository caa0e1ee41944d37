#include "codegen/common/ContractionTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

SmallVector<Value> sq::emitContractionTile(ImplicitLocOpBuilder &b, const ContractionTile &tile) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(tile.vectorType));
  SmallVector<Value> init(tile.rows * tile.vectors, zero);
  Value c0 = arith::ConstantIndexOp::create(b, 0);
  Value c1 = arith::ConstantIndexOp::create(b, 1);
  auto loop = scf::ForOp::create(
      b, c0, tile.depth, c1, init, [&](OpBuilder &nested, Location loc, Value k, ValueRange acc) {
        ImplicitLocOpBuilder ib(loc, nested);
        SmallVector<Value> rhs, next;
        for (int64_t v = 0; v < tile.vectors; ++v)
          rhs.push_back(tile.rhs(ib, k, v));
        for (int64_t r = 0; r < tile.rows; ++r) {
          Value lhs = vector::BroadcastOp::create(ib, tile.vectorType, tile.lhs(ib, r, k));
          for (int64_t v = 0; v < tile.vectors; ++v)
            next.push_back(vector::FMAOp::create(ib, lhs, rhs[v], acc[r * tile.vectors + v]));
        }
        scf::YieldOp::create(ib, next);
      });
  return SmallVector<Value>(loop.getResults());
}

void sq::emitRowTiles(ImplicitLocOpBuilder &b, Value begin, Value end, int64_t rows,
                      function_ref<void(ImplicitLocOpBuilder &, int64_t, Value)> tile) {
  Value count = arith::SubIOp::create(b, end, begin);
  Value step = arith::ConstantIndexOp::create(b, rows);
  Value enough = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, count, step);
  scf::IfOp::create(
      b, enough,
      [&](OpBuilder &nested, Location loc) {
        ImplicitLocOpBuilder ib(loc, nested);
        Value last = arith::SubIOp::create(ib, end, step);
        scf::ForOp::create(ib, begin, end, step, ValueRange(),
                           [&](OpBuilder &inner, Location l, Value m, ValueRange) {
                             ImplicitLocOpBuilder tb(l, inner);
                             tile(tb, rows, arith::MinSIOp::create(tb, m, last));
                             scf::YieldOp::create(tb);
                           });
        scf::YieldOp::create(ib);
      },
      [&](OpBuilder &nested, Location loc) {
        ImplicitLocOpBuilder ib(loc, nested);
        for (int64_t part : {4, 2, 1}) {
          // Rows before this part: the larger powers of two that `count` has.
          Value mask = arith::ConstantIndexOp::create(ib, ~(2 * part - 1));
          Value first = arith::AddIOp::create(ib, begin, arith::AndIOp::create(ib, count, mask));
          Value bit = arith::AndIOp::create(ib, count, arith::ConstantIndexOp::create(ib, part));
          Value has = arith::CmpIOp::create(ib, arith::CmpIPredicate::ne, bit,
                                            arith::ConstantIndexOp::create(ib, 0));
          scf::IfOp::create(ib, has, [&](OpBuilder &inner, Location l) {
            ImplicitLocOpBuilder tb(l, inner);
            tile(tb, part, first);
            scf::YieldOp::create(tb);
          });
        }
        scf::YieldOp::create(ib);
      });
}
