// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @per_sample
func.func @per_sample(%x: tensor<?x16x99xf32>, %l: tensor<?x16xi64>, %init: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK: sq.cross_entropy ins(%{{.*}}, %{{.*}} : tensor<?x16x99xf32>, tensor<?x16xi64>) outs(%{{.*}} : tensor<?xf32>) -> tensor<?xf32>
  %y = sq.cross_entropy ins(%x, %l : tensor<?x16x99xf32>, tensor<?x16xi64>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
