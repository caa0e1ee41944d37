// RUN: sq-opt %s --sq-lower-gpu-kernels | FileCheck %s

// A thread for each place beside the updates; it takes them in order.
// CHECK-LABEL: @rows
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK: arith.cmpi ult
// CHECK: scf.if
// CHECK: memref.store
// CHECK: sq.name = "scatter"
func.func @rows(%i: memref<1x?xi64>, %u: memref<1x?x512xf32>, %y: memref<1x9x512xf32>) {
  sq.scatter "add" ins(%i, %u : memref<1x?xi64>, memref<1x?x512xf32>) outs(%y : memref<1x9x512xf32>)
  return
}
