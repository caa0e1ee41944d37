//===-- EmulateCuda.cpp - NVVM's intrinsics as calls of the emulator ----------===//
//
// A kernel stays the function of one thread that it is; the emulator runs it on
// a fiber for each. Memory is announced before it is touched, except what the
// thread has in its frame. Variables in shared memory become places in the
// block's buffer.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/EmulateCuda.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/ReplaceConstant.h"

#include "test/cuda/emulator/emulator.h"

#include <cstddef>

using namespace llvm;

namespace {

constexpr unsigned kShared = 3; // address space

std::optional<int> registerOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_read_ptx_sreg_tid_x: return SQ_EMU_TID_X;
  case Intrinsic::nvvm_read_ptx_sreg_tid_y: return SQ_EMU_TID_Y;
  case Intrinsic::nvvm_read_ptx_sreg_tid_z: return SQ_EMU_TID_Z;
  case Intrinsic::nvvm_read_ptx_sreg_ntid_x: return SQ_EMU_NTID_X;
  case Intrinsic::nvvm_read_ptx_sreg_ntid_y: return SQ_EMU_NTID_Y;
  case Intrinsic::nvvm_read_ptx_sreg_ntid_z: return SQ_EMU_NTID_Z;
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_x: return SQ_EMU_CTAID_X;
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_y: return SQ_EMU_CTAID_Y;
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_z: return SQ_EMU_CTAID_Z;
  case Intrinsic::nvvm_read_ptx_sreg_nctaid_x: return SQ_EMU_NCTAID_X;
  case Intrinsic::nvvm_read_ptx_sreg_nctaid_y: return SQ_EMU_NCTAID_Y;
  case Intrinsic::nvvm_read_ptx_sreg_nctaid_z: return SQ_EMU_NCTAID_Z;
  case Intrinsic::nvvm_read_ptx_sreg_laneid: return SQ_EMU_LANEID;
  default: return std::nullopt;
  }
}

struct Emulation {
  Module &module;
  const std::vector<std::string> &kernels;
  LLVMContext &context;
  IRBuilder<> b;
  PointerType *ptr;
  IntegerType *i8, *i32, *i64;
  GlobalVariable *image = nullptr;
  unsigned counter = 0; // of places

  Emulation(Module &module, const std::vector<std::string> &kernels)
      : module(module), kernels(kernels), context(module.getContext()), b(context), ptr(b.getPtrTy()),
        i8(b.getInt8Ty()), i32(b.getInt32Ty()), i64(b.getInt64Ty()) {}

  Value *num(int64_t value) { return b.getInt32(static_cast<uint32_t>(value)); }

  Constant *where(Instruction &inst, StringRef what) {
    std::string text = (inst.getFunction()->getName() + ": " + what).str();
    if (const DebugLoc &loc = inst.getDebugLoc())
      text += " at line " + std::to_string(loc.getLine());
    // Collectives of different places must not be taken for one.
    text += " #" + std::to_string(counter++);
    return b.CreateGlobalString(text, "sq_where", 0, &module);
  }

  /// Calls the function at byte `offset` of the table.
  CallInst *call(size_t offset, Type *result, ArrayRef<Value *> args) {
    Value *table = b.CreateLoad(ptr, image);
    Value *function = b.CreateLoad(ptr, b.CreateConstGEP1_64(i8, table, offset));
    SmallVector<Type *> types;
    for (Value *arg : args)
      types.push_back(arg->getType());
    return b.CreateCall(FunctionType::get(result, types, false), function, args);
  }

  /// An i32 array in the frame of the function.
  Value *frame(Function &f, unsigned count) {
    IRBuilder<>::InsertPointGuard guard(b);
    b.SetInsertPoint(&*f.getEntryBlock().getFirstInsertionPt());
    return b.CreateAlloca(i32, b.getInt32(count));
  }
  Value *generic(Value *pointer) { return b.CreateAddrSpaceCast(pointer, ptr); }
  Value *asWord(Value *v) { return b.CreateBitCast(v, i32); }

