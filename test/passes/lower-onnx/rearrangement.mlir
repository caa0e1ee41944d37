// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Split, Tile, Pad, DepthToSpace, TopK.

// CHECK-LABEL: func.func @main
// CHECK-DAG: tensor.extract_slice %arg0[0, 0] [%{{.*}}, 4] [1, 1]
// CHECK-DAG: tensor.extract_slice %arg0[0, 4] [%{{.*}}, 2] [1, 1]
func.func @main(%x: tensor<?x6xf32> {onnx.dims = ["n", ""]}) -> (tensor<?x4xf32>, tensor<?x2xf32>) {
  %s = onnx.Constant() {value = dense<[4, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %a, %b = onnx.Split(%x, %s) {axis = 1 : i64} : (tensor<?x6xf32>, tensor<2xi64>) -> (tensor<?x4xf32>, tensor<?x2xf32>)
  return %a, %b : tensor<?x4xf32>, tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: tensor.empty() : tensor<4x5xf32>
// CHECK: arith.cmpi ult
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
func.func @main(%x: tensor<2x5xf32>) -> tensor<4x5xf32> {
  %p = onnx.Constant() {value = dense<[1, 0, 1, 0]> : tensor<4xi64>} : () -> tensor<4xi64>
  %y = onnx.Pad(%x, %p) : (tensor<2x5xf32>, tensor<4xi64>) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: arith.remsi
// CHECK-NOT: arith.cmpi ult
func.func @main(%x: tensor<4xf32>) -> tensor<8xf32> {
  %p = onnx.Constant() {value = dense<[2, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %y = onnx.Pad(%x, %p) {mode = "reflect"} : (tensor<4xf32>, tensor<2xi64>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: tensor.expand_shape {{.*}} into tensor<1x2x2x3x5x7xf32>
// CHECK: linalg.transpose {{.*}} permutation = [0, 3, 4, 1, 5, 2]
// CHECK: tensor.collapse_shape {{.*}} into tensor<1x3x10x14xf32>
func.func @main(%x: tensor<1x12x5x7xf32>) -> tensor<1x3x10x14xf32> {
  %y = onnx.DepthToSpace(%x) {blocksize = 2 : i64} : (tensor<1x12x5x7xf32>) -> tensor<1x3x10x14xf32>
  return %y : tensor<1x3x10x14xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-COUNT-2: linalg.generic
func.func @main(%x: tensor<3x9xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>) {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %v, %i = onnx.TopK(%x, %k) : (tensor<3x9xf32>, tensor<1xi64>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  return %v, %i : tensor<3x2xf32>, tensor<3x2xi64>
}
