#ifndef SQ_PASSES
#define SQ_PASSES

include "mlir/Pass/PassBase.td"

def LowerOnnxPass : Pass<"sq-lower-onnx", "::mlir::ModuleOp"> {
  let summary = "turn `onnx` ops into `sq` composites and upstream dialects";
  let description = [{
    The end of `onnx`: afterwards no op of it is left. Every op that cannot be
    lowered is reported, all of them together.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
    "::mlir::cf::ControlFlowDialect", "::sq::SqDialect"];
}

#endif
