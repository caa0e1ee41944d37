// RUN: sq-opt %s --sq-place-weights --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-place-weights --sq-place-weights --split-input-file | FileCheck %s

// Offsets are multiples of 64 in order of first use; scalars stay constants.
// CHECK-LABEL: @places
// CHECK-SAME: attributes {sq.weight_bytes = 192 : i64}
// CHECK-DAG: arith.constant 1.000000e+00 : f32
// CHECK-DAG: sq.weight dense<1> : tensor<3xi8> {offset = 0 : i64} -> tensor<3xi8>
// CHECK-DAG: sq.weight dense<2.000000e+00> : tensor<16xf32> {offset = 64 : i64} -> tensor<16xf32>
// CHECK-DAG: sq.weight dense<3.000000e+00> : tensor<1xf64> {offset = 128 : i64} -> tensor<1xf64>
// CHECK-NOT: arith.constant dense
// CHECK: return
func.func @places() -> (tensor<3xi8>, tensor<16xf32>, tensor<1xf64>, f32) {
  %s = arith.constant 1.0 : f32
  %a = arith.constant dense<1> : tensor<3xi8>
  %b = arith.constant dense<2.0> : tensor<16xf32>
  %c = arith.constant dense<3.0> : tensor<1xf64>
  return %a, %b, %c, %s : tensor<3xi8>, tensor<16xf32>, tensor<1xf64>, f32
}

// -----

// 17 floats are 68 bytes, so the next one lies at 128. A bool takes a byte, an
// index eight.
// CHECK-LABEL: @sizes
// CHECK-SAME: attributes {sq.weight_bytes = 384 : i64}
// CHECK: tensor<17xf32> {offset = 0 : i64}
// CHECK: tensor<65xi1> {offset = 128 : i64}
// CHECK: tensor<9xindex> {offset = 256 : i64}
func.func @sizes() -> (tensor<17xf32>, tensor<65xi1>, tensor<9xindex>) {
  %a = arith.constant dense<1.0> : tensor<17xf32>
  %b = arith.constant dense<true> : tensor<65xi1>
  %c = arith.constant dense<7> : tensor<9xindex>
  return %a, %b, %c : tensor<17xf32>, tensor<65xi1>, tensor<9xindex>
}

// -----

// Weights of 6 bits take 768 bytes of the section and 1024 when they are
// loaded, where f32 copies of bf16 come behind them.
// CHECK-LABEL: @few_bits
// CHECK-SAME: attributes {sq.unpacked_bytes = 1024 : i64, sq.weight_bytes = 2816 : i64, sq.widened_bytes = 1792 : i64}
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x8xf32> {offset = 0 : i64, pack = 32 : i64, wide_offset = 1024 : i64}
// CHECK-DAG: sq.weight dense<7> : tensor<4x8xi8> {bits = 6 : i64, offset = 2048 : i64, pack = 16 : i64, wide_offset = 0 : i64}
// CHECK-DAG: sq.weight dense<7> : tensor<4x8xi8> {bits = 6 : i64, offset = 2048 : i64, pack = 16 : i64, wide_offset = 0 : i64}
func.func @few_bits() -> (tensor<1x16x32x2xbf16>, tensor<1x16x64xi8>, tensor<1x16x64xi8>) {
  %p = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 32 : i64} -> tensor<1x16x32x2xbf16>
  %a = sq.weight dense<7> : tensor<4x8xi8> {pack = 16 : i64, bits = 6 : i64} -> tensor<1x16x64xi8>
  %b = sq.weight dense<7> : tensor<4x8xi8> {pack = 16 : i64, bits = 6 : i64} -> tensor<1x16x64xi8>
  return %p, %a, %b : tensor<1x16x32x2xbf16>, tensor<1x16x64xi8>, tensor<1x16x64xi8>
}

// -----

// Equal constants share a place; the same values packed, or packed from the
// transposed matrix, are other bytes.
// CHECK-LABEL: @shared
// CHECK-SAME: attributes {sq.weight_bytes = 3200 : i64}
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x4xf32> {offset = 0 : i64} -> tensor<4x4xf32>
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x4xf32> {offset = 64 : i64, pack = 48 : i64} -> tensor<1x4x48xf32>
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x4xf32> {offset = 64 : i64, pack = 48 : i64} -> tensor<1x4x48xf32>
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x4xf32> {offset = 832 : i64, pack = 48 : i64, transpose} -> tensor<1x4x48xf32>
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x4xf32> {offset = 1600 : i64, pack = 16 : i64} -> tensor<1x4x16xf32>
// CHECK-DAG: sq.weight dense<1.000000e+00> : tensor<4x84xf32> {offset = 1856 : i64} -> tensor<4x84xf32>
func.func @shared() -> (tensor<4x4xf32>, tensor<1x4x48xf32>, tensor<1x4x48xf32>, tensor<1x4x48xf32>, tensor<1x4x16xf32>, tensor<4x84xf32>, tensor<4x4xf32>) {
  %a = arith.constant dense<1.0> : tensor<4x4xf32>
  %p = sq.weight dense<1.0> : tensor<4x4xf32> {pack = 48 : i64} -> tensor<1x4x48xf32>
  %p2 = sq.weight dense<1.0> : tensor<4x4xf32> {pack = 48 : i64} -> tensor<1x4x48xf32>
  %t = sq.weight dense<1.0> : tensor<4x4xf32> {pack = 48 : i64, transpose} -> tensor<1x4x48xf32>
  %n = sq.weight dense<1.0> : tensor<4x4xf32> {pack = 16 : i64} -> tensor<1x4x16xf32>
  %l = arith.constant dense<1.0> : tensor<4x84xf32>
  %a2 = arith.constant dense<1.0> : tensor<4x4xf32>
  return %a, %p, %p2, %t, %n, %l, %a2 : tensor<4x4xf32>, tensor<1x4x48xf32>, tensor<1x4x48xf32>, tensor<1x4x48xf32>, tensor<1x4x16xf32>, tensor<4x84xf32>, tensor<4x4xf32>
}

// -----

// Nothing to place: the section is empty, and says so.
// CHECK-LABEL: @none
// CHECK-SAME: attributes {sq.weight_bytes = 0 : i64}
func.func @none(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
