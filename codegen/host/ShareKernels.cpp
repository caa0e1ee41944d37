//===-- ShareKernels.cpp - equal kernel bodies become one function -----------===//
//
// The layers of a model repeat: of MiniLM's 56 kernels 16 differ. Sharing their
// bodies while they are still loops on memrefs lets every later pass, and LLVM,
// do its work once per kernel instead of once per layer.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/host/Passes.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_SHAREKERNELSPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct ShareKernelsPass : sq::impl::ShareKernelsPassBase<ShareKernelsPass> {
  static std::string textOf(func::FuncOp func) {
    std::string text;
    llvm::raw_string_ostream os(text);
    func.print(os, OpPrintingFlags().useLocalScope());
    return text;
  }

  /// A failed check needs the run's context, which only @main has.
  static bool mayBeShared(sq::ParallelOp op) {
    return !op.getBody()
                .walk([](Operation *inner) {
                  return isa<cf::AssertOp, func::CallOp, sq::ThreadsOp>(inner) ? WalkResult::interrupt()
                                                                               : WalkResult::advance();
                })
                .wasInterrupted();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    llvm::StringMap<func::FuncOp> known;
    SmallVector<sq::ParallelOp> kernels;
    main.walk([&](sq::ParallelOp op) {
      if (mayBeShared(op))
        kernels.push_back(op);
    });
    for (sq::ParallelOp op : kernels) {
      ImplicitLocOpBuilder b(op.getLoc(), op);
      Region &body = op.getBody();
      llvm::SetVector<Value> captured;
      getUsedValuesDefinedAbove(body, captured);
      // Constants are folded where they are used; the others become arguments.
      SmallVector<Value> passed;
      SmallVector<Type> types(body.getArgumentTypes());
      SmallVector<Location> locs(types.size(), op.getLoc());
      for (Value v : captured)
        if (!v.getDefiningOp<arith::ConstantOp>()) {
          passed.push_back(v);
          types.push_back(v.getType());
          locs.push_back(v.getLoc());
        }
      b.setInsertionPointToEnd(module.getBody());
      auto func = func::FuncOp::create(b, "kernel", b.getFunctionType(types, {}));
      func.setPrivate();
      IRMapping map;
      Block *entry = func.addEntryBlock();
      b.setInsertionPointToStart(entry);
      for (auto [from, to] : llvm::zip(body.getArguments(), entry->getArguments()))
        map.map(from, to);
      for (auto [from, to] : llvm::zip(passed, entry->getArguments().drop_front(body.getNumArguments())))
        map.map(from, to);
      for (Value v : captured)
        if (Operation *constant = v.getDefiningOp<arith::ConstantOp>())
          b.clone(*constant, map);
      for (Operation &inner : body.front().without_terminator())
        b.clone(inner, map);
      func::ReturnOp::create(b);

      auto [it, fresh] = known.try_emplace(textOf(func), func);
      if (fresh)
        func.setSymName("sq_shared_" + std::to_string(known.size() - 1));
      else
        func.erase();
      Block &block = body.front();
      while (!block.without_terminator().empty())
        std::prev(block.getTerminator()->getIterator())->erase();
      b.setInsertionPoint(block.getTerminator());
      SmallVector<Value> args(body.getArguments());
      llvm::append_range(args, passed);
      func::CallOp::create(b, it->second, args);
    }
  }
};

} // namespace