  /// Stores registers of a fragment (32 bits each) in the frame.
  Value *spread(Function &f, ArrayRef<Value *> values) {
    Value *memory = frame(f, values.size());
    for (auto [i, v] : enumerate(values))
      b.CreateStore(asWord(v), b.CreateConstGEP1_32(i32, memory, i));
    return memory;
  }
  /// The registers in `memory` as the struct (or scalar) that `type` is.
  Value *gather(Value *memory, Type *type) {
    auto *tuple = dyn_cast<StructType>(type);
    if (!tuple)
      return b.CreateBitCast(b.CreateLoad(i32, memory), type);
    Value *result = PoisonValue::get(tuple);
    for (unsigned i = 0; i < tuple->getNumElements(); ++i) {
      Value *word = b.CreateLoad(i32, b.CreateConstGEP1_32(i32, memory, i));
      result = b.CreateInsertValue(result, b.CreateBitCast(word, tuple->getElementType(i)), i);
    }
    return result;
  }

  Value *shuffle(IntrinsicInst &inst, int mode, bool predicate) {
    Function &f = *inst.getFunction();
    Value *valid = frame(f, 1);
    Value *word = call(offsetof(sq_emulator, shfl), i32,
                       {num(mode), inst.getArgOperand(0), asWord(inst.getArgOperand(1)), inst.getArgOperand(2),
                        inst.getArgOperand(3), valid, where(inst, "shfl")});
    if (!predicate)
      return b.CreateBitCast(word, inst.getType());
    auto *tuple = cast<StructType>(inst.getType());
    Value *result = b.CreateInsertValue(PoisonValue::get(tuple), b.CreateBitCast(word, tuple->getElementType(0)), 0);
    return b.CreateInsertValue(result, b.CreateICmpNE(b.CreateLoad(i32, valid), num(0)), 1);
  }

  Value *mma(IntrinsicInst &inst, int kind) {
    Function &f = *inst.getFunction();
    SmallVector<Value *> args(inst.args());
    ArrayRef<Value *> all(args);
    Value *d = frame(f, 4);
    call(offsetof(sq_emulator, mma), b.getVoidTy(),
         {num(kind), spread(f, all.slice(0, 4)), spread(f, all.slice(4, 2)), spread(f, all.slice(6, 4)), d,
          where(inst, "mma")});
    return gather(d, inst.getType());
  }

  Value *ldmatrix(IntrinsicInst &inst, int count, bool transposed) {
    Value *out = frame(*inst.getFunction(), count);
    call(offsetof(sq_emulator, ldmatrix), b.getVoidTy(),
         {num(count), num(transposed), generic(inst.getArgOperand(0)), out, where(inst, "ldmatrix")});
    return gather(out, inst.getType());
  }

  Value *copyAsync(IntrinsicInst &inst, int bytes, bool partial) {
    return call(offsetof(sq_emulator, cp_async), b.getVoidTy(),
                {generic(inst.getArgOperand(0)), generic(inst.getArgOperand(1)), num(bytes),
                 partial ? inst.getArgOperand(2) : num(bytes), where(inst, "cp.async")});
  }

  /// What an instruction in PTX becomes; null when the emulator does not know it.
  Value *replaceAssembly(CallInst &inst) {
    b.SetInsertPoint(&inst);
    StringRef text = cast<InlineAsm>(inst.getCalledOperand())->getAsmString();
    // Products are made when they are issued: waits have nothing to wait for.
    if (text.starts_with("wgmma.wait_group")) {
      if (inst.getType()->isVoidTy())
        return PoisonValue::get(ptr);
      Value *result = PoisonValue::get(inst.getType());
      for (auto [i, v] : enumerate(inst.args()))
        result = b.CreateInsertValue(result, v, i);
      return result;
    }
    if (text.starts_with("wgmma.fence") || text.starts_with("wgmma.commit_group"))
      return PoisonValue::get(ptr);
    if (text.starts_with("fence.proxy.async"))
      return call(offsetof(sq_emulator, proxy_fence), b.getVoidTy(), {});
    auto [before, shape] = text.split("wgmma.mma_async.sync.aligned.m64n");
    unsigned columns = 0;
    if (shape.consumeInteger(10, columns) || !shape.contains(", p, 1, 1, 0, 1;"))
      return nullptr;
    int kind = shape.starts_with("k16.f32.f16.f16") ? 0 : shape.starts_with("k16.f32.bf16.bf16") ? 1 : -1;
    unsigned sums = columns / 2;
    if (kind < 0 || inst.arg_size() != sums + 2)
      return nullptr;
    SmallVector<Value *> args(inst.args());
    Value *memory = spread(*inst.getFunction(), ArrayRef(args).drop_front(2));
    call(offsetof(sq_emulator, wgmma), b.getVoidTy(), {num(kind), num(columns), args[0], args[1], memory, where(inst, "wgmma")});
    return gather(memory, inst.getType());
  }

