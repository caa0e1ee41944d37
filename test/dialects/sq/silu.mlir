// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @alone
func.func @alone(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.silu ins(%{{.*}} : tensor<?x8xf32>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = sq.silu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gate
func.func @gate(%x: tensor<?x8xf32>, %up: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.silu ins(%{{.*}} : tensor<?x8xf32>) up(%{{.*}} : tensor<?x8xf32>) outs(%{{.*}} : tensor<?x8xf32>) {alpha = 1.702000e+00 : f32} -> tensor<?x8xf32>
  %y = sq.silu ins(%x : tensor<?x8xf32>) up(%up : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) {alpha = 1.702 : f32} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
