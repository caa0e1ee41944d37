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
  DenseMap<Type, Value> slots; // by what is captured

  /// The operands of calls that are many different constants (--sq-share-kernels made them so):
  /// with each in a function of its own there would be as many functions.
  llvm::DenseSet<std::pair<StringRef, unsigned>> varying;
  static constexpr size_t kManyConstants = 16;

  void findVarying(ArrayRef<sq::ParallelOp> ops) {
    DenseMap<std::pair<StringRef, unsigned>, llvm::SmallDenseSet<Attribute>> values;
    for (sq::ParallelOp op : ops)
      op.getBody().walk([&](LLVM::CallOp call) {
        if (std::optional<StringRef> callee = call.getCallee())
          for (OpOperand &operand : call->getOpOperands())
            if (auto constant = operand.get().getDefiningOp<LLVM::ConstantOp>())
              values[{*callee, operand.getOperandNumber()}].insert(constant.getValue());
      });
    for (auto &[place, different] : values)
      if (different.size() > kManyConstants)
        varying.insert(place);
  }

  bool isVarying(OpOperand &operand) {
    auto call = cast<LLVM::CallOp>(operand.getOwner());
    return call.getCallee() && varying.contains({*call.getCallee(), operand.getOperandNumber()});
  }

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

  /// Memory for what a kernel captures. A launch returns when the kernel has finished: all of equal
  /// types share it, or the frame would grow with the number of launches.
  Value slotFor(LLVM::LLVMStructType captures, LLVM::LLVMFuncOp parent) {
    Value &slot = slots[captures];
    if (!slot) {
      ImplicitLocOpBuilder b(parent.getLoc(), parent.getContext());
      slot = sq::frameSlot(b, parent.getBody().front().getTerminator(), captures);
    }
    return slot;
  }

  void outline(sq::ParallelOp op, LLVM::LLVMFuncOp parent) {
    ModuleOp module = getOperation();
    ImplicitLocOpBuilder b(op.getLoc(), op);
    auto ptr = LLVM::LLVMPointerType::get(&getContext());
    Type i64 = b.getI64Type(), i32 = b.getI32Type();

    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getBody(), captured);
    llvm::SetVector<Value> passed;
    op.getBody().walk([&](LLVM::CallOp call) {
      for (OpOperand &operand : call->getOpOperands())
        if (isVarying(operand) && captured.contains(operand.get()))
          passed.insert(operand.get());
    });
    for (Value v : captured)
      if (!isRematerialised(v.getDefiningOp()))
        passed.insert(v);
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
      if (!passed.contains(v))
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
    if (fresh) {
      // Where integers become floats, or the other way round, is told by the symbol: no other kernel
      // of an integer-only program has float instructions.
      bool isBorder = op.getName().starts_with("generic:dequantize ") || op.getName().starts_with("generic:quantize ");
      callee.setSymName("sq_kernel_" + std::to_string(known.size() - 1) + (isBorder ? "_border" : ""));
    }

    // The launch.
    Value memory = slotFor(captures, parent);
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
    findVarying(ops);
    for (sq::ParallelOp op : ops)
      outline(op, main);
    main.setLinkage(LLVM::Linkage::Internal);
    getOperation()->setAttr("sq.kernels", ArrayAttr::get(&getContext(), names));
    known.clear();
    names.clear();
    slots.clear();
    varying.clear();
  }
};

} // namespace