  /// What the intrinsic becomes; null when it may stay.
  Value *replace(IntrinsicInst &inst) {
    b.SetInsertPoint(&inst);
    Intrinsic::ID id = inst.getIntrinsicID();
    Type *none = b.getVoidTy();
    if (auto which = registerOf(id))
      return call(offsetof(sq_emulator, sreg), i32, {num(*which)});
    StringRef name = inst.getCalledFunction()->getName();
    if (name.starts_with("llvm.nvvm.barrier")) // of the whole block; others are not generated
      return call(offsetof(sq_emulator, barrier), none, {where(inst, "barrier")});
    if (name.starts_with("llvm.nvvm.shfl.sync.")) {
      StringRef mode = name.drop_front(strlen("llvm.nvvm.shfl.sync."));
      int number = mode.starts_with("up")     ? SQ_EMU_SHFL_UP
                   : mode.starts_with("down") ? SQ_EMU_SHFL_DOWN
                   : mode.starts_with("bfly") ? SQ_EMU_SHFL_BFLY
                                              : SQ_EMU_SHFL_IDX;
      return shuffle(inst, number, mode.ends_with("p"));
    }
    if (name.starts_with("llvm.nvvm.mma.")) {
      int kind = name == "llvm.nvvm.mma.m16n8k16.row.col.f32.f32" ? SQ_EMU_MMA_F16_M16N8K16
                 : name.contains("m16n8k16.row.col.bf16")         ? SQ_EMU_MMA_BF16_M16N8K16
                 : name.contains("m16n8k8.row.col.tf32")          ? SQ_EMU_MMA_TF32_M16N8K8
                                                                  : -1;
      return kind < 0 ? nullptr : mma(inst, kind);
    }
    if (name.starts_with("llvm.nvvm.ldmatrix.")) {
      int count = name.contains(".x4.") ? 4 : name.contains(".x2.") ? 2 : 1;
      return ldmatrix(inst, count, name.contains(".trans"));
    }
    if (name.starts_with("llvm.nvvm.cp.async.c") && name.contains(".shared.global.")) {
      bool partial = name.ends_with(".s");
      StringRef bytes = partial ? name.drop_back(2) : name;
      return copyAsync(inst, bytes.ends_with("16") ? 16 : bytes.ends_with("8") ? 8 : 4, partial);
    }
    if (id == Intrinsic::nvvm_cp_async_commit_group)
      return call(offsetof(sq_emulator, cp_async_commit), none, {});
    if (id == Intrinsic::nvvm_cp_async_wait_group)
      return call(offsetof(sq_emulator, cp_async_wait), none, {inst.getArgOperand(0)});
    if (id == Intrinsic::nvvm_cp_async_wait_all)
      return call(offsetof(sq_emulator, cp_async_wait), none, {num(0)});
    if (name.starts_with("llvm.nvvm.bar.warp.sync"))
      return call(offsetof(sq_emulator, sync_warp), none, {inst.getArgOperand(0), where(inst, "bar.warp.sync")});
    if (id == Intrinsic::trap)
      return call(offsetof(sq_emulator, trap), none, {where(inst, "trap")});
    return nullptr;
  }

