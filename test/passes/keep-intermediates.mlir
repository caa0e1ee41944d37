// RUN: sq-opt %s --sq-keep-intermediates --split-input-file --verify-diagnostics | FileCheck %s
// RUN: sq-opt %s --sq-keep-intermediates --sq-keep-intermediates --split-input-file --verify-diagnostics | FileCheck %s

// Every node's floats, in the order of the model; no integers, no constants. Two nodes of one name
// are told apart, a node without one is called by its operator.
// CHECK-LABEL: func.func @main(%{{.*}}: tensor<?x8xf32>) -> (
// CHECK-SAME: tensor<?x8xf32> {onnx.dims = ["n", ""], onnx.name = "y"},
// CHECK-SAME: tensor<?x8xf32> {onnx.dims = [], onnx.name = "node:erf"},
// CHECK-SAME: tensor<?x8xf32> {onnx.dims = [], onnx.name = "node:erf#2"},
// CHECK-SAME: tensor<?x8xf32> {onnx.dims = [], onnx.name = "node:Neg"})
// CHECK: %[[C:.*]] = onnx.Constant
// CHECK: %[[A:.*]] = onnx.Erf
// CHECK: %[[B:.*]] = onnx.Mul
// CHECK: onnx.Shape
// CHECK: %[[Y:.*]] = onnx.Neg
// CHECK: return %[[Y]], %[[A]], %[[B]], %[[Y]]
func.func @main(%x: tensor<?x8xf32>) -> (tensor<?x8xf32> {onnx.name = "y", onnx.dims = ["n", ""]}) {
  %c = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Erf(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32> loc("erf")
  %b = onnx.Mul(%a, %c) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32> loc("erf")
  %s = onnx.Shape(%b) : (tensor<?x8xf32>) -> tensor<2xi64>
  %y = onnx.Neg(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error @below {{there is no onnx node here; keep intermediates of a model as it is imported, before --sq-onnx-to-graph}}
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}

// -----

// Integers only: nothing to keep.
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> tensor<?xi64> {
func.func @main(%x: tensor<?xi64>) -> tensor<?xi64> {
  %y = onnx.Neg(%x) : (tensor<?xi64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// -----

// expected-error @below {{the module has no function @main}}
module {
}
