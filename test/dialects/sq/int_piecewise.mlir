// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensors
// CHECK: sq.int_piecewise ins(%{{.*}} : tensor<?x8xi16>) outs(%{{.*}} : tensor<?x8xi8>) {bases = array<i32: 5, 5
func.func @tensors(%x: tensor<?x8xi16>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_piecewise ins(%x : tensor<?x8xi16>) outs(%init : tensor<?x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768>, curves = array<i32: 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767>, shift = 30 : i64, is_unsigned, bits = 7 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @memrefs
// CHECK: sq.int_piecewise ins(%{{.*}} : memref<?xi32>) outs(%{{.*}} : memref<?xi16>)
func.func @memrefs(%x: memref<?xi32>, %y: memref<?xi16>) {
  sq.int_piecewise ins(%x : memref<?xi32>) outs(%y : memref<?xi16>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 1 : i64}
  return
}
