// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x3xf32> {onnx.dims = ["n", ""]}, %y: tensor<?x3xf32> {onnx.dims = ["m", ""]}) -> tensor<?x?xf32> {
  // CHECK: %[[SUM:.*]] = arith.addi
  // CHECK: %[[TOTAL:.*]] = arith.index_cast %[[SUM]] : i64 to index
  // CHECK: %[[INIT:.*]] = tensor.empty(%[[TOTAL]]) : tensor<?x3xf32>
  // CHECK: %[[A:.*]] = tensor.insert_slice %arg0 into %[[INIT]][0, 0] [%[[N:.*]], 3] [1, 1]
  // CHECK: tensor.insert_slice %arg1 into %[[A]][%[[N]], 0]
  %c = onnx.Concat(%x, %y) {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x?xf32>
  return %c : tensor<?x?xf32>
}

// -----

// Halves of a head, as rotary embeddings take them.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x8xf32> {onnx.dims = ["n", ""]}) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  // CHECK: tensor.extract_slice %arg0[0, 0] [%[[N:.*]], 4] [1, 1] : tensor<?x8xf32> to tensor<?x4xf32>
  // CHECK: tensor.extract_slice %arg0[0, 4] [%[[N]], 4] [1, 1] : tensor<?x8xf32> to tensor<?x4xf32>
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %four = onnx.Constant() {value = dense<4> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Slice(%x, %zero, %four, %one) : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  %b = onnx.Slice(%x, %four, %end, %one) : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %a, %b : tensor<?x?xf32>, tensor<?x?xf32>
}

// -----

// A slice of everything is nothing; the last row of a dynamic dim.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x8xf32> {onnx.dims = ["n", ""]}) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  // CHECK: tensor.extract_slice %arg0[%{{.*}}, 0] [%{{.*}}, 8] [1, 1] : tensor<?x8xf32> to tensor<?x8xf32>
  // CHECK: return %arg0
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Slice(%x, %zero, %end) : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  %b = onnx.Slice(%x, %last, %end) : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %a, %b : tensor<?x?xf32>, tensor<?x?xf32>
}

// -----

// Steps: forward ones are strides, backward ones are read element by element.
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<4xf32> {{.*}}, tensor<3xf32>
func.func @main(%x: tensor<8xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  // CHECK: tensor.extract_slice %arg0[1] [4] [2] : tensor<8xf32> to tensor<4xf32>
  // CHECK: linalg.generic
  // CHECK: %[[I:.*]] = linalg.index 0
  // CHECK: %[[O:.*]] = arith.muli %[[I]], %c-3
  // CHECK: %[[P:.*]] = arith.addi %[[O]], %c7
  // CHECK: tensor.extract %arg0[%[[P]]]
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %back = onnx.Constant() {value = dense<-3> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %start = onnx.Constant() {value = dense<-9223372036854775808> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Slice(%x, %one, %end, %zero, %two) : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %b = onnx.Slice(%x, %end, %start, %zero, %back) : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return %a, %b : tensor<?xf32>, tensor<?xf32>
}

// -----

// Known elements are moved at compile time.
// CHECK-LABEL: func.func @main
func.func @main() -> (tensor<*xi64>, tensor<2x2xi64>, tensor<*xi64>) {
  // CHECK-DAG: dense<{{\[\[}}1, 4], [2, 5], [3, 6]]> : tensor<3x2xi64>
  // CHECK-DAG: dense<{{\[\[}}3, 1], [6, 4]]> : tensor<2x2xi64>
  // CHECK-DAG: dense<{{\[\[}}1, 2, 3, 3, 1], [4, 5, 6, 6, 4]]> : tensor<2x5xi64>
  %m = onnx.Constant() {value = dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>} : () -> tensor<2x3xi64>
  %start = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %stop = onnx.Constant() {value = dense<-9> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %step = onnx.Constant() {value = dense<-2> : tensor<1xi64>} : () -> tensor<1xi64>
  %t = onnx.Transpose(%m) {perm = array<i64: 1, 0>} : (tensor<2x3xi64>) -> tensor<*xi64>
  %s = onnx.Slice(%m, %start, %stop, %axis, %step) : (tensor<2x3xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x2xi64>
  %c = onnx.Concat(%m, %s) {axis = 1 : i64} : (tensor<2x3xi64>, tensor<2x2xi64>) -> tensor<*xi64>
  return %t, %s, %c : tensor<*xi64>, tensor<2x2xi64>, tensor<*xi64>
}

// -----

// Before opset 10 bounds are attributes.
module attributes {onnx.opset_imports = {"ai.onnx" = 9 : i64}} {
  // CHECK-LABEL: func.func @main
  // CHECK: tensor.extract_slice %arg0[1] [2] [1]
  func.func @main(%x: tensor<8xf32>) -> tensor<2xf32> {
    %a = onnx.Slice(%x) {starts = array<i64: 1>, ends = array<i64: 3>} : (tensor<8xf32>) -> tensor<2xf32>
    return %a : tensor<2xf32>
  }
}

// -----

// An empty slice at the end, which extract_slice would refuse.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[E:.*]] = tensor.empty() : tensor<0xf32>
// CHECK-NEXT: return %[[E]]
func.func @main(%x: tensor<8xf32>) -> tensor<?xf32> {
  %far = onnx.Constant() {value = dense<100> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Slice(%x, %far, %far) : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return %a : tensor<?xf32>
}
