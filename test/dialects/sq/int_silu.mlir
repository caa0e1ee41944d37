// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @int_silu_i32
// CHECK: sq.int_silu ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi8>) {exp_b = 8663 : i64
func.func @int_silu_i32(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_silu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {low = -70400 : i64, high = 20961 : i64, exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @int_silu_unsigned
// CHECK: sq.int_silu ins(%{{.*}} : tensor<8xi16>) outs(%{{.*}} : tensor<8xi16>)
func.func @int_silu_unsigned(%x: tensor<8xi16>, %init: tensor<8xi16>) -> tensor<8xi16> {
  %y = sq.int_silu ins(%x : tensor<8xi16>) outs(%init : tensor<8xi16>) {low = -70400 : i64, high = 20961 : i64, exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32, is_unsigned, bits = 15 : i64, rounding = "half_up"} -> tensor<8xi16>
  return %y : tensor<8xi16>
}
