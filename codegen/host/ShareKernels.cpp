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
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/host/Passes.h"
#include "dialects/sq/IR/SqOps.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/StringSaver.h"

#include <map>

namespace sq {
#define GEN_PASS_DEF_SHAREKERNELSPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// Kernels that differ only in numbers or offsets are one function when there are more than these:
/// few of them are worth their constants, thousands would keep LLVM busy for minutes.
constexpr size_t kManyKernels = 16;

struct ShareKernelsPass : sq::impl::ShareKernelsPassBase<ShareKernelsPass> {
  using ShareKernelsPassBase::ShareKernelsPassBase;

  bool isLong(StringRef text) const { return int64_t(text.size()) > longText; }

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

  /// Constants that may become arguments: numbers to compute with, or vectors, no bounds of loops.
  static SmallVector<arith::ConstantOp> numbersOf(func::FuncOp func) {
    SmallVector<arith::ConstantOp> numbers;
    func.walk([&](arith::ConstantOp op) {
      Type element = getElementTypeOrSelf(op.getType());
      if ((isa<VectorType>(op.getType()) || op.getType().isIntOrFloat()) && element.isIntOrFloat() && !element.isInteger(1))
        numbers.push_back(op);
    });
    return numbers;
  }

  static TypedAttr numberOf(arith::ConstantOp op) {
    auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
    return splat ? cast<TypedAttr>(splat.getSplatValue<Attribute>()) : op.getValue();
  }

  /// 64-bit numbers in 32 bits, if all fit: a product of two that are known to is one instruction.
  static void narrow(SmallVectorImpl<TypedAttr> &values) {
    auto fits = [](TypedAttr value) {
      auto integer = dyn_cast<IntegerAttr>(value);
      return integer && integer.getType().isInteger(64) && integer.getValue().isSignedIntN(32);
    };
    if (llvm::all_of(values, fits))
      for (TypedAttr &value : values)
        value = IntegerAttr::get(IntegerType::get(value.getContext(), 32), cast<IntegerAttr>(value).getInt());
  }

  /// The type for any offset, if the body of `func` does not depend on that of the argument.
  static Type anyOffset(BlockArgument argument) {
    auto type = dyn_cast<MemRefType>(argument.getType());
    auto layout = type ? dyn_cast<StridedLayoutAttr>(type.getLayout()) : nullptr;
    if (!layout || llvm::any_of(argument.getUsers(), [](Operation *user) {
          return llvm::any_of(user->getResultTypes(), llvm::IsaPred<MemRefType>);
        }))
      return argument.getType();
    auto any = StridedLayoutAttr::get(type.getContext(), ShapedType::kDynamic, layout.getStrides());
    return MemRefType::get(type.getShape(), type.getElementType(), any, type.getMemorySpace());
  }

  static void setArgumentTypes(func::FuncOp func, ArrayRef<Type> types) {
    for (auto [argument, type] : llvm::zip_equal(func.getArguments(), types))
      argument.setType(type);
    func.setType(FunctionType::get(func.getContext(), types, {}));
  }

  /// The text of `func` without its name, numbers and offsets.
  static std::string textOfFamily(func::FuncOp func) {
    std::string name = func.getSymName().str();
    SmallVector<Type> types(func.getArgumentTypes());
    SmallVector<TypedAttr> values;
    for (arith::ConstantOp op : numbersOf(func)) {
      values.push_back(op.getValue());
      op.setValueAttr(cast<TypedAttr>(Builder(op).getZeroAttr(op.getType())));
    }
    func.setSymName("kernel");
    setArgumentTypes(func, llvm::map_to_vector(func.getArguments(), anyOffset));
    std::string text = textOf(func);
    func.setSymName(name);
    setArgumentTypes(func, types);
    for (auto [op, value] : llvm::zip_equal(numbersOf(func), values))
      op.setValueAttr(value);
    return text;
  }

