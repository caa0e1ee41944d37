// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Philox of the element's index; the first key is the seed's bits, 2.0f.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: linalg.index 0
// CHECK: linalg.index 1
// CHECK-COUNT-20: arith.xori
// CHECK: arith.sitofp {{.*}} : i64 to f32
func.func @main() -> tensor<3x4xf32> {
  %y = onnx.RandomUniform() {shape = array<i64: 3, 4>, seed = 2.0 : f32} : () -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// A training mode known at run time only chooses the ratio.
// CHECK-LABEL: func.func @main
// CHECK: %[[T:.*]] = tensor.extract %arg2[]
// CHECK: arith.select %[[T]], %{{.*}}, %{{.*}} : f32
// CHECK: arith.cmpf oge
func.func @main(%x: tensor<?xf32>, %r: tensor<f32>, %t: tensor<i1>) -> (tensor<?xf32>, tensor<?xi1>) {
  %y:2 = onnx.Dropout(%x, %r, %t) : (tensor<?xf32>, tensor<f32>, tensor<i1>) -> (tensor<?xf32>, tensor<?xi1>)
  return %y#0, %y#1 : tensor<?xf32>, tensor<?xi1>
}
