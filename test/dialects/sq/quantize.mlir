// RUN: sq-opt %s | sq-opt | FileCheck %s

// CHECK-LABEL: @there_and_back
func.func @there_and_back(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: sq.quantize %{{.*}} : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, {{.*}}:128>>
  %q = sq.quantize %x : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  // CHECK: sq.dequantize
  %y = sq.dequantize %q : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