  /// Makes the first of `family` do the work of all: where they differ, it takes arguments.
  static void mergeFamily(ArrayRef<func::FuncOp> family, DenseMap<Operation *, SmallVector<func::CallOp>> &calls) {
    SmallVector<SmallVector<arith::ConstantOp>> numbers = llvm::map_to_vector(family, numbersOf);
    // Numbers that are always the same ones together are one argument: loops
    // keep what they need in registers.
    using Numbers = SmallVector<TypedAttr>; // of each of the family
    SmallVector<std::pair<size_t, Numbers>> varying; // the first of them
    SmallVector<std::pair<size_t, size_t>> argumentOf; // of each that varies
    std::map<std::vector<const void *>, size_t> known;
    for (size_t i = 0; i < numbers.front().size(); ++i) {
      if (llvm::all_of(numbers, [&](auto &own) { return own[i].getValue() == numbers.front()[i].getValue(); }))
        continue;
      // One number instead of a vector of it, unless one of the family has different ones.
      bool isSplat = llvm::all_of(numbers, [&](auto &own) { return !isa<DenseElementsAttr>(own[i].getValue()) || isa<SplatElementsAttr>(own[i].getValue()); });
      Numbers values = llvm::map_to_vector(numbers, [&](auto &own) { return isSplat ? numberOf(own[i]) : own[i].getValue(); });
      std::vector<const void *> key;
      for (TypedAttr value : values)
        key.push_back(value.getAsOpaquePointer());
      auto [it, isNew] = known.try_emplace(key, varying.size());
      if (isNew) {
        narrow(values);
        varying.push_back({i, values});
      }
      argumentOf.push_back({i, it->second});
    }
    func::FuncOp shared = family.front();
    SmallVector<Type> types = llvm::map_to_vector(shared.getArguments(), anyOffset);
    for (auto [place, func] : llvm::enumerate(family))
      for (func::CallOp call : calls[func]) {
        ImplicitLocOpBuilder b(call.getLoc(), call);
        SmallVector<Value> args;
        for (auto [arg, type] : llvm::zip(call.getOperands(), types))
          args.push_back(arg.getType() == type ? arg : Value(memref::CastOp::create(b, type, arg)));
        for (auto &[first, values] : varying)
          args.push_back(arith::ConstantOp::create(b, values[place]));
        func::CallOp::create(b, shared.getSymName(), TypeRange(), args);
        call.erase();
      }
    Block &entry = shared.getBody().front();
    OpBuilder b = OpBuilder::atBlockBegin(&entry);
    SmallVector<Value> arguments;
    for (auto &[first, values] : varying) {
      types.push_back(values.front().getType());
      Location loc = numbers.front()[first].getLoc();
      Value argument = entry.addArgument(types.back(), loc);
      bool isNarrow = types.back().isInteger(32) && getElementTypeOrSelf(numbers.front()[first].getType()).isInteger(64);
      arguments.push_back(isNarrow ? Value(arith::ExtSIOp::create(b, loc, b.getI64Type(), argument)) : argument);
    }
    std::map<std::pair<size_t, const void *>, Value> broadcasts; // by argument and type
    for (auto [i, which] : argumentOf) {
      arith::ConstantOp number = numbers.front()[i];
      Value argument = arguments[which];
      if (number.getType() != argument.getType()) {
        Value &broadcast = broadcasts[{which, number.getType().getAsOpaquePointer()}];
        if (!broadcast)
          broadcast = vector::BroadcastOp::create(b, number.getLoc(), number.getType(), argument);
        argument = broadcast;
      }
      number.replaceAllUsesWith(argument);
    }
    for (auto [i, which] : argumentOf) // not before: broadcasts are made in front of what was first
      numbers.front()[i].erase();
    setArgumentTypes(shared, types);
    for (func::FuncOp func : family.drop_front())
      func.erase();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    llvm::StringMap<func::FuncOp> known;
    SmallVector<func::FuncOp> different;
    DenseMap<Operation *, SmallVector<func::CallOp>> calls; // by function
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
      if (fresh) {
        func.setSymName("sq_shared_" + std::to_string(known.size() - 1));
        different.push_back(func);
      } else {
        func.erase();
      }
      Block &block = body.front();
      while (!block.without_terminator().empty())
        std::prev(block.getTerminator()->getIterator())->erase();
      b.setInsertionPoint(block.getTerminator());
      SmallVector<Value> args(body.getArguments());
      llvm::append_range(args, passed);
      calls[it->second].push_back(func::CallOp::create(b, it->second, args));
    }

    // A thousand results of a Split, or products with a thousand numbers; few products, but with a
    // long epilogue each, whose scales and zero points differ from layer to layer.
    llvm::MapVector<StringRef, SmallVector<func::FuncOp>> families;
    llvm::BumpPtrAllocator memory;
    llvm::StringSaver texts(memory);
    if (different.size() > kManyKernels || llvm::any_of(known, [&](auto &entry) { return isLong(entry.first()); }))
      for (func::FuncOp func : different)
        families[texts.save(textOfFamily(func))].push_back(func);
    for (auto &[text, family] : families)
      if (family.size() > kManyKernels || (family.size() > 1 && isLong(text)))
        mergeFamily(family, calls);
  }
};

} // namespace
