// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @packed
func.func @packed() -> tensor<1x4x16xf32> {
  // CHECK: sq.weight dense<1.000000e+00> : tensor<4x8xf32> {pack = 16 : i64} -> tensor<1x4x16xf32>
  %w = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 16 : i64} -> tensor<1x4x16xf32>
  return %w : tensor<1x4x16xf32>
}

// CHECK-LABEL: @placed
func.func @placed() -> memref<2xf32> {
  // CHECK: sq.weight dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32> {offset = 64 : i64} -> memref<2xf32>
  %w = sq.weight dense<[1.0, 2.0]> : tensor<2xf32> {offset = 64 : i64} -> memref<2xf32>
  return %w : memref<2xf32>
}

// CHECK-LABEL: @pairs
func.func @pairs() -> memref<1x16x32x2xbf16> {
  // CHECK: sq.weight dense<1.000000e+00> : tensor<4x8xf32> {offset = 0 : i64, pack = 32 : i64, wide_offset = 64 : i64} -> memref<1x16x32x2xbf16>
  %w = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 32 : i64, offset = 0 : i64, wide_offset = 64 : i64} -> memref<1x16x32x2xbf16>
  // CHECK: sq.weight dense<1.000000e+00> : tensor<4x8xf32> {offset = 64 : i64, pack = 48 : i64, widened} -> memref<1x4x48xf32>
  %v = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 48 : i64, offset = 64 : i64, widened} -> memref<1x4x48xf32>
  return %w : memref<1x16x32x2xbf16>
}

// CHECK-LABEL: @few_bits
func.func @few_bits() -> tensor<1x16x64xi8> {
  // CHECK: sq.weight dense<7> : tensor<4x8xi8> {bits = 6 : i64, pack = 16 : i64} -> tensor<1x16x64xi8>
  %w = sq.weight dense<7> : tensor<4x8xi8> {pack = 16 : i64, bits = 6 : i64} -> tensor<1x16x64xi8>
  return %w : tensor<1x16x64xi8>
}

// CHECK-LABEL: @codes
func.func @codes() -> tensor<8x1x3x16xi32> {
  // CHECK: sq.weight dense<7> : tensor<8x6xi32> {codes = 3 : i64} -> tensor<8x1x3x16xi32>
  %w = sq.weight dense<7> : tensor<8x6xi32> {codes = 3 : i64} -> tensor<8x1x3x16xi32>
  return %w : tensor<8x1x3x16xi32>
}
