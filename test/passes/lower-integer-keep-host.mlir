// RUN: sq-opt %s --sq-lower-integer=keep-host --split-input-file | FileCheck %s

// A norm becomes the op of the kernel, with its constants as that reads them: for each channel one, of 16 channels first the even
// ones' addends.
// CHECK-LABEL: @norm
// CHECK-DAG: %[[M:.*]] = arith.constant dense<[7, 7, 7, {{[0, ]*}}]> : tensor<32xi32>
// CHECK-DAG: %[[B:.*]] = arith.constant dense<[10, 12, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0]> : tensor<16xi64>
// CHECK: sq.int_norm_rows ins(%{{.*}}, %[[M]], %[[B]] : tensor<?x3xi32>, tensor<32xi32>, tensor<16xi64>) outs(%{{.*}} : tensor<?x3xi8>) {bits = 7 : i64, centred, epsilon = 41 : i64, exponent = 55 : i32, is_unsigned, shift = 8 : i64, x_bits = 22 : i64}
// CHECK-NOT: linalg.generic
func.func @norm(%x: tensor<?x3xi32>, %init: tensor<?x3xi8>) -> tensor<?x3xi8> {
  %y = sq.int_layer_norm ins(%x : tensor<?x3xi32>) outs(%init : tensor<?x3xi8>) {shift = 8 : i64, epsilon = 41 : i64, multipliers = array<i32: 7>, addends = array<i64: 10, 11, 12>, exponent = 55 : i32, x_bits = 22 : i64, rounding = "half_up", is_unsigned, bits = 7 : i64} -> tensor<?x3xi8>
  return %y : tensor<?x3xi8>
}

// -----

// CHECK-LABEL: @rms
// CHECK: sq.int_norm_rows
// CHECK-NOT: centred
func.func @rms(%x: tensor<?x8xi16>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi16>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 7>, addends = array<i64: 0>, exponent = 55 : i32, rounding = "half_up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

// Near miss: the kernel rounds a half up.
// CHECK-LABEL: @half_even
// CHECK-NOT: sq.int_norm_rows
// CHECK: linalg.generic
func.func @half_even(%x: tensor<?x8xi16>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi16>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 7>, addends = array<i64: 0>, exponent = 55 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
