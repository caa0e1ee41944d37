// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @same
// CHECK: sq.requantized_add ins(%{{.*}}, %{{.*}} : tensor<?x8xi32>, tensor<?x8xi8>) outs(%{{.*}} : tensor<?x8xi32>) {a_bits = 24 : i64
func.func @same(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, a_bits = 24 : i64, bits = 22 : i64} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// CHECK-LABEL: @broadcast
// CHECK: sq.requantized_add ins(%{{.*}}, %{{.*}} : tensor<?x8xi32>, tensor<8xi8>)
func.func @broadcast(%x: tensor<?x8xi32>, %b: tensor<8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, a_bits = 24 : i64, b_unsigned, b_zero_point = 128 : i64} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}
