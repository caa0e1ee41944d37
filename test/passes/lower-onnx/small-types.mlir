// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Types of less than a byte and floats of 8 bits are i8 in memory.

// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<5xi8> {sq.dims = [""], sq.dtype = "i4"
// CHECK-SAME: tensor<5xi8> {sq.dims = [""], sq.dtype = "f8e4m3fn"
// CHECK-SAME: -> (tensor<5xf32> {{.*}}, tensor<5x1xi8> {{.*}} "f8e4m3fn"})
func.func @main(%x: tensor<5xi4>, %f: tensor<5xf8E4M3FN>) -> (tensor<5xf32>, tensor<5x1xf8E4M3FN>) {
  // CHECK: arith.sitofp %{{.*}} : i8 to f32
  %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<5xi4>) -> tensor<5xf32>
  %axes = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %u = onnx.Unsqueeze(%f, %axes) : (tensor<5xf8E4M3FN>, tensor<1xi64>) -> tensor<5x1xf8E4M3FN>
  return %y, %u : tensor<5xf32>, tensor<5x1xf8E4M3FN>
}

// -----

// Constants are unpacked, and converted where they are known.
// CHECK-LABEL: func.func @main
func.func @main() -> (tensor<4xi4>, tensor<2xf4E2M1FN>, tensor<4xf8E5M2>, tensor<3xf32>, tensor<3xui2>) {
  // CHECK-DAG: arith.constant dense<[-8, 7, -1, 0]> : tensor<4xi8>
  %a = onnx.Constant() {value = dense<[-8, 7, -1, 0]> : tensor<4xi4>} : () -> tensor<4xi4>
  // -6 and 0.5.
  // CHECK-DAG: arith.constant dense<[15, 1]> : tensor<2xi8>
  %b = onnx.Constant() {value = dense<[-6.0, 0.5]> : tensor<2xf4E2M1FN>} : () -> tensor<2xf4E2M1FN>
  // 1, the largest for infinity, NaN, the smallest subnormal for what rounds to it.
  // CHECK-DAG: arith.constant dense<[60, 123, 126, 1]> : tensor<4xi8>
  %c = onnx.Constant() {value = dense<[1.0, 0x7F800000, 0x7FC00000, 1.0e-5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %d = onnx.Cast(%c) {to = 19 : i64} : (tensor<4xf32>) -> tensor<4xf8E5M2>
  // CHECK-DAG: arith.constant dense<[1.000000e+00, -4.480000e+02, 0x7FC00000]> : tensor<3xf32>
  %e = onnx.Constant() {value = dense<[1.0, -448.0, 0x7F]> : tensor<3xf8E4M3FN>} : () -> tensor<3xf8E4M3FN>
  %f = onnx.Cast(%e) {to = 1 : i64} : (tensor<3xf8E4M3FN>) -> tensor<3xf32>
  // Integers wrap.
  // CHECK-DAG: arith.constant dense<[3, 0, 1]> : tensor<3xi8>
  %g = onnx.Constant() {value = dense<[-1, 4, 9]> : tensor<3xi32>} : () -> tensor<3xi32>
  %h = onnx.Cast(%g) {to = 25 : i64} : (tensor<3xi32>) -> tensor<3xui2>
  return %a, %b, %d, %f, %h : tensor<4xi4>, tensor<2xf4E2M1FN>, tensor<4xf8E5M2>, tensor<3xf32>, tensor<3xui2>
}

// -----

// The same bits.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>, %b: tensor<4xui8>) -> (tensor<4xi32>, tensor<4xf8E5M2>, tensor<4xi1>) {
  // CHECK: arith.bitcast %{{.*}} : f32 to i32
  %y = onnx.BitCast(%x) {to = 6 : i64} : (tensor<4xf32>) -> tensor<4xi32>
  %z = onnx.BitCast(%b) {to = 19 : i64} : (tensor<4xui8>) -> tensor<4xf8E5M2>
  // CHECK: arith.cmpi ne
  %w = onnx.BitCast(%b) {to = 9 : i64} : (tensor<4xui8>) -> tensor<4xi1>
  // CHECK: return %{{.*}}, %arg1, %{{.*}}
  return %y, %z, %w : tensor<4xi32>, tensor<4xf8E5M2>, tensor<4xi1>
}

// -----

// One scale for each block of three: those of the last axis are two.
// CHECK-LABEL: func.func @main
// CHECK: %[[J:.*]] = linalg.index 1
// CHECK: %[[B:.*]] = arith.divui %[[J]], %{{.*}}
// CHECK: tensor.extract %arg1[%{{.*}}, %[[B]]]
// CHECK: arith.divf
// CHECK: tensor.extract %arg2
// CHECK: arith.constant 7.000000e+00
func.func @main(%x: tensor<2x5xf32>, %s: tensor<2x2xf32>, %z: tensor<2x2xi4>) -> tensor<2x5xi4> {
  %y = onnx.QuantizeLinear(%x, %s, %z) {block_size = 3 : i64} : (tensor<2x5xf32>, tensor<2x2xf32>, tensor<2x2xi4>) -> tensor<2x5xi4>
  return %y : tensor<2x5xi4>
}
