//===-- ShortenBuffers.cpp - what lies between layers in 16 bits
//--------------===//
//
// At this level an activation is a buffer that is allocated, and what uses it
// is known: whole kernels and views. A buffer is shortened when a product,
// attention or a norm takes part in it (the rest is small, or not an
// activation, as masks are: their -3.4e38 is no number of f16) and every user
// can read or write it in its new type. What is computed stays in f32: operands
// are widened where they are read, results rounded where they are written.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "codegen/cuda/Passes.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_SHORTENBUFFERSPASS
#include "codegen/cuda/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

/// A buffer, the views of it, and what uses them.
struct Activation {
  Type narrow;
  SmallVector<Value> values; // the buffer first
  SmallVector<memref::LoadOp> loads;
  llvm::SetVector<Operation *> users; // that have to be told
  bool isWorthwhile = false;

  /// False when `use` cannot be of a 16-bit float.
  bool take(OpOperand &use) {
    Operation *op = use.getOwner();
    Value v = use.get();
    if (isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::SubViewOp,
            memref::CastOp>(op)) {
      values.push_back(op->getResult(0));
      return llvm::all_of(op->getResult(0).getUses(),
                          [&](OpOperand &u) { return take(u); });
    }
    if (isa<memref::DimOp, memref::DeallocOp>(op))
      return true;
    if (auto load = dyn_cast<memref::LoadOp>(op)) {
      loads.push_back(load);
      return isa<linalg::GenericOp>(
          op->getParentOp()); // elsewhere the schedule reads it
    }
    users.insert(op);
    if (isa<memref::CopyOp>(op))
      return true;
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return generic.getNumReductionLoops() == 0 ||
             !generic.isDpsInit(&use); // sums stay in f32
    if (auto product = dyn_cast<PackedMatmulOp>(op)) {
      isWorthwhile |= v == product.getX() || v == product.getOuts();
      Type factor =
          cast<MemRefType>(product.getWeight().getType()).getElementType();
      return v != product.getWeight() &&
             (v != product.getX() || factor == narrow);
    }
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      isWorthwhile = true;
      return v != attention.getMask();
    }
    if (auto norm = dyn_cast<LayerNormOp>(op)) {
      isWorthwhile = true;
      return v != norm.getScale() && v != norm.getBias();
    }
    if (auto norm = dyn_cast<RmsNormOp>(op)) {
      isWorthwhile = true;
      return v != norm.getScale();
    }
    return false;
  }
};

Type elementOf(Value v) {
  auto type = dyn_cast<MemRefType>(v.getType());
  return type ? type.getElementType() : v.getType();
}

/// Arguments of `block` for `operands` get their elements' types, and are
/// widened.
void widenArguments(Block &block, ValueRange operands, unsigned firstArgument) {
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    BlockArgument argument = block.getArgument(firstArgument + i);
    Type wide = argument.getType();
    if (wide == elementOf(operand))
      continue;
    argument.setType(elementOf(operand));
    if (argument.use_empty())
      continue;
    auto widened = arith::ExtFOp::create(b, argument.getLoc(), wide, argument);
    argument.replaceAllUsesExcept(widened, widened);
  }
}

/// What `block` yields for `outs` is rounded to their elements' types.
void roundResults(Block &block, ValueRange outs) {
  Operation *end = block.getTerminator();
  OpBuilder b(end);
  for (auto [i, out] : llvm::enumerate(outs))
    if (Value v = end->getOperand(i); v.getType() != elementOf(out))
      end->setOperand(
          i, arith::TruncFOp::create(b, v.getLoc(), elementOf(out), v));
}

/// A copy between two types of float.
void convert(memref::CopyOp copy) {
  ImplicitLocOpBuilder b(copy.getLoc(), copy);
  Value from = copy.getSource(), to = copy.getTarget();
  int64_t rank = cast<MemRefType>(from.getType()).getRank();
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, TypeRange(), from, to, maps, loops,
      [&](OpBuilder &o, Location l, ValueRange args) {
        bool isWider = args[0].getType().getIntOrFloatBitWidth() <
                       args[1].getType().getIntOrFloatBitWidth();
        Value v =
            isWider
                ? Value(arith::ExtFOp::create(o, l, args[1].getType(), args[0]))
                : Value(arith::TruncFOp::create(o, l, args[1].getType(),
                                                args[0]));
        linalg::YieldOp::create(o, l, v);
      });
  copy.erase();
}

void tell(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    widenArguments(*generic.getBlock(), op->getOperands(), 0);
    roundResults(*generic.getBlock(), generic.getDpsInits());
  } else if (auto product = dyn_cast<PackedMatmulOp>(op)) {
    Block &epilogue = product.getEpilogue().front();
    widenArguments(epilogue, product.getExtras(), 1);
    roundResults(epilogue, product.getOuts());
  } else if (auto copy = dyn_cast<memref::CopyOp>(op);
             copy &&
             elementOf(copy.getSource()) != elementOf(copy.getTarget())) {
    convert(copy);
  }
}

struct ShortenBuffersPass
    : sq::impl::ShortenBuffersPassBase<ShortenBuffersPass> {
  using ShortenBuffersPassBase::ShortenBuffersPassBase;

  void runOnOperation() override {
    OpBuilder b(&getContext());
    if (type != "f16" && type != "bf16") {
      getOperation().emitError("unknown type '")
          << type << "' of buffers; f16 or bf16";
      return signalPassFailure();
    }
    Type narrow = type == "f16" ? Type(b.getF16Type()) : b.getBF16Type();
    llvm::SetVector<Operation *> users;
    getOperation().walk([&](memref::AllocOp op) {
      Activation found{narrow, {op.getMemref()}, {}, {}};
      if (!op.getType().getElementType().isF32() ||
          !llvm::all_of(op->getUses(),
                        [&](OpOperand &u) { return found.take(u); }) ||
          !found.isWorthwhile)
        return;
      for (Value v : found.values)
        v.setType(MemRefType::Builder(cast<MemRefType>(v.getType()))
                      .setElementType(narrow));
      for (memref::LoadOp load : found.loads) {
        b.setInsertionPointAfter(load);
        Value wide = load.getResult();
        load.getResult().setType(narrow);
        auto widened =
            arith::ExtFOp::create(b, load.getLoc(), b.getF32Type(), wide);
        wide.replaceAllUsesExcept(widened, widened);
      }
      users.insert(found.users.begin(), found.users.end());
    });
    llvm::for_each(users, tell);
  }
};

} // namespace
