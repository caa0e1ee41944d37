// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @per_sample
func.func @per_sample(%x: tensor<?x99xf32>, %l: tensor<?x99xf32>, %init: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK: sq.kl_divergence ins(%{{.*}}, %{{.*}} : tensor<?x99xf32>, tensor<?x99xf32>) outs(%{{.*}} : tensor<?xf32>) -> tensor<?xf32>
  %y = sq.kl_divergence ins(%x, %l : tensor<?x99xf32>, tensor<?x99xf32>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
