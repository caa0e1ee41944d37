//===-- LinalgThreads.cpp - the long tail: linalg ops, a thread per point ----===//
//
// Threads of a warp take neighbouring points of the last parallel dim, so that
// dense accesses of a warp are one piece of memory; reductions run inside the
// thread.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

#include "codegen/common/LinalgPoint.h"
#include "codegen/cuda/Kernels.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

static constexpr int64_t kThreads = 256;

LogicalResult sq::cuda::lowerLinalg(RewriterBase &rewriter, linalg::LinalgOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  LinalgPoint point;
  point.op = op;
  point.operands = llvm::to_vector(op->getOperands());
  for (const Range &range : op.createLoopRanges(b, op.getLoc()))
    point.sizes.push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
  op.getParallelDims(point.parallel);
  op.getReductionDims(point.reduction);
  SmallVector<Value> shared;
  for (unsigned d : point.parallel)
    shared.push_back(point.sizes[d]);
  Value count = product(b, shared), threads = indexConstant(b, kThreads);
  launch(b, op->getName().stripDialect(), ceilDiv(b, count, threads), kThreads, {}, [&](Thread &t) {
    Value index = arith::AddIOp::create(t.b, arith::MulIOp::create(t.b, t.block, threads), t.thread);
    onlyIf(t.b, below(t.b, index, count), [&](ImplicitLocOpBuilder &ib) {
      SmallVector<Value> ivs(point.sizes.size());
      for (auto [d, v] : llvm::zip(point.parallel, delinearize(ib, index, shared)))
        ivs[d] = v;
      point.element(ib, ivs);
    });
  });
  rewriter.eraseOp(op);
  return success();
}
