/// The pipelines of sq: see passes/README.md for their order and why.
#ifndef SQ_PASSES_PIPELINES_H
#define SQ_PASSES_PIPELINES_H

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sq {

/// `sq-onnx-to-graph`: from the `onnx` dialect to `sq` composites and linalg.
void buildOnnxToGraph(mlir::OpPassManager &pm);
/// `sq-graph-to-buffers`: raises, packs, fuses, places weights, bufferizes.
void buildGraphToBuffers(mlir::OpPassManager &pm);
void registerPipelines();

} // namespace sq

#endif
