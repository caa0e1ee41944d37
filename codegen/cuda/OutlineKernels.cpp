#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Utils/GPUUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "codegen/cuda/Passes.h"

namespace sq {
#define GEN_PASS_DEF_OUTLINEGPUKERNELSPASS
#include "codegen/cuda/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct OutlineGpuKernelsPass : sq::impl::OutlineGpuKernelsPassBase<OutlineGpuKernelsPass> {
  /// Functions by their text without a name: layers of a model repeat.
  static std::string textOf(gpu::GPUFuncOp func) {
    std::string text;
    llvm::raw_string_ostream os(text);
    func.print(os, OpPrintingFlags().useLocalScope());
    return text;
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("has no function @main");
      return signalPassFailure();
    }
    OpBuilder b(&getContext());
    b.setInsertionPointToEnd(module.getBody());
    auto kernels = gpu::GPUModuleOp::create(b, module.getLoc(), "kernels");
    Block &body = kernels.getBodyRegion().front();
    llvm::StringMap<gpu::GPUFuncOp> known;
    SmallVector<Attribute> names, functions;
    SmallVector<gpu::LaunchOp> launches;
    main.walk([&](gpu::LaunchOp op) { launches.push_back(op); });
    for (gpu::LaunchOp op : launches) {
      // What is cheaper computed than passed: constants.
      if (failed(sinkOperationsIntoLaunchOp(op, [](Operation *inner) { return isa<arith::ConstantOp>(inner); })))
        return signalPassFailure();
      SmallVector<Value> operands;
      gpu::GPUFuncOp func = outlineKernelFunc(op, "kernel", operands);
      int64_t threads[3];
      Value sizes[3] = {op.getBlockSizeX(), op.getBlockSizeY(), op.getBlockSizeZ()};
      for (auto [i, v] : llvm::enumerate(sizes))
        threads[i] = getConstantIntValue(v).value_or(1024);
      // As vector accesses and ldmatrix want it.
      for (unsigned i = 0; i < func.getNumWorkgroupAttributions(); ++i)
        func.setWorkgroupAttributionAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(16));
      // Lets the assembler give each thread as many registers as there are.
      func->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                    b.getDenseI32ArrayAttr({static_cast<int32_t>(threads[0]), static_cast<int32_t>(threads[1]),
                                            static_cast<int32_t>(threads[2])}));
      if (auto blocks = op->getAttrOfType<IntegerAttr>("sq.min_blocks"))
        func->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(static_cast<int32_t>(blocks.getInt())));
      auto [it, fresh] = known.try_emplace(textOf(func), func);
      StringAttr name = op->getAttrOfType<StringAttr>("sq.name");
      if (!name)
        name = b.getStringAttr("kernel");
      if (fresh) {
        func.setName((name.getValue().split(':').first + "_" + Twine(known.size() - 1)).str());
        body.push_back(func);
      } else {
        func.erase();
      }
      b.setInsertionPoint(op);
      auto call = gpu::LaunchFuncOp::create(b, op.getLoc(), it->second, op.getGridSizeOperandValues(),
                                            op.getBlockSizeOperandValues(), op.getDynamicSharedMemorySize(), operands);
      call->setAttr("sq.launch", b.getI32IntegerAttr(static_cast<int32_t>(names.size())));
      names.push_back(name);
      int64_t dynamic = op.getDynamicSharedMemorySize() ? getConstantIntValue(op.getDynamicSharedMemorySize()).value_or(0) : 0;
      functions.push_back(b.getDictionaryAttr({b.getNamedAttr("function", it->second.getNameAttr()),
                                               b.getNamedAttr("shared", b.getI64IntegerAttr(dynamic)), // besides what it declares
                                               b.getNamedAttr("threads", b.getI64IntegerAttr(threads[0] * threads[1] * threads[2]))}));
      op.erase();
    }
    module->setAttr("sq.launches", ArrayAttr::get(&getContext(), names));
    module->setAttr("sq.functions", ArrayAttr::get(&getContext(), functions));
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), b.getUnitAttr());
  }
};

} // namespace
