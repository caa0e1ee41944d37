// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// MatMul, Gemm, MatMulInteger and Einsum.

// A constant matrix, transposed before: sq.linear reads it as it lies in the file.
// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = arith.constant dense<{{.*}}> : tensor<3x2xf32>
// CHECK-NOT: linalg.transpose
// CHECK: sq.linear ins(%arg0, %[[W]] : tensor<?x?x2xf32>, tensor<3x2xf32>) {{.*}} {transpose_weight} -> tensor<?x?x3xf32>
func.func @main(%x: tensor<?x?x2xf32> {onnx.dims = ["batch", "sequence", ""]}) -> tensor<?x?x3xf32> {
  %w = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
  %t = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul(%x, %t) : (tensor<?x?x2xf32>, tensor<2x3xf32>) -> tensor<?x?x3xf32>
  return %y : tensor<?x?x3xf32>
}

// -----

// Near miss: a weight that is a run-time value.
// CHECK-LABEL: func.func @main
// CHECK-NOT: sq.linear
// CHECK: tensor.expand_shape %arg1 {{.*}} : tensor<2x3xf32> into tensor<1x2x3xf32>
// CHECK: sq.matmul {{.*}} : tensor<?x?x2xf32>, tensor<1x2x3xf32>) {{.*}} -> tensor<?x?x3xf32>
func.func @main(%x: tensor<?x?x2xf32> {onnx.dims = ["batch", "sequence", ""]}, %w: tensor<2x3xf32>) -> tensor<?x?x3xf32> {
  %y = onnx.MatMul(%x, %w) : (tensor<?x?x2xf32>, tensor<2x3xf32>) -> tensor<?x?x3xf32>
  return %y : tensor<?x?x3xf32>
}

// -----

// Vectors become matrices of one row or column, and the result loses that dim.
// CHECK-LABEL: func.func @main
// CHECK: sq.matmul {{.*}} : tensor<5x1x4xf32>, tensor<1x4x1xf32>) {{.*}} -> tensor<5x1x1xf32>
// CHECK: tensor.collapse_shape {{.*}} : tensor<5x1x1xf32> into tensor<5x1xf32>
func.func @main(%x: tensor<5x1x4xf32>, %v: tensor<4xf32>) -> tensor<5x1xf32> {
  %y = onnx.MatMul(%x, %v) : (tensor<5x1x4xf32>, tensor<4xf32>) -> tensor<5x1xf32>
  return %y : tensor<5x1xf32>
}

// -----

// Integers: one generic that wraps.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: arith.muli
// CHECK: arith.addi
func.func @main(%x: tensor<2x3xi32>, %w: tensor<3x4xi32>) -> tensor<2x4xi32> {
  %y = onnx.MatMul(%x, %w) : (tensor<2x3xi32>, tensor<3x4xi32>) -> tensor<2x4xi32>
  return %y : tensor<2x4xi32>
}

// -----

// The bias of a Gemm with constant B goes into sq.linear.
// CHECK-LABEL: func.func @main
// CHECK: sq.linear {{.*}} bias({{.*}} : tensor<3xf32>) {{.*}} {transpose_weight}
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<?x2xf32> {onnx.dims = ["batch", ""]}) -> tensor<?x3xf32> {
  %w = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
  %b = onnx.Constant() {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : () -> tensor<3xf32>
  %y = onnx.Gemm(%x, %w, %b) {transB = 1 : i64} : (tensor<?x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// Near miss: beta scales C, which stays elementwise.
// CHECK-LABEL: func.func @main
// CHECK: sq.linear
// CHECK-NOT: bias(
// CHECK: linalg.generic
// CHECK: arith.constant 5.000000e-01 : f32
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @main(%x: tensor<?x2xf32> {onnx.dims = ["batch", ""]}) -> tensor<?x3xf32> {
  %w = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
  %b = onnx.Constant() {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : () -> tensor<3xf32>
  %y = onnx.Gemm(%x, %w, %b) {transB = 1 : i64, beta = 0.5 : f32} : (tensor<?x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// Zero points are subtracted in i32: u8 widens without a sign, i8 with one.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK-DAG: arith.extui %{{.*}} : i8 to i32
// CHECK-DAG: arith.extsi %{{.*}} : i8 to i32
// CHECK: arith.subi
// CHECK: linalg.yield {{.*}} : i32
func.func @main(%a: tensor<4x3xui8>, %b: tensor<3x2xi8>, %z: tensor<ui8>) -> tensor<4x2xi32> {
  %y = onnx.MatMulInteger(%a, %b, %z) : (tensor<4x3xui8>, tensor<3x2xi8>, tensor<ui8>) -> tensor<4x2xi32>
  return %y : tensor<4x2xi32>
}

// -----

// Output labels are the first loops, summed ones the last.
// CHECK: #[[$A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK: #[[$B:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK: #[[$C:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#[[$A]], #[[$B]], #[[$C]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
func.func @main(%a: tensor<2x3x5xf32>, %b: tensor<2x4x5xf32>) -> tensor<2x3x4xf32> {
  %y = onnx.Einsum(%a, %b) {equation = "bij, bkj -> bik"} : (tensor<2x3x5xf32>, tensor<2x4x5xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// Zero points of each matrix of a stack: one for each row of a, one for each column of b.
// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, 0)>
// CHECK-DAG: #[[$COLUMN:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, 0, d2)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[$ROW]], #[[$COLUMN]], #{{.*}}]
func.func @main(%a: tensor<2x3x4xui8>, %b: tensor<2x4x5xi8>, %x: tensor<2x3x1xui8>, %y: tensor<2x1x5xi8>) -> tensor<2x3x5xi32> {
  %p = onnx.MatMulInteger(%a, %b, %x, %y) : (tensor<2x3x4xui8>, tensor<2x4x5xi8>, tensor<2x3x1xui8>, tensor<2x1x5xi8>) -> tensor<2x3x5xi32>
  return %p : tensor<2x3x5xi32>
}
