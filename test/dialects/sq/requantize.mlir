// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensor_wide
// CHECK: sq.requantize ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi8>) {exponents = array<i32: 41>, multipliers = array<i32: 1466015504>} -> tensor<?x8xi8>
func.func @tensor_wide(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @channels
// CHECK: sq.requantize ins(%{{.*}} : tensor<?x2x8xi16>) {{.*}}axis = 1 : i64
func.func @channels(%x: tensor<?x2x8xi16>, %init: tensor<?x2x8xi8>) -> tensor<?x2x8xi8> {
  %y = sq.requantize ins(%x : tensor<?x2x8xi16>) outs(%init : tensor<?x2x8xi8>) {multipliers = array<i32: 7, -9>, exponents = array<i32: 3, 62>, axis = 1 : i64, rounding = "half_away", x_unsigned, x_bits = 9 : i64, x_zero_point = 200 : i64, is_unsigned, bits = 4 : i64, zero_point = 8 : i64} -> tensor<?x2x8xi8>
  return %y : tensor<?x2x8xi8>
}
