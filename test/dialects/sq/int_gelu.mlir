// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @one
// CHECK: sq.int_gelu ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi8>) {exponents = array<i32: 54>, highs = array<i64: 60474>, limits = array<i64: 25017>
func.func @one(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @channels
// CHECK: sq.int_gelu ins(%{{.*}} : tensor<?x2xi32>)
func.func @channels(%x: tensor<?x2xi32>, %init: tensor<?x2xi8>) -> tensor<?x2xi8> {
  %y = sq.int_gelu ins(%x : tensor<?x2xi32>) outs(%init : tensor<?x2xi8>) {limits = array<i64: 25017, 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x2xi8>
  return %y : tensor<?x2xi8>
}
