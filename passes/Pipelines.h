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
/// `precision`: of the weights of linear layers, f32, bf16 or f16; `columns`
/// of their panels, and whether bf16 comes in `pairs`, as the target wants it, which
/// has products of bytes or not. `activations`: of products by codes, f32, int8 or int8-all; without
/// products of bytes codes are decoded.
void buildGraphToBuffers(mlir::OpPassManager &pm, llvm::StringRef precision = "f32", int64_t columns = 48,
                         bool pairs = true, bool byteProducts = true, llvm::StringRef activations = "f32");
void registerPipelines();

} // namespace sq

#endif
