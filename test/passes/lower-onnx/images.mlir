// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// CenterCropPad, Col2Im, Det, ReverseSequence, CumProd.

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<6x?x8xf32>)
// CHECK: arith.cmpi ult
// CHECK: arith.select
func.func @main(%x: tensor<?x?x9xf32> {onnx.dims = ["h", "w", ""]}) -> tensor<*xf32> {
  %shape = onnx.Constant() {value = dense<[6, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  %y = onnx.CenterCropPad(%x, %shape) {axes = array<i64: 0, -1>} : (tensor<?x?x9xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}}"reduction", "reduction"]} ins(%{{.*}} : tensor<2x3xi1>) outs(%{{.*}} : tensor<?x4x5x6xf32>)
// CHECK: tensor.extract %arg0
func.func @main(%x: tensor<?x24x16xf32> {onnx.dims = ["n", "", ""]}) -> tensor<*xf32> {
  %image = onnx.Constant() {value = dense<[5, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
  %block = onnx.Constant() {value = dense<[2, 3]> : tensor<2xi64>} : () -> tensor<2xi64>
  %y = onnx.Col2Im(%x, %image, %block) : (tensor<?x24x16xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// A step of the elimination is a search, a factor and a smaller matrix.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}}"reduction"]}
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x1x1xf32>)
// CHECK: linalg.generic {{.*}}"reduction"]}
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?xf32>)
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<?x2x2xf32> {onnx.dims = ["n", "", ""]}) -> tensor<*xf32> {
  %y = onnx.Det(%x) : (tensor<?x2x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "ReverseSequence: index out of range"
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?x4xf32>)
func.func @main(%x: tensor<?x?x4xf32> {onnx.dims = ["t", "n", ""]}, %l: tensor<?xi64> {onnx.dims = ["n"]}) -> tensor<*xf32> {
  %y = onnx.ReverseSequence(%x, %l) : (tensor<?x?x4xf32>, tensor<?xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// An axis that only the run knows: the dims before, of and after it.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "CumProd: an axis is outside the rank 2"
// CHECK: linalg.generic {{.*}}["parallel", "reduction", "parallel"]} {{.*}} outs(%{{.*}}, %{{.*}} : tensor<?x?xf64>, tensor<?x?x?xf64>)
// CHECK: arith.mulf
func.func @main(%x: tensor<3x5xf64>, %axis: tensor<i64>) -> tensor<*xf64> {
  %y = onnx.CumProd(%x, %axis) : (tensor<3x5xf64>, tensor<i64>) -> tensor<*xf64>
  return %y : tensor<*xf64>
}
