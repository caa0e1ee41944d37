// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Conv, ConvTranspose, DeformConv.

// CHECK-LABEL: func.func @main
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: outs(%{{.*}} : tensor<1x4x3x2xf32>)
func.func @main(%x: tensor<1x2x5x4xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<1x4x3x2xf32> {
  %y = onnx.Conv(%x, %w) {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x5x4xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x3x2xf32>
  return %y : tensor<1x4x3x2xf32>
}

// -----

// The transposed convolution reads at (o + pad - k) / stride, where that is whole.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}}"reduction", "reduction", "reduction"]}
// CHECK: arith.remsi
// CHECK: arith.cmpi ult
func.func @main(%x: tensor<1x2x3x3xf32>, %w: tensor<2x3x2x2xf32>) -> tensor<1x3x6x6xf32> {
  %y = onnx.ConvTranspose(%x, %w) {strides = array<i64: 2, 2>} : (tensor<1x2x3x3xf32>, tensor<2x3x2x2xf32>) -> tensor<1x3x6x6xf32>
  return %y : tensor<1x3x6x6xf32>
}

// -----

// Each moved element is sampled once, for all channels of the result.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}}outs(%{{.*}} : tensor<?x2x2x3x3x?x?xf32>)
// CHECK: math.floor
// CHECK: linalg.generic {{.*}}"reduction", "reduction", "reduction"]} ins(%{{.*}}, %{{.*}} : tensor<?x2x2x3x3x?x?xf32>, tensor<2x3x2x3x3xf32>)
func.func @main(%x: tensor<?x4x?x?xf32> {onnx.dims = ["n", "", "h", "w"]}, %w: tensor<6x2x3x3xf32>, %o: tensor<?x18x?x?xf32> {onnx.dims = ["n", "", "oh", "ow"]}, %m: tensor<?x9x?x?xf32> {onnx.dims = ["n", "", "oh", "ow"]}) -> tensor<*xf32> {
  %none = onnx.NoValue
  %y = onnx.DeformConv(%x, %w, %o, %none, %m) {group = 2 : i64} : (tensor<?x4x?x?xf32>, tensor<6x2x3x3xf32>, tensor<?x18x?x?xf32>, none, tensor<?x9x?x?xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
