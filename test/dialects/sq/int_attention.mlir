// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: func.func @with_keep
// CHECK: sq.int_attention ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>) keep(%{{.*}} : tensor<?x1x1x?xi8>) outs(%{{.*}} : tensor<?x?x2x32xi8>) {exp_factor = 1890 : i64, exp_shift = 2 : i64, exponent = 30 : i32, multiplier = 1610612736 : i32} -> tensor<?x?x2x32xi8>
func.func @with_keep(%q: tensor<?x?x2x32xi8>, %k: tensor<?x?x2x32xi8>, %v: tensor<?x?x2x32xi8>, %keep: tensor<?x1x1x?xi8>, %init: tensor<?x?x2x32xi8>) -> tensor<?x?x2x32xi8> {
  %y = sq.int_attention ins(%q, %k, %v : tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>) keep(%keep : tensor<?x1x1x?xi8>) outs(%init : tensor<?x?x2x32xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<?x?x2x32xi8>
  return %y : tensor<?x?x2x32xi8>
}

// Heads that share keys, on memrefs.
// CHECK-LABEL: func.func @shared_keys
// CHECK: sq.int_attention ins(%{{.*}}) outs(%{{.*}} : memref<?x?x4x8xi8>) {causal, {{.*}}is_unsigned, k_unsigned, {{.*}}zero_point = 128 : i64}
func.func @shared_keys(%q: memref<?x?x4x8xi8>, %k: memref<?x?x2x8xi8>, %v: memref<?x?x2x8xi8>, %init: memref<?x?x4x8xi8>) {
  sq.int_attention ins(%q, %k, %v : memref<?x?x4x8xi8>, memref<?x?x2x8xi8>, memref<?x?x2x8xi8>) outs(%init : memref<?x?x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32, causal, k_unsigned, is_unsigned, zero_point = 128 : i64}
  return
}
