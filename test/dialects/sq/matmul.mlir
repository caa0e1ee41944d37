// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @batched
func.func @batched(%a: tensor<?x2x8x4xf32>, %b: tensor<?x2x4x8xf32>, %init: tensor<?x2x8x8xf32>) -> tensor<?x2x8x8xf32> {
  // CHECK: sq.matmul ins(%{{.*}}, %{{.*}} : tensor<?x2x8x4xf32>, tensor<?x2x4x8xf32>) outs(%{{.*}} : tensor<?x2x8x8xf32>) -> tensor<?x2x8x8xf32>
  %c = sq.matmul ins(%a, %b : tensor<?x2x8x4xf32>, tensor<?x2x4x8xf32>) outs(%init : tensor<?x2x8x8xf32>) -> tensor<?x2x8x8xf32>
  return %c : tensor<?x2x8x8xf32>
}

// CHECK-LABEL: @broadcast
func.func @broadcast(%a: tensor<1x8x4xf32>, %b: tensor<3x4x?xf32>, %init: tensor<3x8x?xf32>) -> tensor<3x8x?xf32> {
  // CHECK: sq.matmul ins(%{{.*}}, %{{.*}} : tensor<1x8x4xf32>, tensor<3x4x?xf32>)
  %c = sq.matmul ins(%a, %b : tensor<1x8x4xf32>, tensor<3x4x?xf32>) outs(%init : tensor<3x8x?xf32>) -> tensor<3x8x?xf32>
  return %c : tensor<3x8x?xf32>
}

// CHECK-LABEL: @on_memrefs
func.func @on_memrefs(%a: memref<8x4xf32>, %b: memref<4x8xf32>, %c: memref<8x8xf32>) {
  // CHECK: sq.matmul ins(%{{.*}}, %{{.*}} : memref<8x4xf32>, memref<4x8xf32>) outs(%{{.*}} : memref<8x8xf32>){{$}}
  sq.matmul ins(%a, %b : memref<8x4xf32>, memref<4x8xf32>) outs(%c : memref<8x8xf32>)
  return
}
