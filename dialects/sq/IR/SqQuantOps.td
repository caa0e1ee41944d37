#ifndef SQ_QUANT_OPS
#define SQ_QUANT_OPS

include "dialects/sq/IR/SqDialect.td"

// Not quant.qcast and quant.dcast: upstream folds dcast(qcast(x)) to x, which drops the rounding that a
// quantised model is about. quant.scast, between quantised elements and their storage, is upstream's.

def Sq_QuantizeOp : Sq_Op<"quantize", [Pure, SameOperandsAndResultShape]> {
  let summary = "floats to quantised elements";
  let description = [{
    `q = clamp(round(x * (1 / scale)) + zero_point, storage_min, storage_max)`, rounded to nearest even;
    scale and zero point are those of the result's element type. The product with the f32 reciprocal
    and the quotient of ONNX's QuantizeLinear round differently only within an ulp of a tie. A NaN
    becomes storage_min.

    - (C1) the elements of `x` are those that the result's type expresses.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>> {
      %q = sq.quantize %x : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
      return %q : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
    }
    ```
  }];
  let arguments = (ins TensorOf<[F32, F16, BF16]>:$x);
  let results = (outs Sq_QuantizedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Sq_DequantizeOp : Sq_Op<"dequantize", [Pure, SameOperandsAndResultShape]> {
  let summary = "quantised elements to the floats they stand for";
  let description = [{
    `y = (q - zero_point) * scale`.

    - (C1) the elements of the result are those that the type of `x` expresses.

    Example:
    ```mlir
    func.func @example(%q: tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>) -> tensor<?x4xf32> {
      %y = sq.dequantize %q : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>> -> tensor<?x4xf32>
      return %y : tensor<?x4xf32>
    }
    ```
  }];
  let arguments = (ins Sq_QuantizedTensor:$x);
  let results = (outs TensorOf<[F32, F16, BF16]>:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

#endif
