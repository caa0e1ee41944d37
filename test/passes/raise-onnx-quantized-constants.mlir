// RUN: sq-opt %s --sq-raise-onnx --split-input-file | FileCheck %s

// A weight is quantised as it lies, and transposed by what reads it.
// CHECK-LABEL: @transposed_float
// CHECK: %[[W:.*]] = onnx.Constant
// CHECK: %[[Q:.*]] = onnx.QuantizeLinear(%[[W]], %arg0) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xui8>
// CHECK: %[[D:.*]] = onnx.DequantizeLinear(%[[Q]], %arg0) {axis = 0 : i64}
// CHECK: onnx.Transpose(%[[D]]) {perm = array<i64: 1, 0>} : {{.*}} -> tensor<3x2xf32>
func.func @transposed_float(%s: tensor<2xf32>) -> tensor<3x2xf32> {
  %w = onnx.Constant() {value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>} : () -> tensor<2x3xf32>
  %t = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %q = onnx.QuantizeLinear(%t, %s) {axis = 1 : i64} : (tensor<3x2xf32>, tensor<2xf32>) -> tensor<3x2xui8>
  %d = onnx.DequantizeLinear(%q, %s) {axis = -1 : i64} : (tensor<3x2xui8>, tensor<2xf32>) -> tensor<3x2xf32>
  return %d : tensor<3x2xf32>
}

// -----

// Near misses: an activation, and scales of blocks.
// CHECK-LABEL: @transposed_activation
// CHECK: %[[T:.*]] = onnx.Transpose(%arg0)
// CHECK: onnx.QuantizeLinear(%[[T]]
func.func @transposed_activation(%x: tensor<2x3xf32>, %s: tensor<f32>) -> tensor<3x2xui8> {
  %t = onnx.Transpose(%x) : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %q = onnx.QuantizeLinear(%t, %s) : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xui8>
  return %q : tensor<3x2xui8>
}

// -----

// CHECK-LABEL: @transposed_blocks
// CHECK: %[[T:.*]] = onnx.Transpose
// CHECK: onnx.DequantizeLinear(%[[T]]
func.func @transposed_blocks(%s: tensor<2x2xf32>) -> tensor<4x2xf32> {
  %w = onnx.Constant() {value = dense<1> : tensor<2x4xi8>} : () -> tensor<2x4xi8>
  %t = onnx.Transpose(%w) : (tensor<2x4xi8>) -> tensor<4x2xi8>
  %d = onnx.DequantizeLinear(%t, %s) {axis = 0 : i64, block_size = 2 : i64} : (tensor<4x2xi8>, tensor<2x2xf32>) -> tensor<4x2xf32>
  return %d : tensor<4x2xf32>
}

// -----

// Only the rows that are read are dequantised.
// CHECK-LABEL: @gather
// CHECK: %[[T:.*]] = onnx.Constant
// CHECK: %[[G:.*]] = onnx.Gather(%[[T]], %arg0)
// CHECK: onnx.DequantizeLinear(%[[G]], %arg1, %arg2) : {{.*}} -> tensor<?x3xf32>
func.func @gather(%i: tensor<?xi64>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %t = onnx.Constant() {value = dense<7> : tensor<9x3xui8>} : () -> tensor<9x3xui8>
  %d = onnx.DequantizeLinear(%t, %s, %z) : (tensor<9x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<9x3xf32>
  %y = onnx.Gather(%d, %i) : (tensor<9x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// CHECK-LABEL: @gather_rows
// CHECK: %[[G:.*]] = onnx.Gather(%{{.*}}, %arg0) {{.*}}xi8>
// CHECK: %[[D:.*]] = onnx.DequantizeLinear(%[[G]]
// CHECK: %[[S:.*]] = onnx.Gather(%arg1, %arg0)
// CHECK: %[[U:.*]] = onnx.Unsqueeze(%[[S]]
// CHECK: onnx.Mul(%[[D]], %[[U]]) : {{.*}} -> tensor<?x3xf32>
func.func @gather_rows(%i: tensor<?xi64>, %s: tensor<9xf32>) -> tensor<?x3xf32> {
  %t = onnx.Constant() {value = dense<7> : tensor<9x3xi8>} : () -> tensor<9x3xi8>
  %d = onnx.DequantizeLinear(%t, %s) {axis = 0 : i64} : (tensor<9x3xi8>, tensor<9xf32>) -> tensor<9x3xf32>
  %y = onnx.Gather(%d, %i) : (tensor<9x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// Near miss: scales of the columns stay where they are.
// CHECK-LABEL: @gather_columns
// CHECK: %[[D:.*]] = onnx.DequantizeLinear
// CHECK: onnx.Gather(%[[D]], %arg0)
func.func @gather_columns(%i: tensor<?xi64>, %s: tensor<3xf32>) -> tensor<?x3xf32> {
  %t = onnx.Constant() {value = dense<7> : tensor<9x3xi8>} : () -> tensor<9x3xi8>
  %d = onnx.DequantizeLinear(%t, %s) : (tensor<9x3xi8>, tensor<3xf32>) -> tensor<9x3xf32>
  %y = onnx.Gather(%d, %i) : (tensor<9x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
