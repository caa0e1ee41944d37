//===-- OutlineKernels.cpp - parallel regions become kernel functions ---------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/common/KernelContext.h"
#include "codegen/host/Passes.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct OutlineKernelsPass : sq::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  /// Functions by their text without a name: layers of a model repeat.
  llvm::StringMap<LLVM::LLVMFuncOp> known;
  SmallVector<Attribute> names;

  /// Constants and addresses are cheap: each kernel has its own.
  static bool isRematerialised(Operation *op) {
    return op && isa<LLVM::ConstantOp, LLVM::UndefOp, LLVM::PoisonOp, LLVM::ZeroOp, LLVM::AddressOfOp>(op);
  }

  static std::string textOf(LLVM::LLVMFuncOp func) {
    std::string text;
    llvm::raw_string_ostream os(text);
    OpPrintingFlags flags;
    flags.skipRegions(false).useLocalScope();
    func.print(os, flags);
    return text;
  }

  void outline(sq::ParallelOp op, LLVM::LLVMFuncOp parent) {
    ModuleOp module = getOperation();
    ImplicitLocOpBuilder b(op.getLoc(), op);
    auto ptr = LLVM::LLVMPointerType::get(&getContext());
    Type i64 = b.getI64Type(), i32 = b.getI32Type();

    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getBody(), captured);
    SmallVector<Value> passed;
    for (Value v : captured)
      if (!isRematerialised(v.getDefiningOp()))
        passed.push_back(v);
    // A bf16 travels as its bits: LLVM would round it once more on the way to memory, by
    // a function that libgcc lacks.
    SmallVector<Type> types;
    for (Value v : passed)
      types.push_back(v.getType().isBF16() ? b.getI16Type() : v.getType());
    auto captures = LLVM::LLVMStructType::getLiteral(&getContext(), types);

    // The kernel.
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), {ptr, i64, i64, i32});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module.getBody());
    auto kernel = LLVM::LLVMFuncOp::create(b, "kernel", type, LLVM::Linkage::Internal);
    Block *entry = kernel.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    IRMapping inside;
    for (auto [i, v] : llvm::enumerate(passed)) {
      Value at = LLVM::GEPOp::create(b, ptr, captures, entry->getArgument(0),
                                     ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      Value loaded = LLVM::LoadOp::create(b, types[i], at);
      if (types[i] != v.getType())
        loaded = LLVM::BitcastOp::create(b, v.getType(), loaded);
      inside.map(v, loaded);
    }
    for (Value v : captured)
      if (isRematerialised(v.getDefiningOp()))
        inside.map(v, b.clone(*v.getDefiningOp())->getResult(0));
    Value thread = LLVM::SExtOp::create(b, i64, entry->getArgument(3));
    Region &body = op.getBody();
    // By the operands of the body: a value may have uses in every kernel of the model.
    body.walk([&](Operation *inner) {
      for (OpOperand &operand : inner->getOpOperands())
        if (Value replacement = inside.lookupOrNull(operand.get()))
          operand.set(replacement);
    });
    Block *first = &body.front();
    Value range[] = {entry->getArgument(1), entry->getArgument(2), thread};
    for (auto [arg, value] : llvm::zip(first->getArguments(), range))
      arg.replaceAllUsesWith(value);
    first->eraseArguments(0, 3);
    kernel.getBody().getBlocks().splice(kernel.getBody().end(), body.getBlocks());
    LLVM::BrOp::create(b, first);
    kernel.walk([](sq::YieldOp yield) {
      OpBuilder yb(yield);
      LLVM::ReturnOp::create(yb, yield.getLoc(), ValueRange());
      yield.erase();
    });
    auto [it, fresh] = known.try_emplace(textOf(kernel), kernel);
    if (!fresh)
      kernel.erase();
    LLVM::LLVMFuncOp callee = it->second;
    if (fresh)
      callee.setSymName("sq_kernel_" + std::to_string(known.size() - 1));

    // The launch.
    b.setInsertionPointToStart(&parent.getBody().front());
    Value one = LLVM::ConstantOp::create(b, i64, 1);
    Value memory = LLVM::AllocaOp::create(b, ptr, captures, one);
    b.setInsertionPoint(op);
    for (auto [i, v] : llvm::enumerate(passed)) {
      Value at = LLVM::GEPOp::create(b, ptr, captures, memory, ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      Value bits = types[i] == v.getType() ? v : Value(LLVM::BitcastOp::create(b, types[i], v));
      LLVM::StoreOp::create(b, bits, at);
    }
    Value function = LLVM::AddressOfOp::create(b, ptr, callee.getSymName());
    Value index = LLVM::ConstantOp::create(b, i32, static_cast<int64_t>(names.size()));
    names.push_back(op.getNameAttr());
    sq::callContext(b, parent.getBody().front().getArgument(0), offsetof(sq_kernel_context, parallel), {},
                    {function, memory, op.getCount(), op.getGrain(), index});
    op.erase();
  }

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<LLVM::LLVMFuncOp>("main");
    if (!main) {
      getOperation().emitError("has no LLVM function @main; run --sq-convert-to-llvm first");
      return signalPassFailure();
    }
    SmallVector<sq::ParallelOp> ops;
    main.walk([&](sq::ParallelOp op) { ops.push_back(op); });
    for (sq::ParallelOp op : ops)
      outline(op, main);
    main.setLinkage(LLVM::Linkage::Internal);
    getOperation()->setAttr("sq.kernels", ArrayAttr::get(&getContext(), names));
    known.clear();
    names.clear();
  }
};

} // namespace
