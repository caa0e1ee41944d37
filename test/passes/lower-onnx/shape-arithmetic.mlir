// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// What torch exports for Expand: Where(Equal(shape, -1), 1, shape) folds away, since
// sizes are never negative, and Expand is left to its reader.
// CHECK-LABEL: func.func @main
// CHECK-SAME: sq.dims = ["batch", "sequence"]
func.func @main(%x: tensor<?x?xf32> {onnx.name = "x", onnx.dims = ["batch", "sequence"]})
    -> (tensor<*xf32> {onnx.name = "y"}) {
  // CHECK: %[[B:.*]] = tensor.dim %{{.*}}, %c0
  // CHECK: %[[S:.*]] = tensor.dim %{{.*}}, %c1
  // CHECK-NOT: arith.cmpi
  // CHECK-NOT: arith.select
  // CHECK: tensor.empty(%[[B]], %[[S]]) : tensor<?x3x?xf32>
  // CHECK: linalg.generic
  %s = onnx.Shape(%x) : (tensor<?x?xf32>) -> tensor<2xi64>
  %i0 = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %i1 = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i2 = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %three = onnx.Constant() {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %b = onnx.Slice(%s, %i0, %i1) : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %q = onnx.Slice(%s, %i1, %i2) : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %shape = onnx.Concat(%b, %three, %q) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %n = onnx.Shape(%shape) : (tensor<3xi64>) -> tensor<1xi64>
  %ones = onnx.ConstantOfShape(%n) {value = dense<1> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<3xi64>
  %neg = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %m = onnx.Mul(%ones, %neg) : (tensor<3xi64>, tensor<i64>) -> tensor<3xi64>
  %e = onnx.Equal(%shape, %m) : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi1>
  %w = onnx.Where(%e, %ones, %shape) : (tensor<3xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %u = onnx.Unsqueeze(%x, %i1) : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?x1x?xf32>
  %y = onnx.Expand(%u, %w) : (tensor<?x1x?xf32>, tensor<3xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// Everything static ends as a constant.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<*xi64> {
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<[9, 13, 4, 24]> : tensor<4xi64>
  // CHECK-NEXT: return %[[C]]
  %s = onnx.Shape(%x) : (tensor<2x3x4xf32>) -> tensor<3xi64>
  %last = onnx.Shape(%x) {start = -1 : i64} : (tensor<2x3x4xf32>) -> tensor<1xi64>
  %n = onnx.Size(%x) : (tensor<2x3x4xf32>) -> tensor<i64>
  %two = onnx.Constant() {value = dense<[2, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %front = onnx.Constant() {value = dense<[0]> : tensor<1xi64>} : () -> tensor<1xi64>
  %cut = onnx.Constant() {value = dense<[2]> : tensor<1xi64>} : () -> tensor<1xi64>
  %mid = onnx.Slice(%s, %front, %cut) : (tensor<3xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %sq = onnx.Pow(%mid, %two) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %five = onnx.Constant() {value = dense<[5, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  %sum = onnx.Add(%sq, %five) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %nv = onnx.Unsqueeze(%n, %front) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %r = onnx.Concat(%sum, %last, %nv) {axis = -1 : i64} : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xi64>
  return %r : tensor<*xi64>
}

// -----

// A range of one number makes a symbol static.
module attributes {sq.dims = {batch = array<i64: 4, 4>, sequence = array<i64: 1, 64>}} {
  // CHECK-LABEL: func.func @main
  // CHECK-SAME: tensor<4x?xf32> {sq.dims = ["batch", "sequence"], sq.dtype = "f32", sq.name = "x"}
  // CHECK-SAME: -> (tensor<?x4xf32> {sq.dims = ["sequence", ""], sq.dtype = "f32", sq.name = "y"})
  func.func @main(%x: tensor<?x?xf32> {onnx.name = "x", onnx.dims = ["batch", "sequence"]})
      -> (tensor<?x?xf32> {onnx.name = "y", onnx.dims = ["sequence", "batch"]}) {
    // CHECK: linalg.transpose {{.*}} permutation = [1, 0]
    %y = onnx.Transpose(%x) : (tensor<?x?xf32>) -> tensor<?x?xf32>
    return %y : tensor<?x?xf32>
  }
}

// -----

// Range of a symbol: an iota that is known not to be negative, so that the comparison
// is true and the conjunction keeps the shape that its other side is stored in.
// CHECK-LABEL: func.func @main
func.func @main(%mask: tensor<?x?xi64> {onnx.name = "mask", onnx.dims = ["batch", "sequence"]})
    -> (tensor<*xi1>) {
  // CHECK: %[[M:.*]] = linalg.generic
  // CHECK: arith.cmpi ne
  // CHECK: tensor.expand_shape %[[M]]
  // CHECK-NOT: arith.cmpi sge
  // CHECK-NOT: arith.andi
  // CHECK: tensor.empty({{.*}}) : tensor<?x1x?x?xi1>
  %s = onnx.Shape(%mask) {start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %i0 = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %len = onnx.Squeeze(%s) : (tensor<1xi64>) -> tensor<i64>
  %r = onnx.Range(%i0, %len, %i1) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %a3 = onnx.Constant() {value = dense<[0, 1, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %a2 = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %q = onnx.Unsqueeze(%r, %a3) : (tensor<?xi64>, tensor<3xi64>) -> tensor<1x1x?x1xi64>
  %ge = onnx.GreaterOrEqual(%q, %i0) : (tensor<1x1x?x1xi64>, tensor<i64>) -> tensor<1x1x?x1xi1>
  %m = onnx.Cast(%mask) {to = 9 : i64} : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %k = onnx.Unsqueeze(%m, %a2) : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %and = onnx.And(%ge, %k) : (tensor<1x1x?x1xi1>, tensor<?x1x1x?xi1>) -> tensor<*xi1>
  return %and : tensor<*xi1>
}
