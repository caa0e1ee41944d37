//===-- LinalgThreads.cpp - the long tail: linalg ops, a thread per point ----===//
//
// Threads of a warp take neighbouring points of the last parallel dim, so that
// dense accesses of a warp are one piece of memory; reductions run inside the
// thread.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include "codegen/cuda/Kernels.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kThreads = 256;

struct Emitter {
  linalg::LinalgOp op;
  SmallVector<Value> sizes; // extent of each loop
  SmallVector<unsigned> parallel, reduction;

  SmallVector<Value> indicesOf(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
    auto expanded = affine::expandAffineMap(b, b.getLoc(), op.getMatchingIndexingMap(&operand), ivs);
    return SmallVector<Value>(expanded->begin(), expanded->end());
  }

  Value load(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
    Value source = operand.get();
    if (!isa<MemRefType>(source.getType()))
      return source;
    return memref::LoadOp::create(b, source, indicesOf(b, operand, ivs));
  }

  /// One point of the iteration space; `acc` holds the outs in a reduction.
  SmallVector<Value> point(ImplicitLocOpBuilder &b, ValueRange ivs, ValueRange acc) {
    Block *body = op.getBlock();
    IRMapping map;
    for (OpOperand &operand : op->getOpOperands()) {
      BlockArgument arg = op.getMatchingBlockArgument(&operand);
      int64_t init = static_cast<int64_t>(operand.getOperandNumber()) - op.getNumDpsInputs();
      if (init >= 0 && !acc.empty())
        map.map(arg, acc[init]);
      else if (!arg.use_empty())
        map.map(arg, load(b, operand, ivs));
    }
    for (Operation &inner : body->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        map.map(index.getResult(), ivs[index.getDim()]);
      else
        b.clone(inner, map);
    }
    return llvm::map_to_vector(body->getTerminator()->getOperands(),
                               [&](Value v) { return map.lookupOrDefault(v); });
  }

  /// The reduction dims from `depth` on; returns the accumulators.
  SmallVector<Value> reduce(ImplicitLocOpBuilder &b, SmallVector<Value> &ivs, unsigned depth, ValueRange acc) {
    if (depth == reduction.size())
      return point(b, ivs, acc);
    auto loop = scf::ForOp::create(b, indexConstant(b, 0), sizes[reduction[depth]], indexConstant(b, 1), acc,
                                   [&](OpBuilder &o, Location l, Value iv, ValueRange inner) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     ivs[reduction[depth]] = iv;
                                     scf::YieldOp::create(ib, reduce(ib, ivs, depth + 1, inner));
                                   });
    return SmallVector<Value>(loop.getResults());
  }

  void element(ImplicitLocOpBuilder &b, Value index) {
    SmallVector<Value> ivs(sizes.size()), shared;
    for (unsigned d : parallel)
      shared.push_back(sizes[d]);
    for (auto [d, v] : llvm::zip(parallel, delinearize(b, index, shared)))
      ivs[d] = v;
    SmallVector<Value> init, values;
    if (reduction.empty()) {
      values = point(b, ivs, {});
    } else {
      for (OpOperand &out : op.getDpsInitsMutable())
        init.push_back(load(b, out, ivs));
      values = reduce(b, ivs, 0, init);
    }
    for (auto [i, value] : llvm::enumerate(values)) {
      OpOperand *out = op.getDpsInitOperand(i);
      memref::StoreOp::create(b, value, out->get(), indicesOf(b, *out, ivs));
    }
  }
};

} // namespace

LogicalResult sq::cuda::lowerLinalg(RewriterBase &rewriter, linalg::LinalgOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Emitter e{op, {}, {}, {}};
  for (const Range &range : op.createLoopRanges(b, op.getLoc()))
    e.sizes.push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
  op.getParallelDims(e.parallel);
  op.getReductionDims(e.reduction);
  SmallVector<Value> shared;
  for (unsigned d : e.parallel)
    shared.push_back(e.sizes[d]);
  Value count = product(b, shared), threads = indexConstant(b, kThreads);
  launch(b, op->getName().stripDialect(), ceilDiv(b, count, threads), kThreads, {}, [&](Thread &t) {
    Value index = arith::AddIOp::create(t.b, arith::MulIOp::create(t.b, t.block, threads), t.thread);
    onlyIf(t.b, below(t.b, index, count), [&](ImplicitLocOpBuilder &ib) { e.element(ib, index); });
  });
  rewriter.eraseOp(op);
  return success();
}
