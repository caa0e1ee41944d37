// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Splitting and joining heads is one expand_shape and one collapse_shape.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x?x8xf32> {onnx.dims = ["batch", "sequence", ""]}) -> tensor<?x?x?xf32> {
  // CHECK-DAG: %[[B:.*]] = tensor.dim %arg0, %c0
  // CHECK-DAG: %[[S:.*]] = tensor.dim %arg0, %c1
  // CHECK: tensor.expand_shape %arg0 {{\[\[}}0], [1], [2, 3]] output_shape [%[[B]], %[[S]], 2, 4] : tensor<?x?x8xf32> into tensor<?x?x2x4xf32>
  // CHECK: tensor.collapse_shape {{.*}} {{\[\[}}0], [1], [2, 3]] : tensor<?x?x2x4xf32> into tensor<?x?x8xf32>
  // CHECK-NOT: cf.assert
  %h = onnx.Constant() {value = dense<[0, 0, 2, 4]> : tensor<4xi64>} : () -> tensor<4xi64>
  %j = onnx.Constant() {value = dense<[0, 0, -1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %r = onnx.Reshape(%x, %h) : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %n = onnx.Neg(%r) : (tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32>
  %y = onnx.Reshape(%n, %j) : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// Tokens as one dim and back: sizes are recognised as products.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x?x8xf32> {onnx.dims = ["batch", "sequence", ""]}) -> tensor<?x?x?xf32> {
  // CHECK: tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2]] : tensor<?x?x8xf32> into tensor<?x8xf32>
  // CHECK: tensor.expand_shape {{.*}} {{\[\[}}0, 1], [2]] {{.*}} : tensor<?x8xf32> into tensor<?x?x8xf32>
  // CHECK-NOT: cf.assert
  %rows = onnx.Constant() {value = dense<[-1, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  %s = onnx.Shape(%x) : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %r = onnx.Reshape(%x, %rows) : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %n = onnx.Neg(%r) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Reshape(%n, %s) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// Sizes that only the run time can check.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x3xf32> {onnx.dims = ["n", ""]}) -> tensor<?x?xf32> {
  // CHECK: cf.assert {{.*}}, "halves: the elements cannot be divided among the dimensions of the new shape"
  // CHECK: tensor.collapse_shape %arg0 {{\[\[}}0, 1]]
  // CHECK: tensor.expand_shape {{.*}} {{\[\[}}0, 1]] {{.*}} into tensor<?x2xf32>
  %s = onnx.Constant() {value = dense<[-1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %y = onnx.Reshape(%x, %s) : (tensor<?x3xf32>, tensor<2xi64>) -> tensor<?x?xf32> loc("halves")
  return %y : tensor<?x?xf32>
}

// -----

// Flatten, Squeeze, Unsqueeze; a rank of 0.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x?x1x3xf32> {onnx.dims = ["", "n", "", ""]}, %s: tensor<1x1xf32>) -> (tensor<?x?xf32>, tensor<?x?x?xf32>, tensor<f32>, tensor<?x?xf32>) {
  // CHECK: tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2, 3]] : tensor<2x?x1x3xf32> into tensor<?x3xf32>
  // CHECK: tensor.collapse_shape %arg0 {{\[\[}}0], [1{{(, 2\], \[3\]\]|\], \[2, 3\]\])}} : tensor<2x?x1x3xf32> into tensor<2x?x3xf32>
  // CHECK: tensor.collapse_shape %arg1 [] : tensor<1x1xf32> into tensor<f32>
  // CHECK: tensor.expand_shape {{.*}} [] output_shape [1, 1] : tensor<f32> into tensor<1x1xf32>
  %f = onnx.Flatten(%x) {axis = 2 : i64} : (tensor<2x?x1x3xf32>) -> tensor<?x?xf32>
  %a = onnx.Constant() {value = dense<[-2]> : tensor<1xi64>} : () -> tensor<1xi64>
  %q = onnx.Squeeze(%x, %a) : (tensor<2x?x1x3xf32>, tensor<1xi64>) -> tensor<?x?x?xf32>
  %z = onnx.Squeeze(%s) : (tensor<1x1xf32>) -> tensor<f32>
  %n = onnx.Neg(%z) : (tensor<f32>) -> tensor<f32>
  %b = onnx.Constant() {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %u = onnx.Unsqueeze(%n, %b) : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %f, %q, %n, %u : tensor<?x?xf32>, tensor<?x?x?xf32>, tensor<f32>, tensor<?x?xf32>
}

// -----

// Before opset 13 axes are attributes; before opset 5 the shape is.
module attributes {onnx.opset_imports = {"ai.onnx" = 1 : i64}} {
  // CHECK-LABEL: func.func @main
  // CHECK-SAME: -> (tensor<3x1x2xf32>
  func.func @main(%x: tensor<1x2x3xf32>) -> tensor<3x1x2xf32> {
    %a = onnx.Squeeze(%x) {axes = array<i64: 0>} : (tensor<1x2x3xf32>) -> tensor<2x3xf32>
    %b = onnx.Reshape(%a) {shape = array<i64: 3, -1>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %c = onnx.Unsqueeze(%b) {axes = array<i64: 1>} : (tensor<3x2xf32>) -> tensor<3x1x2xf32>
    return %c : tensor<3x1x2xf32>
  }
}

// -----

// A size squared eight times is compared as a whole beyond a depth, not by its 2^n factors.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert {{.*}}, "Reshape: the new shape has another number of elements"
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  %0 = onnx.Shape(%x) : (tensor<?xf32>) -> tensor<1xi64>
  %1 = onnx.Mul(%0, %0) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %2 = onnx.Mul(%1, %1) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %3 = onnx.Mul(%2, %2) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %4 = onnx.Mul(%3, %3) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %5 = onnx.Mul(%4, %4) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %6 = onnx.Mul(%5, %5) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %7 = onnx.Mul(%6, %6) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %8 = onnx.Mul(%7, %7) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %y = onnx.Reshape(%x, %8) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
