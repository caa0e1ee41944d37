// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Pools and their inverse.

// A dynamic dim gives a computed one; a window larger than it is a run-time error.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "MaxPool: the window is larger than spatial dimension 0 with its padding"
// CHECK: linalg.generic
// CHECK: arith.cmpf ugt
func.func @main(%x: tensor<1x2x?xf32> {onnx.dims = ["", "", "n"]}) -> tensor<1x2x?xf32> {
  %y = onnx.MaxPool(%x) {kernel_shape = array<i64: 3>} : (tensor<1x2x?xf32>) -> tensor<1x2x?xf32>
  return %y : tensor<1x2x?xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}}"reduction"]}
// CHECK: math.absf
// CHECK: math.powf
// CHECK: linalg.generic
// CHECK: math.powf
func.func @main(%x: tensor<1x2x?xf32> {onnx.dims = ["", "", "n"]}) -> tensor<*xf32> {
  %y = onnx.LpPool(%x) {kernel_shape = array<i64: 3>, p = 3 : i64} : (tensor<1x2x?xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// An index must point into its own channel; then only that is searched.
// CHECK-LABEL: func.func @main
// CHECK: %[[PLACES:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<?x3x4x5xi64>)
// CHECK: cf.assert %{{.*}}, "MaxUnpool: an index points out of its channel"
// CHECK: linalg.generic {{.*}}"reduction", "reduction"]} ins(%arg0, %[[PLACES]] : {{.*}}) outs(%{{.*}} : tensor<?x3x8x10xf32>)
func.func @main(%x: tensor<?x3x4x5xf32> {onnx.dims = ["n", "", "", ""]}, %i: tensor<?x3x4x5xi64> {onnx.dims = ["n", "", "", ""]}) -> tensor<*xf32> {
  %y = onnx.MaxUnpool(%x, %i) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<?x3x4x5xf32>, tensor<?x3x4x5xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
