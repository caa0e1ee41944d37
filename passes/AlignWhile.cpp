//===-- AlignWhile.cpp - scf.while passes on what it carries ------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_ALIGNWHILEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// The condition's operands become all arguments of its block, then what else it
/// passed on.
void align(scf::WhileOp loop) {
  scf::ConditionOp condition = loop.getConditionOp();
  SmallVector<Value> passed(loop.getBeforeArguments().begin(), loop.getBeforeArguments().end());
  SmallVector<unsigned> places; // of the old operands among the new ones
  for (Value value : condition.getArgs()) {
    auto known = llvm::find(passed, value);
    places.push_back(known - passed.begin());
    if (known == passed.end())
      passed.push_back(value);
  }
  if (llvm::equal(passed, condition.getArgs()))
    return;

  Location loc = loop.getLoc();
  OpBuilder b(loop);
  SmallVector<Type> types = llvm::map_to_vector(passed, [](Value v) { return v.getType(); });
  auto aligned = scf::WhileOp::create(b, loc, types, loop.getInits());
  aligned.getBefore().takeBody(loop.getBefore());
  condition.getArgsMutable().assign(passed);
  aligned.getAfter().takeBody(loop.getAfter());
  Block &body = aligned.getAfter().front();
  unsigned old = body.getNumArguments();
  for (Type type : types)
    body.addArgument(type, loc);
  for (auto [i, place] : llvm::enumerate(places)) {
    body.getArgument(i).replaceAllUsesWith(body.getArgument(old + place));
    loop.getResult(i).replaceAllUsesWith(aligned.getResult(place));
  }
  body.eraseArguments(0, old);
  loop.erase();
}

struct AlignWhilePass : sq::impl::AlignWhilePassBase<AlignWhilePass> {
  void runOnOperation() override { getOperation().walk(align); }
};

} // namespace
