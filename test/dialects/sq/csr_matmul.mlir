// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @product
// CHECK: sq.csr_matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x40xf16>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
func.func @product(%x: tensor<?x40xf32>, %w: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.csr_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