  /// fptrunc to bf16, round to nearest even: x86-64-v3 would call a function.
  Value *truncate(FPTruncInst &inst) {
    b.SetInsertPoint(&inst);
    Type *wide = inst.getSrcTy()->getWithNewType(i32), *narrow = inst.getDestTy()->getWithNewType(b.getInt16Ty());
    auto constant = [&](uint32_t v) { return ConstantInt::get(wide, v); };
    Value *x = inst.getOperand(0), *bits = b.CreateBitCast(x, wide);
    Value *odd = b.CreateAnd(b.CreateLShr(bits, 16), constant(1));
    Value *up = b.CreateAdd(bits, b.CreateAdd(odd, constant(0x7fff)));
    Value *result = b.CreateSelect(b.CreateFCmpUNO(x, x), b.CreateOr(bits, constant(0x400000)), up);
    return b.CreateBitCast(b.CreateTrunc(b.CreateLShr(result, 16), narrow), inst.getDestTy());
  }

  void announce(Instruction &inst) {
    Value *pointer = const_cast<Value *>(getLoadStorePointerOperand(&inst));
    int kind = isa<LoadInst>(inst) ? SQ_EMU_READ : SQ_EMU_WRITE;
    if (auto *rmw = dyn_cast<AtomicRMWInst>(&inst)) {
      pointer = rmw->getPointerOperand();
      kind = SQ_EMU_ATOMIC;
    } else if (auto *exchange = dyn_cast<AtomicCmpXchgInst>(&inst)) {
      pointer = exchange->getPointerOperand();
      kind = SQ_EMU_ATOMIC;
    }
    if (!pointer || isa<AllocaInst>(getUnderlyingObject(pointer)))
      return;
    if (auto *variable = dyn_cast<GlobalVariable>(getUnderlyingObject(pointer)))
      if (variable->isConstant())
        return;
    Type *type = isa<StoreInst>(inst) ? cast<StoreInst>(inst).getValueOperand()->getType() : inst.getType();
    b.SetInsertPoint(&inst);
    uint64_t bytes = module.getDataLayout().getTypeStoreSize(type);
    call(offsetof(sq_emulator, access), b.getVoidTy(),
         {generic(pointer), b.getInt64(bytes), num(kind), where(inst, kind == SQ_EMU_READ ? "load" : "store")});
  }

  /// Places the shared variables that each kernel uses one behind the other;
  /// returns the bytes of each kernel.
  StringMap<uint64_t> placeShared() {
    SmallVector<Constant *> variables;
    for (GlobalVariable &g : module.globals())
      if (g.getAddressSpace() == kShared)
        variables.push_back(&g);
    convertUsersOfConstantsToInstructions(variables);
    StringMap<uint64_t> sizes;
    const DataLayout &layout = module.getDataLayout();
    for (Constant *c : variables) {
      auto *g = cast<GlobalVariable>(c);
      DenseMap<Function *, Value *> here;
      for (Use &use : make_early_inc_range(g->uses())) {
        auto *user = cast<Instruction>(use.getUser());
        Function *f = user->getFunction();
        Value *&address = here[f];
        if (!address) {
          b.SetInsertPoint(&*f->getEntryBlock().getFirstInsertionPt());
          uint64_t &size = sizes[f->getName()];
          uint64_t offset = alignTo(size, g->getAlign().valueOrOne().value());
          size = offset + layout.getTypeAllocSize(g->getValueType());
          Value *base = call(offsetof(sq_emulator, shared), ptr, {});
          address = b.CreateAddrSpaceCast(b.CreateConstGEP1_64(i8, base, offset), b.getPtrTy(kShared));
        }
        use.set(address);
      }
      g->eraseFromParent();
    }
    return sizes;
  }

  /// void run(void *const *params): calls the kernel with what they point to.
  Function *wrap(Function &kernel) {
    auto *f = Function::Create(FunctionType::get(b.getVoidTy(), {ptr}, false), GlobalValue::InternalLinkage,
                               "run_" + kernel.getName(), module);
    b.SetInsertPoint(BasicBlock::Create(context, "", f));
    SmallVector<Value *> args;
    for (Argument &arg : kernel.args()) {
      Value *at = b.CreateLoad(ptr, b.CreateConstGEP1_32(ptr, f->getArg(0), arg.getArgNo()));
      args.push_back(b.CreateLoad(arg.getType(), at));
    }
    b.CreateCall(&kernel, args);
    b.CreateRetVoid();
    return f;
  }

