// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Two dims that are not provably equal: the run time checks them, naming the node.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}, %y: tensor<?xf32> {onnx.dims = ["m"]}) -> tensor<?xf32> {
  // CHECK-DAG: %[[N:.*]] = tensor.dim %arg0
  // CHECK-DAG: %[[M:.*]] = tensor.dim %arg1
  // CHECK: %[[EQ:.*]] = arith.cmpi eq, %[[N]], %[[M]]
  // CHECK: cf.assert %[[EQ]], "add 1: dimension 0 of the operands differs"
  // CHECK: linalg.generic
  // CHECK: linalg.generic
  // CHECK-NOT: cf.assert
  %a = onnx.Add(%x, %y) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("add 1")
  %b = onnx.Mul(%y, %a) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("again")
  return %b : tensor<?xf32>
}

// -----

// One symbol: no check.
// CHECK-LABEL: func.func @main
// CHECK-NOT: cf.assert
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}, %y: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  %a = onnx.Add(%x, %y) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %a : tensor<?xf32>
}

// -----

// A static size next to a dynamic one is what the result has.
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<4xf32>
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}, %y: tensor<4xf32>) -> tensor<?xf32> {
  // CHECK: cf.assert {{.*}}, "Add: dimension 0 of the operands differs"
  %a = onnx.Add(%x, %y) : (tensor<?xf32>, tensor<4xf32>) -> tensor<?xf32>
  return %a : tensor<?xf32>
}

// -----

// min(sequence, 4) = sequence: the length of the table limits the symbol.
// CHECK: module attributes {sq.dims = {sequence = array<i64: 0, 4>}}
// CHECK-LABEL: func.func @main
// CHECK-NOT: cf.assert
// CHECK-NOT: arith.minsi
// CHECK: tensor.extract_slice %{{.*}}[0, 0] [1, %{{.*}}] [1, 1] : tensor<1x4xf32> to tensor<1x?xf32>
// CHECK-NOT: cf.assert
func.func @main(%x: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]}) -> tensor<?x?xf32> {
  %table = onnx.Constant() {value = dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>} : () -> tensor<1x4xf32>
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %s = onnx.Shape(%x) {start = 1 : i64} : (tensor<?x?xf32>) -> tensor<1xi64>
  %p = onnx.Slice(%table, %zero, %s, %one) : (tensor<1x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xf32>
  %a = onnx.Add(%x, %p) : (tensor<?x?xf32>, tensor<1x?xf32>) -> tensor<?x?xf32>
  return %a : tensor<?x?xf32>
}

// -----

// What an assertion has established is in the types of what follows.
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<2x4xf32>
func.func @main(%x: tensor<?x2xf32> {onnx.dims = ["n", ""]}, %y: tensor<4x2xf32>) -> tensor<?x?xf32> {
  // CHECK: cf.assert
  // CHECK: tensor.cast %arg0 : tensor<?x2xf32> to tensor<4x2xf32>
  // CHECK: linalg.transpose
  %a = onnx.Add(%x, %y) : (tensor<?x2xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %t = onnx.Transpose(%x) : (tensor<?x2xf32>) -> tensor<?x?xf32>
  return %t : tensor<?x?xf32>
}
