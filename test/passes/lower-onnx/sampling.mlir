// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// GridSample, AffineGrid, RoiAlign.

// Both coordinates are read once, the last dim of the image first.
// CHECK: #[[$X:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, 1)>
// CHECK: #[[$Y:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, 0)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#[[$X]], #[[$Y]], {{.*}} ins(%arg1, %arg1 :
// CHECK-COUNT-4: tensor.extract %arg0
// CHECK-NOT: tensor.extract
func.func @main(%x: tensor<?x3x?x?xf32> {onnx.dims = ["n", "", "h", "w"]}, %g: tensor<?x5x?x2xf32> {onnx.dims = ["n", "", "o", ""]}) -> tensor<*xf32> {
  %y = onnx.GridSample(%x, %g) {mode = "bilinear"} : (tensor<?x3x?x?xf32>, tensor<?x5x?x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// Reflection folds the position, then each of the 16 neighbours.
// CHECK-LABEL: func.func @main
// CHECK: math.absf
// CHECK: arith.remsi
// CHECK-COUNT-16: tensor.extract %arg0
// CHECK-NOT: tensor.extract
func.func @main(%x: tensor<1x3x8x9xf32>, %g: tensor<1x5x6x2xf32>) -> tensor<*xf32> {
  %y = onnx.GridSample(%x, %g) {mode = "cubic", padding_mode = "reflection", align_corners = 1 : i64} : (tensor<1x3x8x9xf32>, tensor<1x5x6x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x4x5x6x3xf32>)
func.func @main(%t: tensor<?x3x4xf32> {onnx.dims = ["n", "", ""]}) -> tensor<*xf32> {
  %n = onnx.Shape(%t) {start = 0 : i64, end = 1 : i64} : (tensor<?x3x4xf32>) -> tensor<1xi64>
  %rest = onnx.Constant() {value = dense<[2, 4, 5, 6]> : tensor<4xi64>} : () -> tensor<4xi64>
  %size = onnx.Concat(%n, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<4xi64>) -> tensor<5xi64>
  %y = onnx.AffineGrid(%t, %size) : (tensor<?x3x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// How many samples a bin has depends on the region.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "RoiAlign: index out of range"
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x7x7xf32>)
// CHECK: math.ceil
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-4: tensor.extract %arg0
func.func @main(%x: tensor<2x3x16x16xf32>, %r: tensor<?x4xf32> {onnx.dims = ["r", ""]}, %b: tensor<?xi64> {onnx.dims = ["r"]}) -> tensor<*xf32> {
  %y = onnx.RoiAlign(%x, %r, %b) {output_height = 7 : i64, output_width = 7 : i64} : (tensor<2x3x16x16xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
