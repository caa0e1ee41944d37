//===-- EmulateAmx.cpp - tiles as memory, tile instructions as loops ------===//
//
// A value of type x86_amx is one buffer in its function's frame: an SSA value
// is dead before its definition is reached again, so one is enough. Semantics
// are those of Intel's Software Developer's Manual, volume 2, at TILELOADD,
// TILESTORED, TILEZERO, TDPBF16PS and TDPB[SU][SU]D.
//
//===----------------------------------------------------------------------===//

#include "codegen/host/EmulateAmx.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>

using namespace llvm;

namespace {

constexpr uint64_t kTileRows = 16, kRowBytes = 64,
                   kTileBytes = kTileRows * kRowBytes;
const Align kTileAlign(64);

/// A product's operand types; floating point, or signed and unsigned bytes.
struct Dot {
  bool isBf16 = false, isSignedA = false, isSignedB = false;
};

std::optional<Dot> dotOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::x86_tdpbf16ps_internal:
    return Dot{true, false, false};
  case Intrinsic::x86_tdpbssd_internal:
    return Dot{false, true, true};
  case Intrinsic::x86_tdpbsud_internal:
    return Dot{false, true, false};
  case Intrinsic::x86_tdpbusd_internal:
    return Dot{false, false, true};
  case Intrinsic::x86_tdpbuud_internal:
    return Dot{false, false, false};
  default:
    return std::nullopt;
  }
}

//===-- The functions that intrinsics become ------------------------------===//

/// Builds internal functions, each once a module. All parameters are pointers
/// or i64: tile pointers first, then sizes in rows and bytes.
class Helpers {
public:
  explicit Helpers(Module &module)
      : module(module), context(module.getContext()), b(context),
        pointer(b.getPtrTy()), i64(b.getInt64Ty()) {}

  /// (tile, memory, rows, bytes, stride)
  Function *load() {
    return make(
        "sq_amx_load", {pointer, pointer, i64, i64, i64}, [&](Function *f) {
          Value *tile = f->getArg(0), *memory = f->getArg(1),
                *bytes = f->getArg(3);
          checkShape(f->getArg(2), bytes);
          b.CreateMemSet(tile, b.getInt8(0), kTileBytes, kTileAlign);
          loop(f->getArg(2), [&](Value *row) {
            Value *from = at(memory, b.CreateMul(row, f->getArg(4)));
            b.CreateMemCpy(at(tile, b.CreateMul(row, b.getInt64(kRowBytes))),
                           Align(), from, Align(), bytes);
          });
        });
  }

  /// (tile, memory, rows, bytes, stride)
  Function *store() {
    return make(
        "sq_amx_store", {pointer, pointer, i64, i64, i64}, [&](Function *f) {
          Value *tile = f->getArg(0), *memory = f->getArg(1),
                *bytes = f->getArg(3);
          checkShape(f->getArg(2), bytes);
          loop(f->getArg(2), [&](Value *row) {
            Value *to = at(memory, b.CreateMul(row, f->getArg(4)));
            b.CreateMemCpy(to, Align(),
                           at(tile, b.CreateMul(row, b.getInt64(kRowBytes))),
                           Align(), bytes);
          });
        });
  }

