//===-- PackLinear.cpp - weights of linear layers in column panels ------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/LayerDecisions.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_PACKLINEARPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// Columns of a panel of bf16 pairs: two AMX tiles of 16.
constexpr int64_t kPairColumns = 32;

/// `pairs`: in bf16 as AMX tiles take it; otherwise `element` in panels.
void pack(sq::LinearOp op, ElementsAttr weight, int64_t columns, Type element, bool pairs) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getWeight().getType());
  bool transposed = op.getTransposeWeight();
  int64_t k = type.getDimSize(transposed), n = type.getDimSize(!transposed);
  if (pairs)
    columns = kPairColumns;
  int64_t panels = llvm::divideCeil(n, columns);
  auto packed = pairs ? RankedTensorType::get({panels, int64_t(llvm::divideCeil(k, 32)) * 16, columns, 2}, element)
                      : RankedTensorType::get({panels, k, columns}, element);
  auto value = sq::WeightOp::create(b, op.getWeight().getLoc(), packed, weight, columns, transposed,
                                    /*offset=*/nullptr, /*wide_offset=*/nullptr,
                                    /*widened=*/false);
  SmallVector<Value> extras;
  if (op.getBias())
    extras.push_back(op.getBias());
  auto product = sq::PackedMatmulOp::create(b, loc, op.getOuts().getType(), op.getX(),
                                            value.getResult(), /*lut=*/ValueRange(), extras, op.getOuts());
  SmallVector<Type> scalars(1 + extras.size(), b.getF32Type());
  SmallVector<Location> locs(scalars.size(), loc);
  Block *body = b.createBlock(&product.getEpilogue(), {}, scalars, locs);
  Value result = body->getArgument(0);
  if (op.getBias())
    result = arith::AddFOp::create(b, loc, result, body->getArgument(1));
  sq::YieldOp::create(b, loc, result);
  op->replaceAllUsesWith(product);
  op.erase();
}

/// A linear layer that has no packed kernel: a contraction in linalg and an
/// addition, in f32 at least.
void expand(sq::LinearOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getOuts().getType());
  Type element = type.getElementType();
  Type sumType = element.isF64() ? element : Type(b.getF32Type());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, op.getOuts());
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(sumType));
  Value empty = tensor::EmptyOp::create(b, loc, sizes, sumType);
  Value init = linalg::FillOp::create(b, loc, zero, empty).getResult(0);
  // Loops: the dims of the result, then k.
  SmallVector<AffineExpr> d;
  for (int64_t i = 0; i <= rank; ++i)
    d.push_back(b.getAffineDimExpr(i));
  AffineExpr n = d[rank - 1], k = d[rank];
  SmallVector<AffineExpr> x(d.begin(), d.begin() + rank - 1);
  x.push_back(k);
  SmallVector<AffineExpr> w = {k, n};
  if (op.getTransposeWeight())
    w = {n, k};
  MLIRContext *context = b.getContext();
  SmallVector<AffineMap> maps = {AffineMap::get(rank + 1, 0, x, context),
                                 AffineMap::get(rank + 1, 0, w, context),
                                 AffineMap::getMultiDimIdentityMap(rank + 1, context).dropResult(rank)};
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  auto widen = [&](OpBuilder &o, Location l, Value v) -> Value {
    return v.getType() == sumType ? v : Value(arith::ExtFOp::create(o, l, sumType, v));
  };
  Value sum = linalg::GenericOp::create(
                  b, loc, init.getType(), ValueRange{op.getX(), op.getWeight()}, ValueRange(init),
                  maps, iterators,
                  [&](OpBuilder &o, Location l, ValueRange args) {
                    Value prod = arith::MulFOp::create(o, l, widen(o, l, args[0]), widen(o, l, args[1]));
                    Value acc = arith::AddFOp::create(o, l, args[2], prod);
                    linalg::YieldOp::create(o, l, acc);
                  })
                  .getResult(0);
  AffineMap identity = AffineMap::getMultiDimIdentityMap(rank, context);
  SmallVector<Value> ins = {sum};
  SmallVector<AffineMap> addMaps = {identity};
  if (op.getBias()) {
    ins.push_back(op.getBias());
    addMaps.push_back(AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1)));
  }
  addMaps.push_back(identity);
  auto result = linalg::GenericOp::create(
      b, loc, type, ins, ValueRange(op.getOuts()), addMaps,
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [&](OpBuilder &o, Location l, ValueRange args) {
        Value v = args[0];
        if (op.getBias())
          v = arith::AddFOp::create(o, l, v, widen(o, l, args[1]));
        if (sumType != element)
          v = arith::TruncFOp::create(o, l, element, v);
        linalg::YieldOp::create(o, l, v);
      });
  op->replaceAllUsesWith(result);
  op.erase();
}

struct PackLinearPass : sq::impl::PackLinearPassBase<PackLinearPass> {
  using PackLinearPassBase::PackLinearPassBase;
  void runOnOperation() override {
    Builder b(&getContext());
    Type element = precision == "f32"    ? Type(b.getF32Type())
                   : precision == "bf16" ? Type(b.getBF16Type())
                   : precision == "f16"  ? Type(b.getF16Type())
                                         : Type();
    bool inPairs = pairs && precision != "f32";
    if (!element || (inPairs && precision == "f16")) {
      getOperation().emitError("unknown precision '") << precision << "'; f32, bf16, or f16 with pairs=false";
      return signalPassFailure();
    }
    if (inPairs)
      getOperation().walk([](sq::AttentionOp op) { op.setBf16(true); });
    SmallVector<sq::LinearOp> ops;
    getOperation().walk([&](sq::LinearOp op) { ops.push_back(op); });
    for (sq::LinearOp op : ops) {
      ElementsAttr weight;
      auto type = dyn_cast<RankedTensorType>(op.getOuts().getType());
      if (!type) {
        op.emitOpError("is bufferized already; run --sq-pack-linear on tensors");
        return signalPassFailure();
      }
      bool constant = matchPattern(op.getWeight(), m_Constant(&weight));
      auto f32 = [](Value v) { return !v || getElementTypeOrSelf(v.getType()).isF32(); };
      if (constant && f32(op.getX()) && f32(op.getWeight()) && f32(op.getBias()) &&
          f32(op.getOuts()))
        pack(op, weight, columns, op->hasAttr(sq::kInBf16) ? Type(b.getBF16Type()) : element,
             inPairs || (pairs && op->hasAttr(sq::kInBf16)));
      else
        expand(op);
    }
  }
};

} // namespace
