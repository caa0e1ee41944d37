// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @one
// CHECK: sq.int_rms_norm ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi8>) {addends = array<i64: 0>, {{.*}}x_bits = 22 : i64} -> tensor<?x8xi8>
func.func @one(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @channels
// CHECK: sq.int_rms_norm ins(%{{.*}} : tensor<2xi16>)
func.func @channels(%x: tensor<2xi16>, %init: tensor<2xi16>) -> tensor<2xi16> {
  %y = sq.int_rms_norm ins(%x : tensor<2xi16>) outs(%init : tensor<2xi16>) {epsilon = 41 : i64, multipliers = array<i32: -9, 0>, addends = array<i64: 5, 6>, exponent = 55 : i32} -> tensor<2xi16>
  return %y : tensor<2xi16>
}