  Error run() {
    const DataLayout &layout = module.getDataLayout();
    auto *imageType = StructType::get(context, {ptr, i64, ptr});
    image = new GlobalVariable(module, imageType, /*isConstant=*/false, GlobalValue::ExternalLinkage, nullptr,
                               "sq_emulated_image");
    for (Function &f : module) {
      if (f.isDeclaration())
        continue;
      f.setCallingConv(CallingConv::C);
      f.setLinkage(GlobalValue::InternalLinkage);
      f.removeFnAttr("nvvm.maxntid");
      SmallVector<Instruction *> all;
      for (Instruction &inst : instructions(f))
        all.push_back(&inst);
      for (Instruction *inst : all) {
        if (isa<LoadInst, StoreInst, AtomicRMWInst, AtomicCmpXchgInst>(inst)) {
          announce(*inst);
          continue;
        }
        if (auto *cut = dyn_cast<FPTruncInst>(inst);
            cut && cut->getDestTy()->getScalarType()->isBFloatTy() && cut->getSrcTy()->getScalarType()->isFloatTy()) {
          cut->replaceAllUsesWith(truncate(*cut));
          cut->eraseFromParent();
          continue;
        }
        if (auto *assembly = dyn_cast<CallInst>(inst); assembly && assembly->isInlineAsm()) {
          Value *with = replaceAssembly(*assembly);
          if (!with)
            return createStringError(inconvertibleErrorCode(), "the emulator does not know " +
                                                                   cast<InlineAsm>(assembly->getCalledOperand())->getAsmString());
          if (!inst->getType()->isVoidTy())
            inst->replaceAllUsesWith(with);
          inst->eraseFromParent();
          continue;
        }
        auto *intrinsic = dyn_cast<IntrinsicInst>(inst);
        if (!intrinsic)
          continue;
        Value *with = replace(*intrinsic);
        if (!with) {
          if (intrinsic->getCalledFunction()->getName().starts_with("llvm.nvvm."))
            return createStringError(inconvertibleErrorCode(), "the emulator does not know " +
                                                                   intrinsic->getCalledFunction()->getName());
          continue;
        }
        if (!inst->getType()->isVoidTy())
          inst->replaceAllUsesWith(with);
        inst->eraseFromParent();
      }
    }
    StringMap<uint64_t> shared = placeShared();
    auto *kernelType = StructType::get(context, {ptr, ptr, i64, i32, i32, ptr});
    SmallVector<Constant *> table;
    for (const std::string &name : kernels) {
      Function *kernel = module.getFunction(name);
      if (!kernel)
        return createStringError(inconvertibleErrorCode(), "the kernels lack '" + name + "'");
      SmallVector<uint32_t> sizes;
      for (Argument &arg : kernel->args())
        sizes.push_back(layout.getTypeAllocSize(arg.getType()));
      Constant *bytes = ConstantDataArray::get(context, sizes);
      auto *sizesGlobal = new GlobalVariable(module, bytes->getType(), true, GlobalValue::PrivateLinkage, bytes);
      Function *wrapper = wrap(*kernel);
      table.push_back(ConstantStruct::get(kernelType, {b.CreateGlobalString(name, "", 0, &module), wrapper,
                                                       b.getInt64(shared.lookup(name)), b.getInt32(sizes.size()),
                                                       b.getInt32(0), sizesGlobal}));
    }
    auto *arrayType = ArrayType::get(kernelType, table.size());
    auto *array = new GlobalVariable(module, arrayType, true, GlobalValue::PrivateLinkage,
                                     ConstantArray::get(arrayType, table));
    image->setInitializer(ConstantStruct::get(imageType, {ConstantPointerNull::get(ptr), b.getInt64(table.size()), array}));
    return Error::success();
  }
};

} // namespace

Error sq::emulateCuda(Module &module, const std::vector<std::string> &kernels) {
  return Emulation(module, kernels).run();
}
