// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @with_bias
func.func @with_bias(%x: tensor<?x?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // CHECK: sq.linear ins(%{{.*}}, %{{.*}} : tensor<?x?x4xf32>, tensor<4x8xf32>) bias(%{{.*}} : tensor<8xf32>) outs(%{{.*}} : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y = sq.linear ins(%x, %w : tensor<?x?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<8xf32>) outs(%init : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @transposed
func.func @transposed(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.linear ins({{.*}} : tensor<?x4xf32>, tensor<8x4xf32>) outs(%{{.*}} : tensor<?x8xf32>) {transpose_weight} -> tensor<?x8xf32>
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<8x4xf32>) outs(%init : tensor<?x8xf32>) {transpose_weight} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
