#include "passes/Pipelines.h"

#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "passes/Passes.h"

using namespace mlir;

namespace {
struct PrecisionOptions : PassPipelineOptions<PrecisionOptions> {
  Option<std::string> precision{*this, "precision", llvm::cl::desc("of weights: f32 or bf16"),
                                llvm::cl::init("f32")};
  Option<bool> pairs{*this, "pairs", llvm::cl::desc("16-bit weights in pairs of rows"), llvm::cl::init(true)};
  Option<bool> byteProducts{*this, "byte-products", llvm::cl::desc("the target has products of bytes"), llvm::cl::init(true)};
  Option<std::string> activations{*this, "activations", llvm::cl::desc("of products by codes: f32, int8 or int8-all"), llvm::cl::init("f32")};
  Option<int64_t> columns{*this, "columns", llvm::cl::desc("of a panel of a packed weight"), llvm::cl::init(48)};
};
} // namespace

void sq::buildOnnxToGraph(OpPassManager &pm) {
  pm.addPass(createRaiseOnnxPass());
  pm.addPass(createLowerOnnxPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createBodyAwareCSEPass());
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(createRaiseCompositesPass());
  func.addPass(createRaiseAttentionPass());
  func.addPass(createCanonicalizerPass());
  func.addPass(createBodyAwareCSEPass());
}

void sq::buildGraphToBuffers(OpPassManager &pm, StringRef precision, int64_t columns, bool pairs, bool byteProducts,
                             StringRef activations) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(createLowerQuantizedPass({.products = byteProducts}));
  func.addPass(createLowerIntegerPass({.keepHost = byteProducts}));
  func.addPass(createLowerLossesPass());
  func.addPass(createFuseRotaryPass());
  func.addPass(createLowerCompositesPass({.bf16 = precision == "bf16"}));
  if (byteProducts) {
    func.addPass(createFuseDenseAndSparsePass());
    func.addPass(createPackCodesPass({.activations = activations.str()}));
  } else {
    func.addPass(createDecodeCodesPass());
  }
  PackLinearPassOptions packing;
  packing.precision = precision.str();
  packing.columns = columns;
  packing.pairs = pairs;
  func.addPass(createPackLinearPass(packing));
  func.addPass(createLinalgGeneralizeNamedOpsPass());
  func.addPass(createFuseElementwisePass());
  func.addPass(createCanonicalizerPass());
  func.addPass(createBodyAwareCSEPass());
  func.addPass(createFuseEpiloguePass());
  func.addPass(createPlaceWeightsPass());
  func.addPass(createSeparateResultsPass());
  func.addPass(createAlignWhilePass());
  func.addPass(createWriteCarriedPass());
  func.addPass(createGroupReadersPass());
  func.addPass(createProtectInputsPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  OpPassManager &buffers = pm.nest<func::FuncOp>();
  buffers.addPass(createCanonicalizerPass());
  buffers.addPass(createCSEPass());
  buffers.addPass(createCanonicalizerPass());
  buffers.addPass(createBindOutputsPass());
  buffers.addPass(createReuseBuffersPass());
  buffers.addPass(createCanonicalizerPass());
}

void sq::registerPipelines() {
  PassPipelineRegistration<>("sq-onnx-to-graph",
                             "from the onnx dialect to sq composites and linalg", buildOnnxToGraph);
  PassPipelineRegistration<>("sq-raise", "sq-onnx-to-graph under the name of what it does to a model",
                             buildOnnxToGraph);
  PassPipelineRegistration<PrecisionOptions>(
      "sq-graph-to-buffers", "pack, fuse, place weights, bufferize",
      [](OpPassManager &pm, const PrecisionOptions &o) { buildGraphToBuffers(pm, o.precision, o.columns, o.pairs, o.byteProducts, o.activations); });
}
