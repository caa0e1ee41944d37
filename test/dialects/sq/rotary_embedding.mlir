// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @halves
func.func @halves(%x: tensor<?x?x2x32xf32>, %c: tensor<1x?x16xf32>, %init: tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32> {
  // CHECK: sq.rotary_embedding ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x2x32xf32>, tensor<1x?x16xf32>, tensor<1x?x16xf32>) outs(%{{.*}} : tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32>
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<?x?x2x32xf32>, tensor<1x?x16xf32>, tensor<1x?x16xf32>) outs(%init : tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32>
  return %y : tensor<?x?x2x32xf32>
}

// CHECK-LABEL: @interleaved
func.func @interleaved(%x: tensor<3x5x2x32xf32>, %c: tensor<3x5x32xf32>, %init: tensor<3x5x2x32xf32>) -> tensor<3x5x2x32xf32> {
  // CHECK: sq.rotary_embedding ins({{.*}} : tensor<3x5x2x32xf32>, tensor<3x5x32xf32>, tensor<3x5x32xf32>) outs({{.*}}) {interleaved}
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<3x5x2x32xf32>, tensor<3x5x32xf32>, tensor<3x5x32xf32>) outs(%init : tensor<3x5x2x32xf32>) {interleaved} -> tensor<3x5x2x32xf32>
  return %y : tensor<3x5x2x32xf32>
}
