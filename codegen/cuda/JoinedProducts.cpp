#include "codegen/cuda/JoinedProducts.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "codegen/cuda/CudaTarget.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

MemRefType typeOf(Value v) { return cast<MemRefType>(v.getType()); }

/// The buffer that a view is of.
Value bufferOf(Value v) {
  while (auto view = v.getDefiningOp<ViewLikeOpInterface>())
    v = view.getViewSource();
  return v;
}

std::optional<int64_t> offsetOf(PackedMatmulOp op) {
  auto weight = op.getWeight().getDefiningOp<WeightOp>();
  return weight ? weight.getOffset() : std::nullopt;
}

/// Only whole panels, so that a block has columns of one product.
bool mayJoin(PackedMatmulOp op) {
  MemRefType weight = typeOf(op.getWeight()), outs = typeOf(op.getOuts());
  return offsetOf(op) && weight.getRank() == 3 &&
         weight.getDimSize(2) == kCudaPanelColumns &&
         isa<FloatType>(weight.getElementType()) &&
         outs.getLayout().isIdentity() &&
         outs.getShape().back() == weight.getDimSize(0) * kCudaPanelColumns;
}

bool joins(ArrayRef<PackedMatmulOp> group, PackedMatmulOp op) {
  PackedMatmulOp last = group.back();
  MemRefType weight = typeOf(op.getWeight());
  int64_t bytes = weight.getNumElements() * weight.getElementTypeBitWidth() / 8;
  if (!mayJoin(op) || op.getX() != last.getX() ||
      weight != last.getWeight().getType() ||
      op.getOuts().getType() != last.getOuts().getType() ||
      *offsetOf(op) != *offsetOf(last) + bytes)
    return false;
  // Blocks of one launch run in any order: nothing that one writes is
  // another's.
  return llvm::none_of(group, [&](PackedMatmulOp other) {
    Value written = bufferOf(other.getOuts());
    return written == bufferOf(op.getX()) ||
           written == bufferOf(op.getOuts()) ||
           llvm::any_of(op.getExtras(),
                        [&](Value e) { return bufferOf(e) == written; }) ||
           llvm::any_of(other.getExtras(), [&](Value e) {
             return bufferOf(e) == bufferOf(op.getOuts());
           });
  });
}

} // namespace

JoinedProducts::JoinedProducts(Operation *root) {
  root->walk([&](PackedMatmulOp first) {
    if (later.contains(first) || groups.contains(first) || !mayJoin(first))
      return;
    SmallVector<PackedMatmulOp> group = {first};
    for (Operation *op = first->getNextNode(); op; op = op->getNextNode()) {
      auto product = dyn_cast<PackedMatmulOp>(op);
      if (product && joins(group, product))
        group.push_back(product);
      else if (!isa<memref::AllocOp>(op) && !isMemoryEffectFree(op))
        break;
    }
    if (group.size() < 2)
      return;
    for (PackedMatmulOp op : ArrayRef(group).drop_back())
      later.insert(op);
    groups[group.back()] = group;
  });
}

SmallVector<PackedMatmulOp> JoinedProducts::groupOf(PackedMatmulOp op) const {
  auto found = groups.find(op);
  return found == groups.end() ? SmallVector<PackedMatmulOp>{op}
                               : found->second;
}

OpWork JoinedProducts::workOf(ArrayRef<PackedMatmulOp> group,
                              SymbolicSizes &sizes) {
  OpWork all = sq::workOf(group.front(), sizes);
  for (PackedMatmulOp op : group.drop_front()) {
    OpWork one = sq::workOf(op, sizes);
    all.flops += one.flops;
    all.reads += one.reads - sizes.bytes(op.getX());
    all.writes += one.writes;
    for (const std::string &part : one.parts)
      if (!llvm::is_contained(all.parts, part))
        all.parts.push_back(part);
    llvm::append_range(all.nodes, one.nodes);
  }
  return all;
}