  /// (result, c, a, b, m, n, k): m rows, n bytes of a row of c, k bytes of a
  /// row of a. `result` is none of the others.
  Function *dot(StringRef name, Dot kind) {
    return make(
        name, {pointer, pointer, pointer, pointer, i64, i64, i64},
        [&](Function *f) {
          Value *result = f->getArg(0), *c = f->getArg(1);
          checkShape(f->getArg(4), f->getArg(5));
          checkShape(f->getArg(4), f->getArg(6));
          Value *columns = b.CreateLShr(f->getArg(5), 2),
                *depth = b.CreateLShr(f->getArg(6), 2);
          // What the product does not cover is cleared, upper rows as well.
          b.CreateMemSet(result, b.getInt8(0), kTileBytes, kTileAlign);
          Type *sumType =
              kind.isBf16 ? b.getFloatTy() : Type::getInt32Ty(context);
          // Two sums for the even and the odd elements of bf16 pairs.
          Value *sums[2] = {b.CreateAlloca(sumType), b.CreateAlloca(sumType)};
          loop(f->getArg(4), [&](Value *m) {
            loop(columns, [&](Value *n) {
              Value *place = element(m, n),
                    *old = b.CreateLoad(sumType, at(c, place));
              for (Value *sum : sums)
                b.CreateStore(Constant::getNullValue(sumType), sum);
              loop(depth, [&](Value *k) {
                Value *left = at(f->getArg(2), element(m, k)),
                      *right = at(f->getArg(3), element(k, n));
                kind.isBf16 ? bf16Step(sums, left, right)
                            : int8Step(sums[0], left, right, kind);
              });
              Value *even = b.CreateLoad(sumType, sums[0]),
                    *odd = b.CreateLoad(sumType, sums[1]);
              // The order of the manual: both chains start from zero, are added
              // to each other, and only then to C.
              Value *sum = kind.isBf16
                               ? addFlushed(addFlushed(even, odd), flush(old))
                               : b.CreateAdd(old, even); // wraps
              b.CreateStore(sum, at(result, place));
            });
          });
        });
  }

private:
  Function *make(StringRef name, ArrayRef<Type *> parameters,
                 function_ref<void(Function *)> body) {
    if (Function *made = module.getFunction(name))
      return made;
    auto *f =
        Function::Create(FunctionType::get(b.getVoidTy(), parameters, false),
                         GlobalValue::InternalLinkage, name, module);
    // Inlined, dozens of copies would only slow the compiler.
    f->addFnAttr(Attribute::NoInline);
    b.SetInsertPoint(BasicBlock::Create(context, "", f));
    body(f);
    b.CreateRetVoid();
    return f;
  }

  /// body(i) for i < count, unsigned.
  void loop(Value *count, function_ref<void(Value *)> body) {
    BasicBlock *before = b.GetInsertBlock();
    Function *f = before->getParent();
    auto *head = BasicBlock::Create(context, "", f),
         *inside = BasicBlock::Create(context, "", f),
         *after = BasicBlock::Create(context, "", f);
    b.CreateBr(head);
    b.SetInsertPoint(head);
    PHINode *i = b.CreatePHI(i64, 2);
    i->addIncoming(b.getInt64(0), before);
    b.CreateCondBr(b.CreateICmpULT(i, count), inside, after);
    b.SetInsertPoint(inside);
    body(i);
    i->addIncoming(b.CreateAdd(i, b.getInt64(1)), b.GetInsertBlock());
    b.CreateBr(head);
    b.SetInsertPoint(after);
  }

  /// The hardware refuses such shapes when tiles are configured.
  void checkShape(Value *rows, Value *bytes) {
    Function *f = b.GetInsertBlock()->getParent();
    auto *bad = BasicBlock::Create(context, "", f),
         *good = BasicBlock::Create(context, "", f);
    b.CreateCondBr(b.CreateOr(b.CreateICmpUGT(rows, b.getInt64(kTileRows)),
                              b.CreateICmpUGT(bytes, b.getInt64(kRowBytes))),
                   bad, good);
    b.SetInsertPoint(bad);
    b.CreateIntrinsic(b.getVoidTy(), Intrinsic::trap, {});
    b.CreateUnreachable();
    b.SetInsertPoint(good);
  }

  Value *at(Value *base, Value *offset) { return b.CreatePtrAdd(base, offset); }
  /// The offset of a tile's 4 byte element.
  Value *element(Value *row, Value *column) {
    return b.CreateAdd(b.CreateMul(row, b.getInt64(kRowBytes)),
                       b.CreateShl(column, 2));
  }

