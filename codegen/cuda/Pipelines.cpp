#include "codegen/cuda/Pipelines.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "codegen/common/Passes.h"
#include "codegen/cuda/Passes.h"
#include "codegen/host/Passes.h"

using namespace mlir;

namespace {
struct ArchOptions : PassPipelineOptions<ArchOptions> {
  Option<std::string> arch{*this, "arch", llvm::cl::desc("sm_80, sm_90 or sm_90a"), llvm::cl::init("sm_80")};
  Option<bool> tf32{*this, "tf32", llvm::cl::desc("products in tf32"), llvm::cl::init(false)};
  Option<std::string> activations{*this, "activations", llvm::cl::desc("f32, f16 or bf16, between kernels"), llvm::cl::init("f32")};
};
struct EntryOptions : PassPipelineOptions<EntryOptions> {
  Option<std::string> entry{*this, "entry", llvm::cl::desc("name of the entry function"),
                            llvm::cl::init("sq_entry")};
};
} // namespace

void sq::buildBuffersToGpu(OpPassManager &pm, StringRef arch, bool tf32, StringRef activations) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  if (activations != "f32") {
    ShortenBuffersPassOptions shorten;
    shorten.type = activations.str();
    func.addPass(createShortenBuffersPass(shorten));
  }
  LowerGpuKernelsPassOptions options;
  options.arch = arch.str();
  options.tf32 = tf32;
  func.addPass(createLowerGpuKernelsPass(options));
  func.addPass(createCanonicalizerPass());
  func.addPass(createCSEPass());
  func.addPass(createPlanArenaPass());
}

void sq::buildGpuToLLVM(OpPassManager &pm, StringRef entry) {
  pm.addPass(createOutlineGpuKernelsPass());
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  LowerMathPassOptions math;
  math.bf16 = math.libm = false; // there are instructions; there is no library
  kernels.addPass(createLowerMathPass(math));
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertGpuToNVVMPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  pm.addPass(createTrimKernelArgumentsPass());
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(memref::createExpandStridedMetadataPass());
  func.addPass(createLowerAffinePass());
  func.addPass(createCanonicalizerPass());
  func.addPass(createCSEPass());
  func.addPass(createSCFToControlFlowPass());
  ConvertToLLVMPassOptions options;
  options.entry = entry.str();
  pm.addPass(sq::createConvertToLLVMPass(options));
}

void sq::registerCudaPipelines() {
  PassPipelineRegistration<ArchOptions>("sq-buffers-to-gpu", "CUDA kernels as gpu.launch, one arena",
                                        [](OpPassManager &pm, const ArchOptions &o) { buildBuffersToGpu(pm, o.arch, o.tf32, o.activations); });
  PassPipelineRegistration<EntryOptions>(
      "sq-gpu-to-llvm", "CUDA kernels to NVVM, their schedule to the LLVM dialect",
      [](OpPassManager &pm, const EntryOptions &o) { buildGpuToLLVM(pm, o.entry); });
}
