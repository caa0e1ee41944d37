#include "codegen/common/LinalgPoint.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace sq;

SmallVector<Value> LinalgPoint::indicesOf(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
  if (flat)
    return {ivs[0]};
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto expanded = affine::expandAffineMap(b, b.getLoc(), map, ivs);
  return SmallVector<Value>(expanded->begin(), expanded->end());
}

Value LinalgPoint::load(ImplicitLocOpBuilder &b, OpOperand &operand, ValueRange ivs) {
  Value source = operands[operand.getOperandNumber()];
  if (!isa<MemRefType>(source.getType()))
    return source;
  return memref::LoadOp::create(b, source, indicesOf(b, operand, ivs));
}

SmallVector<Value> LinalgPoint::point(ImplicitLocOpBuilder &b, ValueRange ivs, ArrayRef<Value> acc) {
  Block *body = op.getBlock();
  IRMapping map;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(&operand);
    int64_t init = static_cast<int64_t>(operand.getOperandNumber()) - op.getNumDpsInputs();
    if (init >= 0 && !acc.empty() && acc[init])
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

void LinalgPoint::store(ImplicitLocOpBuilder &b, unsigned i, Value value, ValueRange ivs) {
  OpOperand *out = op.getDpsInitOperand(i);
  memref::StoreOp::create(b, value, operands[out->getOperandNumber()], indicesOf(b, *out, ivs));
}

bool LinalgPoint::isRunning(unsigned out) {
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(out));
  return llvm::any_of(reduction, [&](unsigned d) { return map.isFunctionOfDim(d); });
}

SmallVector<Value> LinalgPoint::reduce(ImplicitLocOpBuilder &b, SmallVector<Value> &ivs, unsigned depth,
                          ValueRange acc) {
  if (depth == reduction.size()) {
    SmallVector<Value> all, kept;
    for (unsigned i = 0, next = 0; i < op.getNumDpsInits(); ++i)
      all.push_back(isRunning(i) ? Value() : acc[next++]);
    for (auto [i, value] : llvm::enumerate(point(b, ivs, all))) {
      if (isRunning(i))
        store(b, i, value, ivs);
      else
        kept.push_back(value);
    }
    return kept;
  }
  auto loop = scf::ForOp::create(
      b, indexConstant(b, 0), sizes[reduction[depth]], indexConstant(b, 1), acc,
      [&](OpBuilder &o, Location l, Value iv, ValueRange inner) {
        ImplicitLocOpBuilder ib(l, o);
        ivs[reduction[depth]] = iv;
        scf::YieldOp::create(ib, reduce(ib, ivs, depth + 1, inner));
      });
  return SmallVector<Value>(loop.getResults());
}

void LinalgPoint::element(ImplicitLocOpBuilder &b, SmallVector<Value> &ivs) {
  if (reduction.empty()) {
    for (auto [i, value] : llvm::enumerate(point(b, ivs, {})))
      store(b, i, value, ivs);
    return;
  }
  SmallVector<Value> init;
  SmallVector<unsigned> outs;
  for (auto [i, out] : llvm::enumerate(op.getDpsInitsMutable())) {
    if (isRunning(i))
      continue;
    outs.push_back(i);
    init.push_back(load(b, out, ivs));
  }
  for (auto [i, value] : llvm::zip_equal(outs, reduce(b, ivs, 0, init)))
    store(b, i, value, ivs);
}

void sq::moveToSchedule(RewriterBase &rewriter, linalg::LinalgOp op) {
  for (Operation &inner : llvm::make_early_inc_range(op.getBlock()->without_terminator()))
    rewriter.moveOpBefore(&inner, op);
  rewriter.eraseOp(op);
}
