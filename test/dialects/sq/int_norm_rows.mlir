// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @layer_norm
// CHECK: sq.int_norm_rows ins(%{{.*}} : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%{{.*}} : tensor<?x8xi8>) {centred, epsilon = 41 : i64
func.func @layer_norm(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @rms_norm
// CHECK: sq.int_norm_rows ins(%{{.*}} : tensor<17xi16>, tensor<48xi32>, tensor<32xi64>)
// CHECK-NOT: centred
func.func @rms_norm(%x: tensor<17xi16>, %m: tensor<48xi32>, %b: tensor<32xi64>, %init: tensor<17xi16>) -> tensor<17xi16> {
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<17xi16>, tensor<48xi32>, tensor<32xi64>) outs(%init : tensor<17xi16>) {shift = 0 : i64, epsilon = 41 : i64, exponent = 55 : i32} -> tensor<17xi16>
  return %y : tensor<17xi16>
}

// CHECK-LABEL: @memrefs
// CHECK: sq.int_norm_rows ins(%{{.*}} : memref<?x8xi16>, memref<32xi32>, memref<16xi64>) outs(%{{.*}} : memref<?x8xi8>)
func.func @memrefs(%x: memref<?x8xi16>, %m: memref<32xi32>, %b: memref<16xi64>, %y: memref<?x8xi8>) {
  sq.int_norm_rows ins(%x, %m, %b : memref<?x8xi16>, memref<32xi32>, memref<16xi64>) outs(%y : memref<?x8xi8>) {shift = 0 : i64, epsilon = 41 : i64, exponent = 55 : i32}
  return
}
