//===-- BodyAwareCSE.cpp - CSE whose hash sees the bodies of ops ---------------===//

#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_BODYAWARECSEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

constexpr StringLiteral kHash = "sq.body_hash";

/// Name, attributes and types of results: what equal ops have equal whatever CSE finds equal
/// before it comes to them. (Operands may become equal; a commutative op's may be in any order.)
llvm::hash_code hashWithoutOperands(Operation *op) {
  return OperationEquivalence::computeHash(op, OperationEquivalence::ignoreHashValue,
                                           OperationEquivalence::ignoreHashValue,
                                           OperationEquivalence::IgnoreLocations);
}

/// Of what stands in the regions, and of the constants and other ops that it reads from outside.
llvm::hash_code hashOfBody(Operation *op, const DenseMap<Operation *, llvm::hash_code> &bodies) {
  llvm::hash_code hash = 0;
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Operation &inner : block) {
        size_t captured = 0;
        for (Value operand : inner.getOperands())
          if (Operation *source = operand.getDefiningOp(); source && !op->isProperAncestor(source))
            captured += size_t(hashWithoutOperands(source));
        hash = llvm::hash_combine(hash, hashWithoutOperands(&inner), captured, bodies.lookup(&inner));
      }
  return hash;
}

struct BodyAwareCSEPass : sq::impl::BodyAwareCSEPassBase<BodyAwareCSEPass> {
  void runOnOperation() override {
    DenseMap<Operation *, llvm::hash_code> bodies;
    getOperation()->walk([&](Operation *op) { // inner ones first
      if (op != getOperation() && op->getNumRegions())
        bodies[op] = hashOfBody(op, bodies);
    });
    Builder b(&getContext());
    for (auto [op, hash] : bodies)
      op->setDiscardableAttr(kHash, b.getI64IntegerAttr(int64_t(size_t(hash))));
    bool changed = false;
    IRRewriter rewriter(&getContext());
    eliminateCommonSubExpressions(rewriter, getAnalysis<DominanceInfo>(), getOperation(), &changed);
    getOperation()->walk([](Operation *op) { op->removeDiscardableAttr(kHash); });
    if (!changed)
      return markAllAnalysesPreserved();
    markAnalysesPreserved<DominanceInfo, PostDominanceInfo>();
  }
};

} // namespace
