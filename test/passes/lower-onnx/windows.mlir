// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Convolutions and pools.

// CHECK-LABEL: func.func @main
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: outs(%{{.*}} : tensor<1x4x3x2xf32>)
func.func @main(%x: tensor<1x2x5x4xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<1x4x3x2xf32> {
  %y = onnx.Conv(%x, %w) {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x5x4xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x3x2xf32>
  return %y : tensor<1x4x3x2xf32>
}

// -----

// A dynamic dim gives a computed one; a window larger than it is a run-time error.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "MaxPool: the window is larger than spatial dimension 0 with its padding"
// CHECK: linalg.generic
// CHECK: arith.cmpf ugt
func.func @main(%x: tensor<1x2x?xf32> {onnx.dims = ["", "", "n"]}) -> tensor<1x2x?xf32> {
  %y = onnx.MaxPool(%x) {kernel_shape = array<i64: 3>} : (tensor<1x2x?xf32>) -> tensor<1x2x?xf32>
  return %y : tensor<1x2x?xf32>
}
