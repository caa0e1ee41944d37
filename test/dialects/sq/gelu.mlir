// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @by_erf
func.func @by_erf(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.gelu ins(%{{.*}} : tensor<?x8xf32>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = sq.gelu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @by_tanh
func.func @by_tanh(%x: tensor<f16>, %init: tensor<f16>) -> tensor<f16> {
  // CHECK: sq.gelu ins(%{{.*}} : tensor<f16>) outs(%{{.*}} : tensor<f16>) {tanh} -> tensor<f16>
  %y = sq.gelu ins(%x : tensor<f16>) outs(%init : tensor<f16>) {tanh} -> tensor<f16>
  return %y : tensor<f16>
}
