//===-- Scatter.cpp - rows written to computed places -------------------------===//
//
// Updates must come in order, as two may go to one place: threads share what
// lies beside that, the rows of `p` and pieces of `q`, and each walks through all
// updates.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "codegen/common/ScatterPoint.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {
constexpr int64_t kPiece = 256; // elements of q
constexpr int64_t kElementsPerThread = 1 << 14;
} // namespace

LogicalResult sq::lowerScatter(RewriterBase &rewriter, ScatterOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value rows = dimOf(b, op.getUpdates(), 0), updates = dimOf(b, op.getUpdates(), 1);
  Value width = dimOf(b, op.getUpdates(), 2), piece = indexConstant(b, kPiece);
  Value pieces = ceilDiv(b, width, piece);
  Value cost = product(b, {updates, arith::MinUIOp::create(b, width, piece)});
  ParallelOp::create(
      b, kernelName("scatter", op.getLoc()), product(b, {rows, pieces}),
      grainFor(b, cost, kElementsPerThread), [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder ob(l, o);
        loop(ob, range[0], range[1], 1, [&](ImplicitLocOpBuilder &ib, Value index) {
          SmallVector<Value> at = delinearize(ib, index, {rows, pieces});
          Value begin = arith::MulIOp::create(ib, at[1], piece);
          Value end = arith::MinUIOp::create(ib, width, arith::AddIOp::create(ib, begin, piece));
          loop(ib, indexConstant(ib, 0), updates, 1, [&](ImplicitLocOpBuilder &rb, Value r) {
            ScatterRow to = scatterRow(rb, op, at[0], r);
            scf::IfOp::create(rb, to.exists, [&](OpBuilder &t, Location tl) {
              ImplicitLocOpBuilder tb(tl, t);
              loop(tb, begin, end, 1, [&](ImplicitLocOpBuilder &qb, Value q) {
                scatterPoint(qb, op, at[0], to.row, r, q);
              });
              scf::YieldOp::create(tb);
            });
          });
        });
      });
  rewriter.eraseOp(op);
  return success();
}
