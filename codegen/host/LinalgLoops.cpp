//===-- LinalgLoops.cpp - the long tail: linalg ops as loops ------------------===//
//
// The product of the parallel dims is shared among the threads, reductions run
// inside with their accumulators in registers. The loops are scalar; LLVM
// vectorises the innermost one.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

#include "codegen/common/LinalgPoint.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kElementsPerThread = 1 << 14;

struct Emitter : LinalgPoint {
  /// Every operand is read and written at the loop's own index, densely.
  bool isFlat() {
    if (op.getNumReductionLoops() || op.hasIndexSemantics() || op.getNumLoops() == 0)
      return false;
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<MemRefType>(operand.get().getType());
      if (!type)
        continue;
      if (!op.getMatchingIndexingMap(&operand).isIdentity() || !type.getLayout().isIdentity())
        return false;
    }
    return true;
  }

  /// What is the same along the inner loop, loads too: the points of a parallel loop read nothing
  /// that others write, which LLVM cannot know. An index that moves inside would keep it from
  /// vectorising what is read there.
  void hoist(scf::ForOp loop) {
    auto isOut = [&](Value memory) {
      return llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &out) { return operands[out.getOperandNumber()] == memory; });
    };
    moveLoopInvariantCode(
        {&loop.getRegion()}, [&](Value v, Region *) { return loop.isDefinedOutsideOfLoop(v); },
        [&](Operation *inner, Region *) {
          auto load = dyn_cast<memref::LoadOp>(inner);
          return isPure(inner) || (load && !isOut(load.getMemRef()));
        },
        [&](Operation *inner, Region *) { inner->moveBefore(loop); });
  }

  void emit(ImplicitLocOpBuilder &b) {
    // The last parallel dim is an inner loop of its own when nothing is
    // reduced, so that LLVM sees a plain contiguous loop.
    bool inner = !flat && reduction.empty() && parallel.size() > 1;
    scf::ForOp innermost;
    SmallVector<unsigned> shared(parallel);
    if (inner)
      shared.pop_back();
    SmallVector<Value> sharedSizes, innerSizes;
    for (unsigned d : shared)
      sharedSizes.push_back(sizes[d]);
    for (unsigned d = 0; d < sizes.size(); ++d)
      if (!llvm::is_contained(shared, d))
        innerSizes.push_back(sizes[d]);
    ParallelOp::create(
        b, kernelName(op->getName().stripDialect(), op.getLoc()), product(b, sharedSizes),
        grainFor(b, product(b, innerSizes), kElementsPerThread),
        [&](OpBuilder &o, Location l, ValueRange range) {
          scf::ForOp::create(
              o, l, range[0], range[1], arith::ConstantIndexOp::create(o, l, 1), ValueRange(),
              [&](OpBuilder &nested, Location, Value index, ValueRange) {
                ImplicitLocOpBuilder ib(l, nested);
                SmallVector<Value> ivs(sizes.size());
                for (auto [d, v] : llvm::zip(shared, delinearize(ib, index, sharedSizes)))
                  ivs[d] = v;
                if (inner) {
                  unsigned last = parallel.back();
                  innermost = scf::ForOp::create(ib, indexConstant(ib, 0), sizes[last], indexConstant(ib, 1),
                                     ValueRange(), [&](OpBuilder &io, Location, Value iv, ValueRange) {
                                       ImplicitLocOpBuilder eb(l, io);
                                       ivs[last] = iv;
                                       element(eb, ivs);
                                       scf::YieldOp::create(eb);
                                     });
                } else {
                  element(ib, ivs);
                }
                scf::YieldOp::create(ib);
              });
        });
    if (innermost)
      hoist(innermost);
  }
};

} // namespace

LogicalResult sq::lowerLinalg(RewriterBase &rewriter, linalg::LinalgOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Emitter e;
  e.op = op;
  e.operands = llvm::to_vector(op->getOperands());
  e.flat = e.isFlat();
  if (e.flat) {
    SmallVector<Value> extents;
    for (const Range &range : op.createLoopRanges(b, op.getLoc()))
      extents.push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
    e.sizes = {product(b, extents)};
    e.parallel = {0};
    ReassociationIndices all = llvm::to_vector(llvm::seq<int64_t>(0, op.getNumLoops()));
    for (Value &v : e.operands)
      if (auto type = dyn_cast<MemRefType>(v.getType()); type && type.getRank() > 1)
        v = memref::CollapseShapeOp::create(b, v, ArrayRef<ReassociationIndices>(all));
  } else {
    for (const Range &range : op.createLoopRanges(b, op.getLoc()))
      e.sizes.push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
    op.getParallelDims(e.parallel);
    op.getReductionDims(e.reduction);
  }
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
