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

/// Equal ones share a place.
using Key = std::tuple<Attribute, int64_t, int64_t, int64_t, int64_t, Type>;

Key keyOf(sq::WeightOp op) {
  return {op.getValue(), static_cast<int64_t>(op.getPack()), static_cast<int64_t>(op.getTranspose()),
          static_cast<int64_t>(op.getCodes()), static_cast<int64_t>(op.getBits()),
          cast<ShapedType>(op.getResult().getType()).getElementType()};
}

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
    int64_t wideSize = 0; // of what the loader makes: bytes of fewer bits, and behind them f32 copies of bf16
    DenseMap<Key, int64_t> bytesOf;
    func.walk([&](sq::WeightOp op) {
      if (op.getBits() && !bytesOf.count(keyOf(op))) {
        bytesOf[keyOf(op)] = wideSize;
        wideSize += llvm::alignTo(cast<ShapedType>(op.getResult().getType()).getNumElements(), kAlignment);
      }
    });
    const int64_t unpackedSize = wideSize;
    DenseMap<Key, std::pair<int64_t, int64_t>> placed;
    WalkResult result = func.walk([&](sq::WeightOp op) {
      auto [it, fresh] = placed.try_emplace(
          keyOf(op), std::pair(size, op.getBits() ? bytesOf.lookup(keyOf(op)) : wideSize));
      if (fresh) {
        auto type = cast<ShapedType>(op.getResult().getType());
        Type element = type.getElementType();
        if (!element.isIntOrIndexOrFloat()) {
          op.emitOpError("has elements that cannot be stored: ") << element;
          return WalkResult::interrupt();
        }
        size += llvm::alignTo(op.storedBytes(), kAlignment);
        if (std::optional<MemRefType> wide = op.widenedType())
          wideSize += llvm::alignTo(wide->getNumElements() * sizeof(float), kAlignment);
      }
      op.setOffset(it->second.first);
      if (op.getBits() || op.widenedType())
        op.setWideOffset(it->second.second);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    func->setAttr("sq.weight_bytes", Builder(func).getI64IntegerAttr(size));
    if (unpackedSize)
      func->setAttr("sq.unpacked_bytes", Builder(func).getI64IntegerAttr(unpackedSize));
    if (wideSize)
      func->setAttr("sq.widened_bytes", Builder(func).getI64IntegerAttr(wideSize));
  }
};

} // namespace
