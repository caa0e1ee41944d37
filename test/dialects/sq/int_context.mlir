// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @heads
// CHECK: sq.int_context ins(%{{.*}}, %{{.*}} : tensor<?x2x?x32xi32>, tensor<?x2x?x?xi8>) outs(%{{.*}} : tensor<?x2x?x32xi8>) {exponent = 46 : i32, multiplier = 1610612736 : i32} -> tensor<?x2x?x32xi8>
func.func @heads(%x: tensor<?x2x?x32xi32>, %b: tensor<?x2x?x?xi8>, %init: tensor<?x2x?x32xi8>) -> tensor<?x2x?x32xi8> {
  %y = sq.int_context ins(%x, %b : tensor<?x2x?x32xi32>, tensor<?x2x?x?xi8>) outs(%init : tensor<?x2x?x32xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<?x2x?x32xi8>
  return %y : tensor<?x2x?x32xi8>
}
