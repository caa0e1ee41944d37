//===-- LowerKernels.cpp - every op on memrefs becomes a launch ---------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/DoubleMath.h"
#include "codegen/common/KernelWork.h"
#include "codegen/common/LinalgPoint.h"
#include "codegen/cuda/JoinedProducts.h"
#include "codegen/cuda/Kernels.h"
#include "codegen/cuda/Passes.h"

namespace sq {
#define GEN_PASS_DEF_LOWERGPUKERNELSPASS
#include "codegen/cuda/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

struct LowerGpuKernelsPass : sq::impl::LowerGpuKernelsPassBase<LowerGpuKernelsPass> {
  using LowerGpuKernelsPassBase::LowerGpuKernelsPassBase;

  static LogicalResult lower(RewriterBase &rewriter, Operation *op, const CudaTarget &target) {
    rewriter.setInsertionPoint(op);
    if (auto o = dyn_cast<MatmulOp>(op))
      return cuda::lowerMatmul(rewriter, o, target);
    if (auto o = dyn_cast<AttentionOp>(op))
      return cuda::lowerAttention(rewriter, o, target);
    if (auto o = dyn_cast<SoftmaxOp>(op))
      return cuda::lowerSoftmax(rewriter, o, target);
    if (auto o = dyn_cast<LayerNormOp>(op))
      return cuda::lowerLayerNorm(rewriter, o, target);
    if (auto o = dyn_cast<RmsNormOp>(op))
      return cuda::lowerRmsNorm(rewriter, o, target);
    if (auto o = dyn_cast<ScatterOp>(op))
      return cuda::lowerScatter(rewriter, o, target);
    if (auto o = dyn_cast<memref::CopyOp>(op)) {
      Operation *copy = linalg::makeMemRefCopyOp(rewriter, op->getLoc(), o.getSource(), o.getTarget());
      rewriter.eraseOp(op);
      return cuda::lowerLinalg(rewriter, cast<linalg::LinalgOp>(copy), target);
    }
    if (auto o = dyn_cast<linalg::LinalgOp>(op)) {
      if (op->getNumOperands() == 0) {
        moveToSchedule(rewriter, o);
        return success();
      }
      if (!o.hasPureBufferSemantics())
        return op->emitOpError("still has tensors; bufferize before --sq-lower-gpu-kernels");
      return cuda::lowerLinalg(rewriter, o, target);
    }
    return op->emitOpError("has no CUDA kernel");
  }

  /// The schedule's own stores (elements of a shape, say) go to device memory:
  /// neighbours among them become one launch of one thread.
  static void lowerStores(func::FuncOp func, RewriterBase &rewriter) {
    SmallVector<memref::StoreOp> stores;
    func.walk([&](memref::StoreOp op) {
      if (!op->getParentOfType<gpu::LaunchOp>())
        stores.push_back(op);
    });
    for (size_t i = 0; i < stores.size();) {
      size_t end = i + 1;
      while (end < stores.size() && stores[end - 1]->getNextNode() == stores[end])
        ++end;
      SmallVector<memref::StoreOp> group(stores.begin() + i, stores.begin() + end);
      rewriter.setInsertionPointAfter(group.back());
      ImplicitLocOpBuilder b(group.front().getLoc(), rewriter);
      cuda::launch(b, "store", {indexConstant(b, 1)}, 1, {}, [&](cuda::Thread &t) {
        for (memref::StoreOp op : group)
          t.b.clone(*op);
      });
      for (memref::StoreOp op : group)
        op.erase();
      i = end;
    }
  }

