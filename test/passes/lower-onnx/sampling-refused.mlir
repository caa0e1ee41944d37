// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%x: tensor<1x3x8x9xf32>, %p: tensor<1x3x8x9xi1>, %g: tensor<1x5x6x2xf32>, %volume: tensor<1x5x6x3xf32>, %i: tensor<1x5x6x2xi32>, %flat: tensor<5x2xf32>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower GridSample: mode 'area' is not known; use nearest, linear or cubic (node 'GridSample')}}
  %a = onnx.GridSample(%x, %g) {mode = "area"} : (tensor<1x3x8x9xf32>, tensor<1x5x6x2xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower GridSample: padding_mode 'wrap' is not known; use zeros, border or reflection (node 'GridSample')}}
  %b = onnx.GridSample(%x, %g) {padding_mode = "wrap"} : (tensor<1x3x8x9xf32>, tensor<1x5x6x2xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower GridSample: the number of coordinates in the grid of its inputs differs: 3 and 2 (node 'GridSample')}}
  %c = onnx.GridSample(%x, %volume) : (tensor<1x3x8x9xf32>, tensor<1x5x6x3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower GridSample: its input 'grid' has elements of type int32; it takes bfloat16, double, float, float16 (node 'GridSample')}}
  %d = onnx.GridSample(%x, %i) : (tensor<1x3x8x9xf32>, tensor<1x5x6x2xi32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower GridSample: the input has rank 4 and the grid 2; it needs [N, C, D1, ...] and [N, O1, ..., r] (node 'GridSample')}}
  %e = onnx.GridSample(%x, %flat) : (tensor<1x3x8x9xf32>, tensor<5x2xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower GridSample: elements of this type cannot be interpolated; use mode nearest (node 'GridSample')}}
  %f = onnx.GridSample(%p, %g) : (tensor<1x3x8x9xi1>, tensor<1x5x6x2xf32>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%t: tensor<2x2x3xf32>, %m: tensor<2x3xf32>) -> tensor<*xf32> {
  %size = onnx.Constant() {value = dense<[3, 2, 5, 6]> : tensor<4xi64>} : () -> tensor<4xi64>
  %volume = onnx.Constant() {value = dense<[2, 2, 5, 6, 7]> : tensor<5xi64>} : () -> tensor<5xi64>
  %short = onnx.Constant() {value = dense<[2, 2, 5]> : tensor<3xi64>} : () -> tensor<3xi64>
  // expected-error @below {{cannot lower AffineGrid: the batch of its inputs differs: 2 and 3 (node 'AffineGrid')}}
  %a = onnx.AffineGrid(%t, %size) : (tensor<2x2x3xf32>, tensor<4xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower AffineGrid: the rows of theta of its inputs differs: 2 and 3 (node 'AffineGrid')}}
  %b = onnx.AffineGrid(%t, %volume) : (tensor<2x2x3xf32>, tensor<5xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower AffineGrid: size has 3 elements; expected 4 for images or 5 for volumes (node 'AffineGrid')}}
  %c = onnx.AffineGrid(%t, %short) : (tensor<2x2x3xf32>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower AffineGrid: theta is not [N, r, r + 1] of floats (node 'AffineGrid')}}
  %d = onnx.AffineGrid(%m, %size) : (tensor<2x3xf32>, tensor<4xi64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2x3x16x16xf32>, %r: tensor<5x4xf32>, %b: tensor<5xi64>, %f: tensor<5xf32>, %d: tensor<5x4xf64>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower RoiAlign: mode 'min' is not known; use avg or max (node 'RoiAlign')}}
  %p = onnx.RoiAlign(%x, %r, %b) {mode = "min"} : (tensor<2x3x16x16xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower RoiAlign: coordinate_transformation_mode 'asymmetric' is not known (node 'RoiAlign')}}
  %q = onnx.RoiAlign(%x, %r, %b) {coordinate_transformation_mode = "asymmetric"} : (tensor<2x3x16x16xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower RoiAlign: the output has size 0 by 1 (node 'RoiAlign')}}
  %s = onnx.RoiAlign(%x, %r, %b) {output_height = 0 : i64} : (tensor<2x3x16x16xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower RoiAlign: sampling_ratio is -1 (node 'RoiAlign')}}
  %t = onnx.RoiAlign(%x, %r, %b) {sampling_ratio = -1 : i64} : (tensor<2x3x16x16xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower RoiAlign: its input 'batch_indices' has elements of type float; it takes int64 (node 'RoiAlign')}}
  %u = onnx.RoiAlign(%x, %r, %f) : (tensor<2x3x16x16xf32>, tensor<5x4xf32>, tensor<5xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower RoiAlign: its inputs 'X' and 'rois' have elements of types float and double, which must be the same; cast one of them (node 'RoiAlign')}}
  %v = onnx.RoiAlign(%x, %d, %b) : (tensor<2x3x16x16xf32>, tensor<5x4xf64>, tensor<5xi64>) -> tensor<*xf32>
  return %p : tensor<*xf32>
}
