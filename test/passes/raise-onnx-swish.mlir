// RUN: sq-opt %s --sq-raise-onnx --split-input-file | FileCheck %s

// CHECK-LABEL: @silu
// CHECK-NOT: onnx.Sigmoid
// CHECK: %[[Y:.*]] = onnx.Swish(%arg0) {alpha = 1.000000e+00 : f32} : (tensor<?x4xf32>) -> tensor<?x4xf32>
// CHECK: return %[[Y]]
func.func @silu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %s = onnx.Sigmoid(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul(%s, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @quick_gelu
// CHECK: onnx.Swish(%arg0) {alpha = 1.702000e+00 : f32}
func.func @quick_gelu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %a = onnx.Constant() {value = dense<1.702> : tensor<f32>} : () -> tensor<f32>
  %m = onnx.Mul(%a, %x) : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %s = onnx.Sigmoid(%m) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul(%x, %s) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// The gate of another value.
// CHECK-LABEL: @glu
// CHECK-NOT: onnx.Swish
func.func @glu(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %s = onnx.Sigmoid(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul(%z, %s) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A factor of rank 1 would raise the rank of a scalar x.
// CHECK-LABEL: @factor_of_rank_one
// CHECK-NOT: onnx.Swish
func.func @factor_of_rank_one(%x: tensor<f32>) -> tensor<1xf32> {
  %a = onnx.Constant() {value = dense<1.702> : tensor<1xf32>} : () -> tensor<1xf32>
  %m = onnx.Mul(%a, %x) : (tensor<1xf32>, tensor<f32>) -> tensor<1xf32>
  %s = onnx.Sigmoid(%m) : (tensor<1xf32>) -> tensor<1xf32>
  %y = onnx.Mul(%x, %s) : (tensor<f32>, tensor<1xf32>) -> tensor<1xf32>
  return %y : tensor<1xf32>
}
