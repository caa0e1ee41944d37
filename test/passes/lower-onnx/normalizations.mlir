// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Softmax and its kin, and the normalizations.

// CHECK-LABEL: func.func @main
// CHECK-NOT: linalg.transpose
// CHECK: sq.softmax ins(%arg0 : tensor<?x8xf32>)
func.func @main(%x: tensor<?x8xf32> {onnx.dims = ["n", ""]}) -> tensor<?x8xf32> {
  %y = onnx.Softmax(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Another axis than the last: transposed around.
// CHECK-LABEL: func.func @main
// CHECK: linalg.transpose
// CHECK: sq.softmax {{.*}} -> tensor<2x4x3xf32>
// CHECK: linalg.transpose
module attributes {onnx.opset_imports = {"ai.onnx" = 13 : i64}} {
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %y = onnx.Softmax(%x) {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}
}

// -----

// Before opset 13 the dims from the axis on count as one.
// CHECK-LABEL: func.func @main
// CHECK-NOT: linalg.transpose
// CHECK: tensor.collapse_shape
// CHECK: sq.softmax {{.*}} -> tensor<2x12xf32>
// CHECK: tensor.expand_shape
module attributes {onnx.opset_imports = {"ai.onnx" = 11 : i64}} {
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %y = onnx.Softmax(%x) {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}
}

// -----

// Several trailing dims are one to sq.layer_norm; a scalar-like scale is spread.
// CHECK-LABEL: func.func @main
// CHECK: tensor.collapse_shape %arg0 {{.*}} : tensor<?x3x4xf32> into tensor<?x12xf32>
// CHECK: sq.layer_norm {{.*}} : tensor<?x12xf32>, tensor<12xf32>) outs{{.*}} {epsilon = 9.99999974E-6 : f32}
// CHECK: tensor.expand_shape {{.*}} into tensor<?x3x4xf32>
func.func @main(%x: tensor<?x3x4xf32> {onnx.dims = ["n", "", ""]}, %s: tensor<4xf32>) -> tensor<?x3x4xf32> {
  %y = onnx.LayerNormalization(%x, %s) {axis = 1 : i64} : (tensor<?x3x4xf32>, tensor<4xf32>) -> tensor<?x3x4xf32>
  return %y : tensor<?x3x4xf32>
}

// -----

// The statistics are computed only when they are used.
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<2x1xf32>
// CHECK: sq.layer_norm
// CHECK: math.sqrt
func.func @main(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x1xf32>) {
  %y, %m, %d = onnx.LayerNormalization(%x, %s) : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x1xf32>, tensor<2x1xf32>)
  return %y, %d : tensor<2x4xf32>, tensor<2x1xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: sq.rms_norm ins({{.*}} : tensor<2x4xf32>, tensor<4xf32>) outs({{.*}}) {epsilon = 9.99999974E-6 : f32}
func.func @main(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %y = onnx.RMSNormalization(%x, %s) : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// A type without a kernel stays a loop.
// CHECK-LABEL: func.func @main
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: arith.mulf
// CHECK: math.sqrt
func.func @main(%x: tensor<2x4xf64>, %s: tensor<4xf64>) -> tensor<2x4xf64> {
  %y = onnx.RMSNormalization(%x, %s) : (tensor<2x4xf64>, tensor<4xf64>) -> tensor<2x4xf64>
  return %y : tensor<2x4xf64>
}