  /// Denormals become zeros of their sign, whatever MXCSR says: of operands
  /// (DAZ) and results (FTZ). A result that only rounding to a denormal brought
  /// up to 2^-126 stays; hardware may flush it.
  Value *flush(Value *x) {
    Value *size = b.CreateUnaryIntrinsic(Intrinsic::fabs, x);
    Value *isTiny =
        b.CreateFCmpOLT(size, ConstantFP::get(x->getType(), 0x1p-126));
    Value *zero = b.CreateBinaryIntrinsic(Intrinsic::copysign,
                                          ConstantFP::get(x->getType(), 0), x);
    return b.CreateSelect(isTiny, zero, x);
  }
  Value *addFlushed(Value *x, Value *y) { return flush(b.CreateFAdd(x, y)); }

  void bf16Step(Value *const (&sums)[2], Value *left, Value *right) {
    auto read = [&](Value *from, unsigned i) {
      Value *bits = b.CreateLoad(b.getInt16Ty(), at(from, b.getInt64(2 * i)));
      bits = b.CreateShl(b.CreateZExt(bits, b.getInt32Ty()), 16);
      return flush(b.CreateBitCast(bits, b.getFloatTy()));
    };
    for (unsigned i = 0; i < 2; ++i) {
      Value *sum = b.CreateLoad(b.getFloatTy(), sums[i]);
      Value *next = b.CreateIntrinsic(b.getFloatTy(), Intrinsic::fma,
                                      {read(left, i), read(right, i), sum});
      b.CreateStore(flush(next), sums[i]);
    }
  }

  void int8Step(Value *sum, Value *left, Value *right, Dot kind) {
    auto read = [&](Value *from, unsigned i, bool isSigned) {
      Value *byte = b.CreateLoad(b.getInt8Ty(), at(from, b.getInt64(i)));
      return isSigned ? b.CreateSExt(byte, b.getInt32Ty())
                      : b.CreateZExt(byte, b.getInt32Ty());
    };
    Value *total = b.CreateLoad(b.getInt32Ty(), sum);
    for (unsigned i = 0; i < 4; ++i)
      total = b.CreateAdd(total, b.CreateMul(read(left, i, kind.isSignedA),
                                             read(right, i, kind.isSignedB)));
    b.CreateStore(total, sum);
  }

  Module &module;
  LLVMContext &context;
  IRBuilder<> b;
  Type *pointer, *i64;
};

//===-- Tiles of one function ---------------------------------------------===//

class FunctionTiles {
public:
  FunctionTiles(Function &function, Helpers &helpers)
      : function(function), helpers(helpers) {}

  Error rewrite() {
    SmallVector<Instruction *> work;
    for (Instruction &inst : instructions(function))
      if (inst.getType()->isX86_AMXTy() ||
          any_of(inst.operands(),
                 [](Value *v) { return v->getType()->isX86_AMXTy(); }))
        work.push_back(&inst);
    if (work.empty())
      return Error::success();
    IRBuilder<> entry(&*function.getEntryBlock().getFirstInsertionPt());
    auto buffer = [&] {
      AllocaInst *made =
          entry.CreateAlloca(ArrayType::get(entry.getInt8Ty(), kTileBytes));
      made->setAlignment(kTileAlign);
      return made;
    };
    // All before any is rewritten: a phi may come before what it takes.
    for (Instruction *inst : work)
      if (inst->getType()->isX86_AMXTy())
        tiles[inst] = buffer();
    for (Instruction *inst : work) {
      bool done = true;
      if (auto *phi = dyn_cast<PHINode>(inst))
        rewritePhi(*phi, buffer());
      else if (auto *call = dyn_cast<IntrinsicInst>(inst))
        done = rewriteIntrinsic(*call);
      else if (auto *select = dyn_cast<SelectInst>(inst))
        rewriteSelect(*select);
      else
        done = false;
      if (!done) {
        std::string text;
        raw_string_ostream(text) << *inst;
        return createStringError("AMX cannot be emulated in " +
                                 function.getName() + ":" + text);
      }
    }
    for (Instruction *inst : work)
      inst->dropAllReferences();
    for (Instruction *inst : work)
      inst->eraseFromParent();
    return Error::success();
  }

private:
  /// Null for undef and poison, of which nothing need be copied.
  Value *tileOf(Value *v) { return tiles.lookup(v); }

