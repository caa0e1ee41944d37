//===-- PlaceWeights.cpp - constants get their place in the weight section ----===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_PLACEWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

constexpr int64_t kAlignment = 64; // a cache line, and a 512-bit vector

struct PlaceWeightsPass : sq::impl::PlaceWeightsPassBase<PlaceWeightsPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    WalkResult replaced = func.walk([&](arith::ConstantOp op) {
      auto type = dyn_cast<RankedTensorType>(op.getType());
      if (!type)
        return WalkResult::advance();
      auto value = dyn_cast<ElementsAttr>(op.getValue());
      if (!value) {
        op.emitOpError("holds no elements");
        return WalkResult::interrupt();
      }
      OpBuilder b(op);
      auto weight = sq::WeightOp::create(b, op.getLoc(), type, value, /*pack=*/0,
                                         /*transpose=*/false, /*offset=*/nullptr, /*wide_offset=*/nullptr,
                                    /*widened=*/false);
      op.replaceAllUsesWith(weight.getResult());
      op.erase();
      return WalkResult::advance();
    });
    if (replaced.wasInterrupted())
      return signalPassFailure();

    int64_t size = 0;
    int64_t wideSize = 0; // of the f32 copies of bf16 weights
    DenseMap<std::tuple<Attribute, int64_t, int64_t, int64_t, Type>, std::pair<int64_t, int64_t>> placed;
    WalkResult result = func.walk([&](sq::WeightOp op) {
      auto [it, fresh] = placed.try_emplace(
          {op.getValue(), static_cast<int64_t>(op.getPack()), static_cast<int64_t>(op.getTranspose()), static_cast<int64_t>(op.getCodes()),
           cast<ShapedType>(op.getResult().getType()).getElementType()},
          std::pair(size, wideSize));
      if (fresh) {
        auto type = cast<ShapedType>(op.getResult().getType());
        Type element = type.getElementType();
        if (!element.isIntOrIndexOrFloat()) {
          op.emitOpError("has elements that cannot be stored: ") << element;
          return WalkResult::interrupt();
        }
        int64_t bytes = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
        size += llvm::alignTo(type.getNumElements() * bytes, kAlignment);
        if (std::optional<MemRefType> wide = op.widenedType())
          wideSize += llvm::alignTo(wide->getNumElements() * sizeof(float), kAlignment);
      }
      op.setOffset(it->second.first);
      if (op.widenedType())
        op.setWideOffset(it->second.second);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    func->setAttr("sq.weight_bytes", Builder(func).getI64IntegerAttr(size));
    if (wideSize)
      func->setAttr("sq.widened_bytes", Builder(func).getI64IntegerAttr(wideSize));
  }
};

} // namespace
