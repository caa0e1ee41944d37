// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Gather*, Scatter*: indices from data are checked and clamped before they are used.

// CHECK-LABEL: func.func @main
// CHECK: %[[I:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<?xi64>)
// CHECK: cf.assert %{{.*}}, "word: index out of range"
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: sq.embedding ins(%[[I]] : tensor<?xi64>) tables(%{{.*}} : tensor<3x2xf32>)
func.func @main(%ids: tensor<?xi64> {onnx.dims = ["n"]}) -> tensor<?x2xf32> {
  %table = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
  %y = onnx.Gather(%table, %ids) : (tensor<3x2xf32>, tensor<?xi64>) -> tensor<?x2xf32> loc("word")
  return %y : tensor<?x2xf32>
}

// -----

// A table that is no weight: a loop.
// CHECK-LABEL: func.func @main
// CHECK: %[[I:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<?xi64>)
// CHECK: linalg.generic {{.*}} ins(%[[I]] : tensor<?xi64>)
// CHECK: tensor.extract
func.func @main(%table: tensor<3x2xf32>, %ids: tensor<?xi64> {onnx.dims = ["n"]}) -> tensor<?x2xf32> {
  %y = onnx.Gather(%table, %ids) : (tensor<3x2xf32>, tensor<?xi64>) -> tensor<?x2xf32> loc("word")
  return %y : tensor<?x2xf32>
}

// -----

// One constant index is a slice, from the end if negative.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract_slice %arg0[0, 4] [3, 1] [1, 1]
// CHECK: tensor.collapse_shape
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<3x5xf32>) -> tensor<3xf32> {
  %i = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.Gather(%x, %i) {axis = 1 : i64} : (tensor<3x5xf32>, tensor<i64>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

// A dimension that may be empty must not be pointed into.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "Gather: a dimension that indices point into is empty"
// CHECK: linalg.generic
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}, %i: tensor<2xi64>) -> tensor<2xf32> {
  %y = onnx.Gather(%x, %i) : (tensor<?xf32>, tensor<2xi64>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "GatherND: index out of range"
// CHECK-COUNT-3: tensor.extract
func.func @main(%x: tensor<4x5xf32>, %i: tensor<3x2xi64>) -> tensor<3xf32> {
  %y = onnx.GatherND(%x, %i) : (tensor<4x5xf32>, tensor<3x2xi64>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

// Each element of the result looks for its updates.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "ScatterElements: index out of range"
// CHECK: sq.scatter "add" ins(%{{.*}}, %{{.*}} : tensor<4x2xi64>, tensor<4x2x1xf32>) outs(%{{.*}} : tensor<4x5x1xf32>)
func.func @main(%x: tensor<4x5xf32>, %i: tensor<4x2xi64>, %u: tensor<4x2xf32>) -> tensor<4x5xf32> {
  %y = onnx.ScatterElements(%x, %i, %u) {axis = 1 : i64, reduction = "add"} : (tensor<4x5xf32>, tensor<4x2xi64>, tensor<4x2xf32>) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

// -----

// The diagonal may come from run-time data.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract %arg1[]
// CHECK: arith.cmpi sle
func.func @main(%x: tensor<4x5xf32>, %k: tensor<i64>) -> tensor<4x5xf32> {
  %y = onnx.Trilu(%x, %k) {upper = 0 : i64} : (tensor<4x5xf32>, tensor<i64>) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}