  void copy(IRBuilder<> &b, Value *to, Value *from) {
    if (from)
      b.CreateMemCpy(to, kTileAlign, from, kTileAlign, kTileBytes);
  }

  /// The phis of a block take their values at once: two may be swapped. So each
  /// edge fills `incoming`, and the block's start copies that into the tile.
  void rewritePhi(PHINode &phi, Value *incoming) {
    SmallPtrSet<BasicBlock *, 4> seen; // a switch may come from one block twice
    for (auto [block, value] : zip(phi.blocks(), phi.incoming_values()))
      if (seen.insert(block).second) {
        IRBuilder<> b(block->getTerminator());
        copy(b, incoming, tileOf(value));
      }
    IRBuilder<> b(&*phi.getParent()->getFirstInsertionPt());
    copy(b, tiles[&phi], incoming);
  }

  void rewriteSelect(SelectInst &select) {
    Value *yes = tileOf(select.getTrueValue()),
          *no = tileOf(select.getFalseValue());
    IRBuilder<> b(&select);
    copy(b, tiles[&select],
         yes && no ? b.CreateSelect(select.getCondition(), yes, no)
         : yes     ? yes
                   : no);
  }

  bool rewriteIntrinsic(IntrinsicInst &call) {
    IRBuilder<> b(&call);
    auto size = [&](unsigned i) {
      return b.CreateZExt(call.getArgOperand(i), b.getInt64Ty());
    };
    // A constant tile is undefined, and so then is what is read from it.
    auto tile = [&](unsigned i) {
      Value *found = tileOf(call.getArgOperand(i));
      return found ? found : PoisonValue::get(b.getPtrTy());
    };
    switch (Intrinsic::ID id = call.getIntrinsicID()) {
    case Intrinsic::x86_tilezero_internal:
      b.CreateMemSet(tiles[&call], b.getInt8(0), kTileBytes, kTileAlign);
      return true;
    case Intrinsic::x86_tileloadd64_internal:
    case Intrinsic::x86_tileloaddt164_internal:
      b.CreateCall(helpers.load(), {tiles[&call], call.getArgOperand(2),
                                    size(0), size(1), call.getArgOperand(3)});
      return true;
    case Intrinsic::x86_tilestored64_internal:
      b.CreateCall(helpers.store(), {tile(4), call.getArgOperand(2), size(0),
                                     size(1), call.getArgOperand(3)});
      return true;
    default: {
      std::optional<Dot> kind = dotOf(id);
      if (!kind)
        return false;
      std::string name =
          ("sq_amx_" + call.getCalledFunction()->getName()).str();
      b.CreateCall(
          helpers.dot(name, *kind),
          {tiles[&call], tile(3), tile(4), tile(5), size(0), size(1), size(2)});
      return true;
    }
    }
  }

  Function &function;
  Helpers &helpers;
  MapVector<Value *, AllocaInst *> tiles;
};

} // namespace

Error sq::emulateAmx(Module &module) {
  Helpers helpers(module);
  // Helpers join the list on the way; they have no tiles.
  for (Function &f : module) {
    if (f.isDeclaration()) // the intrinsics
      continue;
    if (f.getReturnType()->isX86_AMXTy() || any_of(f.args(), [](Argument &a) {
          return a.getType()->isX86_AMXTy();
        }))
      return createStringError("AMX cannot be emulated in " + f.getName() +
                               ": a tile is an argument or a result");
    if (Error error = FunctionTiles(f, helpers).rewrite())
      return error;
  }
  return Error::success();
}

std::string sq::withoutAmx(StringRef attributes) {
  SmallVector<StringRef> all;
  attributes.split(all, ',', -1, /*KeepEmpty=*/false);
  erase_if(all, [](StringRef f) { return f.starts_with("+amx"); });
  return join(all, ",");
}
