// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s
// RUN: sq-opt %s --cse | FileCheck %s --check-prefix=CSE
// RUN: sq-opt %s --one-shot-bufferize="bufferize-function-boundaries=true" | FileCheck %s --check-prefix=BUFFER

// CHECK-LABEL: @barrier
// CSE-LABEL: @barrier
// BUFFER-LABEL: @barrier
func.func @barrier(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = sq.softmax ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: sq.recompute %{{.*}} : tensor<?x8xf32>
  %y = sq.recompute %x : tensor<?x8xf32>
  // What is computed again is not found equal to what there was.
  // CSE: sq.softmax
  // CSE: sq.softmax
  // BUFFER-NOT: sq.recompute
  %b = sq.softmax ins(%y : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}
