//===-- LinalgLoops.cpp - the long tail: linalg ops as loops ------------------===//
//
// The product of the parallel dims is shared among the threads, reductions run
// inside with their accumulators in registers. The loops are scalar; LLVM
// vectorises the innermost one.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kElementsPerThread = 1 << 14;

struct Emitter {
  linalg::LinalgOp op;
  SmallVector<Value> operands; // memrefs or scalars, flattened when `flat`
  bool flat = false;           // every access is the identity: one loop over all elements
  SmallVector<Value> sizes;    // extent of each loop
  SmallVector<unsigned> parallel, reduction;

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

  SmallVector<Value> indicesOf(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
    if (flat)
      return {ivs[0]};
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto expanded = affine::expandAffineMap(b, b.getLoc(), map, ivs);
    return SmallVector<Value>(expanded->begin(), expanded->end());
  }

  Value load(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
    Value source = operands[operand.getOperandNumber()];
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
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        map.map(index.getResult(), ivs[index.getDim()]);
        continue;
      }
      Operation *copy = b.clone(inner, map);
      // The order of a sum is not prescribed; say so where one is accumulated.
      if (auto add = dyn_cast<arith::AddFOp>(copy); add && !acc.empty())
        if (llvm::is_contained(acc, add.getLhs()) || llvm::is_contained(acc, add.getRhs()))
          add.setFastmath(arith::FastMathFlags::reassoc);
    }
    return llvm::map_to_vector(body->getTerminator()->getOperands(),
                               [&](Value v) { return map.lookupOrDefault(v); });
  }

  void storeOuts(ImplicitLocOpBuilder &b, ValueRange values, ValueRange ivs) {
    for (auto [i, value] : llvm::enumerate(values)) {
      OpOperand *out = op.getDpsInitOperand(i);
      memref::StoreOp::create(b, value, operands[out->getOperandNumber()],
                              indicesOf(b, *out, ivs));
    }
  }

  /// The reduction dims from `depth` on; returns the accumulators.
  SmallVector<Value> reduce(ImplicitLocOpBuilder &b, SmallVector<Value> &ivs, unsigned depth,
                            ValueRange acc) {
    if (depth == reduction.size())
      return point(b, ivs, acc);
    auto loop = scf::ForOp::create(
        b, indexConstant(b, 0), sizes[reduction[depth]], indexConstant(b, 1), acc,
        [&](OpBuilder &o, Location l, Value iv, ValueRange inner) {
          ImplicitLocOpBuilder ib(l, o);
          ivs[reduction[depth]] = iv;
          scf::YieldOp::create(ib, reduce(ib, ivs, depth + 1, inner));
        });
    return SmallVector<Value>(loop.getResults());
  }

  void element(ImplicitLocOpBuilder &b, SmallVector<Value> &ivs) {
    if (reduction.empty()) {
      storeOuts(b, point(b, ivs, {}), ivs);
      return;
    }
    SmallVector<Value> init;
    for (OpOperand &out : op.getDpsInitsMutable())
      init.push_back(load(b, out, ivs));
    storeOuts(b, reduce(b, ivs, 0, init), ivs);
  }

  void emit(ImplicitLocOpBuilder &b) {
    // The last parallel dim is an inner loop of its own when nothing is
    // reduced, so that LLVM sees a plain contiguous loop.
    bool inner = !flat && reduction.empty() && parallel.size() > 1;
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
                  scf::ForOp::create(ib, indexConstant(ib, 0), sizes[last], indexConstant(ib, 1),
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
