// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @plain
// CHECK: sq.int_softmax ins(%{{.*}} : tensor<?x8xi32>) outs(%{{.*}} : tensor<?x8xi8>) {deferred, exp_b = 8663 : i64
func.func @plain(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_softmax ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, deferred} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @masked
// CHECK: sq.int_softmax ins(%{{.*}} : tensor<?x2x?x?xi32>) keep(%{{.*}} : tensor<?x1x1x?xi1>) outs(%{{.*}} : tensor<?x2x?x?xi8>) {{.*}}fully_masked_uniform
func.func @masked(%x: tensor<?x2x?x?xi32>, %keep: tensor<?x1x1x?xi1>, %init: tensor<?x2x?x?xi8>) -> tensor<?x2x?x?xi8> {
  %y = sq.int_softmax ins(%x : tensor<?x2x?x?xi32>) keep(%keep : tensor<?x1x1x?xi1>) outs(%init : tensor<?x2x?x?xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, fully_masked_uniform} -> tensor<?x2x?x?xi8>
  return %y : tensor<?x2x?x?xi8>
}
