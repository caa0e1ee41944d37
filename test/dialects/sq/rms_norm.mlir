// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensors
func.func @tensors(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.rms_norm ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>) outs(%{{.*}} : tensor<?x8xf32>) {epsilon = 9.99999974E-6 : f32} -> tensor<?x8xf32>
  %y = sq.rms_norm ins(%x, %s : tensor<?x8xf32>, tensor<8xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @buffers
func.func @buffers(%x: memref<?x8xf32>, %s: memref<8xf32>, %y: memref<?x8xf32>) {
  // CHECK: sq.rms_norm ins(%{{.*}}, %{{.*}} : memref<?x8xf32>, memref<8xf32>) outs(%{{.*}} : memref<?x8xf32>) {epsilon = 9.99999974E-6 : f32}
  sq.rms_norm ins(%x, %s : memref<?x8xf32>, memref<8xf32>) outs(%y : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  return
}
