// RUN: sq-opt %s --canonicalize | FileCheck %s

// By exactly 1, into integers that hold all of it.
// CHECK-LABEL: @by_one
// CHECK-SAME: (%[[X:.*]]: tensor<2xi8>, %
// CHECK-NEXT: return %[[X]]
func.func @by_one(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 1073741824, 8>, exponents = array<i32: 30, 3>, x_zero_point = 5 : i64, zero_point = 5 : i64} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// CHECK-LABEL: @clamps
// CHECK: sq.requantize
func.func @clamps(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 8>, exponents = array<i32: 3>, bits = 7 : i64} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// CHECK-LABEL: @shifts
// CHECK: sq.requantize
func.func @shifts(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 8>, exponents = array<i32: 3>, zero_point = 1 : i64} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// CHECK-LABEL: @sign
// CHECK: sq.requantize
func.func @sign(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 8>, exponents = array<i32: 3>, x_unsigned} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// CHECK-LABEL: @one_channel
// CHECK: sq.requantize
func.func @one_channel(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 8, 9>, exponents = array<i32: 3>} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// Each rounds, and the first clamps: two are not one.
// CHECK-LABEL: @twice
// CHECK: sq.requantize
// CHECK: sq.requantize
func.func @twice(%x: tensor<2xi32>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.requantize ins(%x : tensor<2xi32>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 9>, exponents = array<i32: 4>} -> tensor<2xi8>
  %z = sq.requantize ins(%y : tensor<2xi8>) outs(%init : tensor<2xi8>) {multipliers = array<i32: 9>, exponents = array<i32: 4>} -> tensor<2xi8>
  return %z : tensor<2xi8>
}
