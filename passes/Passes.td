#ifndef SQ_PASSES
#define SQ_PASSES

include "mlir/Pass/PassBase.td"

def RaiseOnnxPass : Pass<"sq-raise-onnx", "::mlir::ModuleOp"> {
  let summary = "turn exporters' spellings of one op into that op";
  let description = [{
    Layer normalization and GELU (by erf or by tanh) written as primitives
    become `onnx.LayerNormalization` (opset 17) and `onnx.Gelu` (opset 20),
    whatever opset the model imports: these ops mean the same in all opsets that
    have them. Constants must agree with the exact ones to a relative 1e-3.
    Primitives that other ops still use stay.

    ```mlir
    %m = "onnx.ReduceMean"(%x) {axes = array<i64: -1>} : ...
    %c = "onnx.Sub"(%x, %m) : ...
    %s = "onnx.Pow"(%c, %two) : ...
    %v = "onnx.ReduceMean"(%s) {axes = array<i64: -1>} : ...
    %e = "onnx.Add"(%v, %eps) : ...
    %d = "onnx.Sqrt"(%e) : ...
    %n = "onnx.Div"(%c, %d) : ...
    %p = "onnx.Mul"(%n, %scale) : ...
    %y = "onnx.Add"(%p, %bias) : ...
    ==>
    %y = "onnx.LayerNormalization"(%x, %scale, %bias) {axis = -1, epsilon = ...} : ...
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::onnx::OnnxDialect"];
}

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
