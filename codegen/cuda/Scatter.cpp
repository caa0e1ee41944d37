//===-- Scatter.cpp - rows written to computed places -------------------------===//
//
// Updates must come in order, as two may go to one place: a thread for each
// (p, q) walks through all of them. Threads of a warp have neighbouring q.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "codegen/common/ScatterPoint.h"
#include "codegen/cuda/Kernels.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

LogicalResult sq::cuda::lowerScatter(RewriterBase &rewriter, ScatterOp op, const CudaTarget &) {
  constexpr int64_t threads = 256;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value rows = dimOf(b, op.getUpdates(), 0), updates = dimOf(b, op.getUpdates(), 1);
  Value width = dimOf(b, op.getUpdates(), 2);
  Value count = product(b, {rows, width}), perBlock = indexConstant(b, threads);
  launch(b, "scatter", ceilDiv(b, count, perBlock), threads, {}, [&](Thread &t) {
    Value index = arith::AddIOp::create(t.b, arith::MulIOp::create(t.b, t.block, perBlock), t.thread);
    onlyIf(t.b, below(t.b, index, count), [&](ImplicitLocOpBuilder &ib) {
      SmallVector<Value> at = delinearize(ib, index, {rows, width});
      loop(ib, indexConstant(ib, 0), updates, 1, [&](ImplicitLocOpBuilder &rb, Value r) {
        ScatterRow to = scatterRow(rb, op, at[0], r);
        onlyIf(rb, to.exists, [&](ImplicitLocOpBuilder &tb) {
          scatterPoint(tb, op, at[0], to.row, r, at[1]);
        });
      });
    });
  });
  rewriter.eraseOp(op);
  return success();
}
