//===-- BindOutputs.cpp - results are written where the caller wants them ----===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/RegionUtils.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Passes.h"
#include "passes/analysis/BufferDims.h"

namespace sq {
#define GEN_PASS_DEF_BINDOUTPUTSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct BindOutputsPass : sq::impl::BindOutputsPassBase<BindOutputsPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || !func.getBody().hasOneBlock())
      return;
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    llvm::SmallDenseSet<Value> bound;
    DominanceInfo dominance(func);
    IRRewriter rewriter(&getContext());
    for (auto [index, value] : llvm::enumerate(ret.getOperands())) {
      auto returned = cast<MemRefType>(value.getType());
      auto type = MemRefType::get(returned.getShape(), returned.getElementType());
      // The buffer itself, when the result is the whole of it.
      Value root = value;
      while (Operation *op = root.getDefiningOp()) {
        if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(op))
          break;
        root = op->getOperand(0);
      }
      auto alloc = root.getDefiningOp<memref::AllocOp>();
      bool inPlace = alloc && alloc->getBlock() == ret->getBlock() &&
                     alloc.getType().getLayout().isIdentity() &&
                     returned.getLayout().isIdentity() && bound.insert(root).second;

      ImplicitLocOpBuilder b(ret.getLoc(), ret);
      SmallVector<Value> sizes;
      for (int64_t d = 0; d < type.getRank(); ++d) {
        if (!type.isDynamicDim(d))
          continue;
        FailureOr<Value> size = sq::dimWithoutBuffer(b, value, d);
        if (failed(size)) {
          inPlace = false;
          size = Value(memref::DimOp::create(b, value, d));
        }
        sizes.push_back(*size);
      }
      if (inPlace && failed(moveValueDefinitions(rewriter, sizes, alloc, dominance))) {
        bound.erase(root);
        inPlace = false;
      }
      if (!inPlace) {
        Value out = sq::OutputOp::create(b, type, index, sizes);
        memref::CopyOp::create(b, value, out);
        continue;
      }
      b.setInsertionPoint(alloc);
      Value out = sq::OutputOp::create(b, type, index, sizes);
      // (Equal types may have different sizes.)
      if (alloc.getType() != type || !llvm::equal(alloc.getDynamicSizes(), sizes)) {
        SmallVector<OpFoldResult> shape;
        unsigned dynamic = 0;
        for (int64_t d : alloc.getType().getShape())
          shape.push_back(ShapedType::isDynamic(d)
                              ? OpFoldResult(alloc.getDynamicSizes()[dynamic++])
                              : OpFoldResult(b.getIndexAttr(d)));
        Value flat = sq::denseView(b, out, alloc.getType(), shape);
        alloc.replaceAllUsesWith(flat);
      } else {
        alloc.replaceAllUsesWith(out);
      }
      alloc.erase();
    }
    ret->setOperands({});
    // The names of the results stay for the manifest.
    SmallVector<Attribute> names;
    for (unsigned i = 0; i < func.getNumResults(); ++i) {
      DictionaryAttr attrs = func.getResultAttrDict(i);
      names.push_back(attrs ? attrs : DictionaryAttr::get(&getContext()));
    }
    func->setAttr("sq.results", ArrayAttr::get(&getContext(), names));
    func.removeResAttrsAttr();
    func.setType(FunctionType::get(&getContext(), func.getArgumentTypes(), {}));
  }
};

} // namespace
