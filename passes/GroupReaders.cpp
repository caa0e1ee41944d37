//===-- GroupReaders.cpp - many readers of a tensor, in groups -----------------===//

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_GROUPREADERSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

/// Whether nothing can write to the memory of a tensor, through views of it either.
class OnlyRead {
public:
  bool operator()(Value tensor) {
    return llvm::all_of(tensor.getUses(), [&](OpOperand &use) { return reads(use); });
  }

private:
  bool reads(OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<tensor::DimOp, tensor::ExtractOp, func::ReturnOp>(user))
      return true;
    if (auto styled = dyn_cast<DestinationStyleOpInterface>(user))
      return styled.isDpsInput(&use);
    if (!isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user))
      return false;
    auto [known, isNew] = views.try_emplace(user, false);
    if (isNew) {
      bool reads = (*this)(user->getResult(0));
      views[user] = reads;
      return reads;
    }
    return known->second;
  }

  DenseMap<Operation *, bool> views;
};

struct GroupReadersPass : sq::impl::GroupReadersPassBase<GroupReadersPass> {
  using GroupReadersPassBase::GroupReadersPassBase;

  void runOnOperation() override {
    SmallVector<Value> wide;
    auto look = [&](ValueRange values) {
      for (Value value : values)
        if (isa<RankedTensorType>(value.getType()) && value.hasNUsesOrMore(2 * group) && isRead(value))
          wide.push_back(value);
    };
    getOperation().walk([&](Operation *op) {
      for (Region &region : op->getRegions())
        for (Block &block : region)
          look(block.getArguments());
      look(op->getResults());
    });
    for (Value value : wide)
      split(value);
  }

  void split(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<OpOperand *> readers;
    for (OpOperand &use : value.getUses())
      if (!isa<tensor::DimOp, func::ReturnOp>(use.getOwner()))
        readers.push_back(&use);
    OpBuilder b(&getContext());
    b.setInsertionPointAfterValue(value);
    auto memory = bufferization::ToBufferOp::create(
        b, value.getLoc(), MemRefType::get(type.getShape(), type.getElementType()), value, /*read_only=*/true);
    Value part;
    for (auto [i, use] : llvm::enumerate(readers)) {
      if (i % group == 0)
        part = bufferization::ToTensorOp::create(b, value.getLoc(), type, memory, /*restrict=*/true);
      use->set(part);
    }
  }

  OnlyRead isRead;
};

} // namespace
