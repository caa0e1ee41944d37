#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include "codegen/cuda/Passes.h"

namespace sq {
#define GEN_PASS_DEF_TRIMKERNELARGUMENTSPASS
#include "codegen/cuda/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct TrimKernelArgumentsPass : sq::impl::TrimKernelArgumentsPassBase<TrimKernelArgumentsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    struct Kernel {
      DenseI32ArrayAttr kept;
      int32_t number = 0;
    };
    llvm::StringMap<Kernel> kernels;
    Builder b(&getContext());
    module.walk([&](LLVM::LLVMFuncOp func) {
      if (func.isExternal() || !func->getParentOfType<gpu::GPUModuleOp>())
        return;
      SmallVector<int32_t> used;
      llvm::BitVector unused(func.getNumArguments());
      for (BlockArgument arg : func.getArguments())
        if (arg.use_empty())
          unused.set(arg.getArgNumber());
        else
          used.push_back(static_cast<int32_t>(arg.getArgNumber()));
      // FunctionOpInterface::eraseArguments does not know LLVM's function types.
      SmallVector<Type> types;
      SmallVector<Attribute> attributes;
      for (int32_t i : used) {
        types.push_back(func.getArgument(i).getType());
        if (ArrayAttr all = func.getArgAttrsAttr())
          attributes.push_back(all[i]);
      }
      func.setFunctionType(LLVM::LLVMFunctionType::get(func.getFunctionType().getReturnType(), types));
      if (func.getArgAttrsAttr())
        func.setArgAttrsAttr(b.getArrayAttr(attributes));
      func.getBody().front().eraseArguments(unused);
      auto number = static_cast<int32_t>(kernels.size());
      kernels[func.getName()] = {b.getDenseI32ArrayAttr(used), number};
    });
    module.walk([&](gpu::LaunchFuncOp call) {
      const Kernel &kernel = kernels[call.getKernelName().getValue()];
      call->setAttr("sq.arguments", kernel.kept);
      call->setAttr("sq.function", b.getI32IntegerAttr(kernel.number));
    });
  }
};

} // namespace
