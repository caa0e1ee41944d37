// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Reduce*, ArgMax, ArgMin, CumSum.

// f16 sums are kept in f32 and rounded once.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} ["parallel", "reduction"]} ins(%arg0 : tensor<?x8xf16>) outs(%{{.*}} : tensor<?xf32>)
// CHECK: arith.divf
// CHECK: arith.truncf
// CHECK: tensor.expand_shape {{.*}} : tensor<?xf16> into tensor<?x1xf16>
func.func @main(%x: tensor<?x8xf16> {onnx.dims = ["n", ""]}) -> tensor<?x1xf16> {
  %y = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x8xf16>) -> tensor<?x1xf16>
  return %y : tensor<?x1xf16>
}

// -----

// Axes as an operand (opset 13 and 18), without keeping them.
// CHECK-LABEL: func.func @main
// CHECK: iterator_types = ["reduction", "parallel"]} ins(%arg0 : tensor<4x8xf32>) outs(%{{.*}} : tensor<8xf32>)
func.func @main(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  %axes = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.ReduceSum(%x, %axes) {keepdims = 0 : i64} : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// No axes and noop_with_empty_axes: nothing happens.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: return %arg0
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = onnx.ReduceSum(%x) {noop_with_empty_axes = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// The number of elements of a shape is computed with scalars.
// CHECK-LABEL: func.func @main
// CHECK-NOT: linalg.generic
// CHECK: arith.muli
// CHECK: tensor.from_elements
func.func @main(%x: tensor<?x8xf32> {onnx.dims = ["n", ""]}) -> tensor<1xi64> {
  %s = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %y = onnx.ReduceProd(%s) : (tensor<2xi64>) -> tensor<1xi64>
  return %y : tensor<1xi64>
}

// -----

// The maximum goes out of the sum of exponentials.
// CHECK-LABEL: func.func @main
// CHECK: arith.maximumf
// CHECK: arith.subf
// CHECK: math.exp
// CHECK: math.log
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %y = onnx.ReduceLogSumExp(%x) {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

// The first greatest: only a greater element replaces it.
// CHECK-LABEL: func.func @main
// CHECK: arith.cmpf ogt
// CHECK: linalg.index 1
func.func @main(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  %y = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<4x8xf32>) -> tensor<4xi64>
  return %y : tensor<4xi64>
}

// -----

// The last smallest: an equal element replaces it.
// CHECK-LABEL: func.func @main
// CHECK: arith.cmpi ule
func.func @main(%x: tensor<4x8xui8>) -> tensor<4x1xi64> {
  %y = onnx.ArgMin(%x) {axis = 1 : i64, select_last_index = 1 : i64} : (tensor<4x8xui8>) -> tensor<4x1xi64>
  return %y : tensor<4x1xi64>
}

// -----

// A running sum; of the exclusive one the value before is stored. The line is read, and
// the result written, backwards.
// CHECK-LABEL: func.func @main
// CHECK: %[[REVERSED:.*]] = linalg.generic {{.*}} ["parallel", "parallel"]
// CHECK: linalg.generic {{.*}} ["parallel", "reduction"]} ins(%[[REVERSED]] : tensor<4x8xf32>) outs(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4x8xf32>)
// CHECK: ^bb0(%[[X:.*]]: f32, %[[SUM:.*]]: f32, %{{.*}}: f32):
// CHECK: %[[NEXT:.*]] = arith.addf %[[SUM]], %[[X]]
// CHECK: linalg.yield %[[NEXT]], %[[SUM]]
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %axis = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.CumSum(%x, %axis) {exclusive = 1 : i64, reverse = 1 : i64} : (tensor<4x8xf32>, tensor<i64>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// Axes that only the run knows: each dim becomes a pair, what stays and what is reduced.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract %arg1
// CHECK: cf.assert %{{.*}}, "ReduceSum: an axis is outside the rank 2"
// CHECK: tensor.expand_shape {{.*}} into tensor<?x?x?x?xf32>
// CHECK: linalg.generic {{.*}} ["parallel", "reduction", "parallel", "reduction"]
func.func @main(%x: tensor<4x8xf32>, %axes: tensor<1xi64>) -> tensor<?x?xf32> {
  %y = onnx.ReduceSum(%x, %axes) : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
