// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @both
// CHECK: sq.dense_and_sparse_matmul ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
func.func @both(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
