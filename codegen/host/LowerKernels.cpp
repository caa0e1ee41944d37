//===-- LowerKernels.cpp - every op on memrefs becomes a parallel kernel -----===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/KernelWork.h"
#include "codegen/common/LinalgPoint.h"
#include "codegen/host/Kernels.h"
#include "codegen/host/Passes.h"

namespace sq {
#define GEN_PASS_DEF_LOWERKERNELSPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct LowerKernelsPass : sq::impl::LowerKernelsPassBase<LowerKernelsPass> {
  using LowerKernelsPassBase::LowerKernelsPassBase;

  static LogicalResult lower(RewriterBase &rewriter, Operation *op, const sq::TiledTarget &target, sq::TiledInputs &tiled,
                             sq::RoundedInputs &rounded) {
    rewriter.setInsertionPoint(op);
    if (auto o = dyn_cast<sq::PackedMatmulOp>(op)) {
      if (o.isCoded())
        return sq::lowerCodedMatmul(rewriter, o, target, rounded);
      if (sq::wantsAmx(o, target))
        return sq::lowerAmxMatmul(rewriter, o, target, tiled);
      bool pairs = cast<MemRefType>(o.getWeight().getType()).getRank() == 4;
      if (pairs && failed(useWidened(rewriter, o)))
        return failure();
      return sq::lowerPackedMatmul(rewriter, o, target);
    }
    if (auto o = dyn_cast<sq::MatmulOp>(op))
      return sq::lowerMatmul(rewriter, o, target);
    if (auto o = dyn_cast<sq::AttentionOp>(op))
      return target.amx && o.getBf16() && hasStaticHeads(o) ? sq::lowerAmxAttention(rewriter, o) : sq::lowerAttention(rewriter, o, target);
    if (auto o = dyn_cast<sq::KvAttendOp>(op))
      return sq::lowerKvAttend(rewriter, o, target);
    if (auto o = dyn_cast<sq::KvAppendOp>(op))
      return sq::lowerKvAppend(rewriter, o, target);
    if (auto o = dyn_cast<sq::IntAttentionOp>(op))
      return sq::lowerIntAttention(rewriter, o, target);
    if (auto o = dyn_cast<sq::IntNormRowsOp>(op))
      return sq::lowerIntNormRows(rewriter, o, target);
    if (auto o = dyn_cast<sq::LookupOp>(op))
      return sq::lowerLookup(rewriter, o, target);
    if (auto o = dyn_cast<sq::SoftmaxOp>(op))
      return sq::lowerSoftmax(rewriter, o, target);
    if (auto o = dyn_cast<sq::LayerNormOp>(op))
      return sq::lowerLayerNorm(rewriter, o, target);
    if (auto o = dyn_cast<sq::RmsNormOp>(op))
      return sq::lowerRmsNorm(rewriter, o, target);
    if (auto o = dyn_cast<sq::ScatterOp>(op))
      return sq::lowerScatter(rewriter, o);
    if (auto o = dyn_cast<memref::CopyOp>(op)) {
      Operation *copy = linalg::makeMemRefCopyOp(rewriter, op->getLoc(), o.getSource(), o.getTarget());
      rewriter.eraseOp(op);
      return sq::lowerLinalg(rewriter, cast<linalg::LinalgOp>(copy));
    }
    if (auto o = dyn_cast<linalg::LinalgOp>(op)) {
      if (op->getNumOperands() == 0) {
        sq::moveToSchedule(rewriter, o);
        return success();
      }
      if (!o.hasPureBufferSemantics())
        return op->emitOpError("still has tensors; bufferize before --sq-lower-kernels");
      return sq::lowerLinalg(rewriter, o);
    }
    return op->emitOpError("has no host kernel");
  }

  static bool hasStaticHeads(sq::AttentionOp op) {
    return llvm::all_of(ValueRange{op.getQ(), op.getK(), op.getV(), op.getOuts()}, [](Value v) {
      auto type = cast<MemRefType>(v.getType());
      return type.getElementType().isF32() && !type.isDynamicDim(2) && !type.isDynamicDim(3);
    });
  }

