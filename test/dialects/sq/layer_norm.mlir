// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @with_bias
func.func @with_bias(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.layer_norm ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>) bias(%{{.*}} : tensor<8xf32>) outs(%{{.*}} : tensor<?x8xf32>) {epsilon = 9.99999974E-6 : f32} -> tensor<?x8xf32>
  %y = sq.layer_norm ins(%x, %s : tensor<?x8xf32>, tensor<8xf32>) bias(%b : tensor<8xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @without_bias
func.func @without_bias(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.layer_norm ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>) outs(
  %y = sq.layer_norm ins(%x, %s : tensor<?x8xf32>, tensor<8xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
