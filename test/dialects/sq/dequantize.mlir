// RUN: sq-opt %s --canonicalize | FileCheck %s

// Rounding is not folded away, as quant.dcast of quant.qcast is.
// CHECK-LABEL: @there_and_back
func.func @there_and_back(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[Q:.*]] = sq.quantize
  %q = sq.quantize %x : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  // CHECK: sq.dequantize %[[Q]] : tensor<?x4x!quant.uniform<u8:f32, {{.*}}:128>> -> tensor<?x4xf32>
  %y = sq.dequantize %q : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