  /// Notices the kernels that emitters make.
  struct Made : RewriterBase::Listener {
    SmallVector<sq::ParallelOp> kernels;
    void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
      if (auto kernel = dyn_cast<sq::ParallelOp>(op))
        kernels.push_back(kernel);
    }
  };

  /// Without AMX: the f32 copy of the weight that the loader makes.
  static LogicalResult useWidened(RewriterBase &rewriter, sq::PackedMatmulOp op) {
    auto weight = op.getWeight().getDefiningOp<sq::WeightOp>();
    if (!weight || !weight.widenedType() || !weight.getWideOffset())
      return op.emitOpError("needs a placed sq.weight in bf16, got ") << op.getWeight().getType();
    auto wide = sq::WeightOp::create(rewriter, weight.getLoc(), *weight.widenedType(), weight.getValue(),
                                     sq::kPanelColumns, weight.getTranspose(), weight.getWideOffsetAttr(),
                                     /*wide_offset=*/nullptr, /*widened=*/true);
    op.getWeightMutable().assign(wide.getResult());
    return success();
  }

  /// The kernel that brings x into tiles, or rounds it to bytes.
  static DictionaryAttr describePacking(sq::PackedMatmulOp op, sq::SymbolicSizes &sizes) {
    sq::OpWork work = sq::workOf(op, sizes);
    sq::SymbolicSize elements = 1;
    for (int64_t d = 0; d < cast<MemRefType>(op.getX().getType()).getRank(); ++d)
      elements *= sizes.extent(op.getX(), d);
    return sq::describeWork(op.getContext(), {"copy", {}, work.nodes, 0, sizes.bytes(op.getX()), elements * (op.usesByteProducts() ? 1 : 2)});
  }

  void runOnOperation() override {
    std::optional<sq::HostTarget> found = sq::findHostTarget(level);
    if (!found) {
      getOperation().emitError("unknown level '") << level << "'";
      return signalPassFailure();
    }
    sq::TiledTarget target{*found, {}};
    if (std::string problem = sq::parseTiles(tile, target.tiles); !problem.empty()) {
      getOperation().emitError(problem);
      return signalPassFailure();
    }
    target.tiles = sq::chooseTiles(*found, target.tiles);
    Made made;
    sq::TiledInputs tiled;
    sq::RoundedInputs rounded;
    IRRewriter rewriter(&getContext(), &made);
    sq::SymbolicSizes sizes;
    // Emitters may add copies of strided operands: go on until none is left.
    while (true) {
      SmallVector<Operation *> kernels;
      getOperation().walk([&](Operation *op) {
        if (sq::isKernel(op)) // what has none is then refused
          kernels.push_back(op);
      });
      if (kernels.empty())
        break;
      for (Operation *op : kernels) {
        auto work = op->getAttrOfType<DictionaryAttr>("sq.work"); // of --sq-chunk-batch
        if (!work)
          work = sq::describeWork(op, sizes);
        DictionaryAttr packing;
        if (auto product = dyn_cast<sq::PackedMatmulOp>(op); product && (sq::wantsAmx(product, target) || product.hasByteCodes()))
          packing = describePacking(product, sizes);
        if (failed(lower(rewriter, op, target, tiled, rounded))) {
          // A type or op without a kernel: the model is refused, sq is not broken.
          getOperation()->setAttr("sq.refused", rewriter.getUnitAttr());
          return signalPassFailure();
        }
        if (packing && made.kernels.size() > 1)
          made.kernels.front().setWorkAttr(packing);
        for (sq::ParallelOp kernel : made.kernels)
          if (!kernel.getWork())
            kernel.setWorkAttr(work);
        made.kernels.clear();
      }
    }
    flattenExpansions(rewriter);
  }

  void flattenExpansions(IRRewriter &rewriter) {
    getOperation().walk([&](memref::ExpandShapeOp op) { sq::flattenExpansion(rewriter, op); });
  }
};

} // namespace
