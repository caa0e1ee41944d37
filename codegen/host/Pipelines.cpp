#include "codegen/host/Pipelines.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "codegen/common/Passes.h"
#include "codegen/host/Passes.h"
#include "codegen/host/Tiles.h"

using namespace mlir;

namespace {
struct LevelOptions : PassPipelineOptions<LevelOptions> {
  Option<std::string> level{*this, "level", llvm::cl::desc("CPU level"), llvm::cl::init("x86-64-v3")};
  Option<std::string> tile{*this, "tile", llvm::cl::desc("sizes of tiles instead of the cost model's"), llvm::cl::init("")};
};
struct EntryOptions : PassPipelineOptions<EntryOptions> {
  Option<std::string> entry{*this, "entry", llvm::cl::desc("name of the entry function"),
                            llvm::cl::init("sq_entry")};
};
} // namespace

void sq::buildBuffersToKernels(OpPassManager &pm, StringRef level, StringRef tile) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  LowerKernelsPassOptions options;
  options.level = level.str();
  options.tile = tile.str();
  ChunkBatchPassOptions chunks;
  if (Tiles tiles; parseTiles(tile, tiles).empty() && tiles.batch) // what is wrong, --sq-lower-kernels says
    chunks.rows = tiles.batch;
  func.addPass(createChunkBatchPass(chunks));
  func.addPass(createLowerKernelsPass(options));
  pm.addPass(createShareKernelsPass());
  OpPassManager &kernels = pm.nest<func::FuncOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  pm.addPass(createMergeKernelsPass());
  pm.addNestedPass<func::FuncOp>(createPlanArenaPass());
}

void sq::buildKernelsToLLVM(OpPassManager &pm, StringRef entry) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(createLowerMathPass());
  func.addPass(memref::createExpandStridedMetadataPass());
  func.addPass(createLowerAffinePass());
  func.addPass(createCanonicalizerPass());
  func.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  ConvertToLLVMPassOptions options;
  options.entry = entry.str();
  pm.addPass(sq::createConvertToLLVMPass(options));
  // Folds descriptors away before kernels capture them.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createOutlineKernelsPass());
}

void sq::registerHostPipelines() {
  PassPipelineRegistration<LevelOptions>(
      "sq-buffers-to-kernels", "host kernels in scf and vector, one arena",
      [](OpPassManager &pm, const LevelOptions &o) { buildBuffersToKernels(pm, o.level, o.tile); });
  PassPipelineRegistration<EntryOptions>(
      "sq-kernels-to-llvm", "host kernels and schedule to the LLVM dialect",
      [](OpPassManager &pm, const EntryOptions &o) { buildKernelsToLLVM(pm, o.entry); });
}
