// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensors
func.func @tensors(%i: tensor<2x?xi64>, %u: tensor<2x?x8xf32>, %y: tensor<2x9x8xf32>) -> tensor<2x9x8xf32> {
  // CHECK: sq.scatter "add" ins(%{{.*}}, %{{.*}} : tensor<2x?xi64>, tensor<2x?x8xf32>) outs(%{{.*}} : tensor<2x9x8xf32>) -> tensor<2x9x8xf32>
  %0 = sq.scatter "add" ins(%i, %u : tensor<2x?xi64>, tensor<2x?x8xf32>) outs(%y : tensor<2x9x8xf32>) -> tensor<2x9x8xf32>
  return %0 : tensor<2x9x8xf32>
}

// CHECK-LABEL: @buffers
func.func @buffers(%i: memref<1x?xi64>, %u: memref<1x?x1xi8>, %y: memref<1x9x1xi8>) {
  // CHECK: sq.scatter "max" ins(%{{.*}}, %{{.*}} : memref<1x?xi64>, memref<1x?x1xi8>) outs(%{{.*}} : memref<1x9x1xi8>) {is_unsigned}
  sq.scatter "max" ins(%i, %u : memref<1x?xi64>, memref<1x?x1xi8>) outs(%y : memref<1x9x1xi8>) {is_unsigned}
  return
}
