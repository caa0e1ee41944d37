// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected | FileCheck %s

// Read where the update is written, kept elsewhere; the start of each row is checked once.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: cf.assert %{{.*}}, "TensorScatter: write index out of range"
// CHECK: linalg.generic
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: %[[U:.*]] = tensor.extract %arg1
// CHECK: arith.select %[[IN]], %[[U]], %{{.*}}
func.func @main(%c: tensor<2x?x4xf32>, %u: tensor<2x1x4xf32>, %i: tensor<2xi64>) -> tensor<2x?x4xf32> {
  %y = onnx.TensorScatter(%c, %u, %i) : (tensor<2x?x4xf32>, tensor<2x1x4xf32>, tensor<2xi64>) -> tensor<2x?x4xf32>
  return %y : tensor<2x?x4xf32>
}

// -----

func.func @main(%c: tensor<2x3x4xf32>, %u: tensor<2x5x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) {
  // expected-error @below {{cannot lower TensorScatter: an update of 5 does not fit a cache of 3 (node 'TensorScatter')}}
  %x = onnx.TensorScatter(%c, %u) : (tensor<2x3x4xf32>, tensor<2x5x4xf32>) -> tensor<2x3x4xf32>
  // expected-error @below {{cannot lower TensorScatter: mode is 'spiral'; it can be linear or circular (node 'TensorScatter')}}
  %y = onnx.TensorScatter(%c, %c) {mode = "spiral"} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // expected-error @below {{cannot lower TensorScatter: the axis is that of the batch (node 'TensorScatter')}}
  %z = onnx.TensorScatter(%c, %c) {axis = 0 : i64} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %x, %y, %z : tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>
}
