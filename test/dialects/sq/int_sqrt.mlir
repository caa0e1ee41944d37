// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @i32
// CHECK: sq.int_sqrt ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi32>) -> tensor<?x8xi32>
func.func @i32(%x: tensor<?x8xi32>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  %y = sq.int_sqrt ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi32>) -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// CHECK-LABEL: @i64
// CHECK: sq.int_sqrt ins(%{{.*}} : tensor<8xi64>)
func.func @i64(%x: tensor<8xi64>, %init: tensor<8xi64>) -> tensor<8xi64> {
  %y = sq.int_sqrt ins(%x : tensor<8xi64>) outs(%init : tensor<8xi64>) -> tensor<8xi64>
  return %y : tensor<8xi64>
}