  /// A check in a kernel leaves the number of its message; the largest of a
  /// run wins, so that which one is told does not depend on timing.
  void lowerChecks(func::FuncOp func) {
    SmallVector<cf::AssertOp> checks;
    func.walk([&](cf::AssertOp op) {
      if (op->getParentOfType<gpu::LaunchOp>())
        checks.push_back(op);
    });
    if (checks.empty())
      return;
    ImplicitLocOpBuilder b(func.getLoc(), &func.getBody().front(), func.getBody().front().begin());
    Value fault = FaultOp::create(b, MemRefType::get({1}, b.getI32Type()));
    SmallVector<Attribute> messages;
    for (cf::AssertOp check : checks) {
      auto *known = llvm::find(messages, check.getMsgAttr());
      int64_t number = known - messages.begin() + 1;
      if (known == messages.end())
        messages.push_back(check.getMsgAttr());
      ImplicitLocOpBuilder cb(check.getLoc(), check);
      Value failed = arith::XOrIOp::create(cb, check.getArg(), arith::ConstantOp::create(cb, cb.getBoolAttr(true)));
      cuda::onlyIf(cb, failed, [&](ImplicitLocOpBuilder &ib) {
        Value value = arith::ConstantOp::create(ib, ib.getI32IntegerAttr(number));
        memref::AtomicRMWOp::create(ib, arith::AtomicRMWKind::maxu, value, fault, ValueRange(indexConstant(ib, 0)));
      });
      check.erase();
    }
    func->setAttr("sq.messages", ArrayAttr::get(&getContext(), messages));
  }

  void runOnOperation() override {
    std::optional<CudaTarget> target = findCudaTarget(arch);
    if (!target) {
      getOperation().emitError("unknown architecture '") << arch << "'; known: " << cudaTargetNames();
      return signalPassFailure();
    }
    target->tf32 = tf32;
    IRRewriter rewriter(&getContext());
    SymbolicSizes sizes;
    // Emitters may add copies of strided operands: go on until none is left.
    while (true) {
      SmallVector<Operation *> kernels;
      getOperation().walk([&](Operation *op) {
        if (isKernel(op))
          kernels.push_back(op);
      });
      if (kernels.empty())
        break;
      cuda::JoinedProducts joined(getOperation());
      for (Operation *op : kernels) {
        if (joined.isDoneLater(op))
          continue;
        auto product = dyn_cast<PackedMatmulOp>(op);
        SmallVector<PackedMatmulOp> group = product ? joined.groupOf(product) : SmallVector<PackedMatmulOp>();
        DictionaryAttr work = product ? describeWork(&getContext(), cuda::JoinedProducts::workOf(group, sizes)) : describeWork(op, sizes);
        Block *block = op->getBlock();
        for (PackedMatmulOp earlier : ArrayRef(group).drop_back(product ? 1 : 0))
          rewriter.moveOpBefore(earlier, op);
        Operation *before = product ? group.front()->getPrevNode() : op->getPrevNode(), *after = op->getNextNode();
        rewriter.setInsertionPoint(op);
        if (failed(product ? cuda::lowerPackedMatmuls(rewriter, group, *target) : lower(rewriter, op, *target))) {
          // A type or op without a kernel: the model is refused, sq is not broken.
          getOperation()->setAttr("sq.refused", rewriter.getUnitAttr());
          return signalPassFailure();
        }
        for (Operation *made = before ? before->getNextNode() : &block->front(); made && made != after; made = made->getNextNode())
          made->walk([&](gpu::LaunchOp kernel) {
            if (!kernel->hasAttr("sq.work"))
              kernel->setAttr("sq.work", work);
          });
      }
    }
    WalkResult lacking = getOperation().walk([&](Operation *op) {
      if (hasDoubleMath(op) || !op->getParentOfType<gpu::LaunchOp>())
        return WalkResult::advance();
      op->emitOpError("of f64 has no CUDA kernel; convert that part of the model to float32");
      return WalkResult::interrupt();
    });
    if (lacking.wasInterrupted()) {
      getOperation()->setAttr("sq.refused", rewriter.getUnitAttr());
      return signalPassFailure();
    }
    lowerStores(getOperation(), rewriter);
    lowerChecks(getOperation());
    flattenExpansions(rewriter);
  }

  void flattenExpansions(IRRewriter &rewriter) {
    getOperation().walk([&](memref::ExpandShapeOp op) { flattenExpansion(rewriter, op); });
  }
};

} // namespace
