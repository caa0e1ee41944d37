// RUN: sq-opt %s --sq-split-dense-and-sparse --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-split-dense-and-sparse --sq-split-dense-and-sparse --split-input-file | FileCheck %s
// There and back.
// RUN: sq-opt %s --sq-split-dense-and-sparse --sq-fuse-dense-and-sparse --split-input-file | FileCheck %s --check-prefix=BACK

// CHECK-LABEL: @both
// CHECK-SAME: (%[[X:.*]]: tensor<?x40xf32>, %[[C:.*]]: tensor<8x6xi32>, %[[T:.*]]: tensor<8x8xf16>, %[[S:.*]]: tensor<8x40xf16>, %[[INIT:.*]]: tensor<?x8xf32>)
// CHECK-NOT: dense_and_sparse
// CHECK: %[[A:.*]] = sq.lut_matmul ins(%[[X]], %[[C]], %[[T]] : {{.*}}) outs(%[[INIT]]
// CHECK: %[[B:.*]] = sq.csr_matmul ins(%[[X]], %[[S]] : {{.*}}) outs(%[[INIT]]
// CHECK: %[[Y:.*]] = linalg.add ins(%[[A]], %[[B]] : {{.*}}) outs(%[[INIT]]
// CHECK: return %[[Y]]
// BACK-LABEL: @both
// BACK-SAME: (%[[X:.*]]: tensor<?x40xf32>, %[[C:.*]]: tensor<8x6xi32>, %[[T:.*]]: tensor<8x8xf16>, %[[S:.*]]: tensor<8x40xf16>, %[[INIT:.*]]: tensor<?x8xf32>)
// BACK-NEXT: %[[Y:.*]] = sq.dense_and_sparse_matmul ins(%[[X]], %[[C]], %[[T]], %[[S]] : {{.*}}) outs(%[[INIT]]
// BACK-NEXT: return %[[Y]]
func.func @both(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// No entry: nothing to add.
// CHECK-LABEL: @empty
// CHECK-NOT: linalg.add
// CHECK: %[[Y:.*]] = sq.lut_matmul
// CHECK-NEXT: return %[[Y]]
// BACK-LABEL: @empty
func.func @empty(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = arith.constant dense<0> : tensor<9xi32>
  %l = arith.constant dense<> : tensor<0xi16>
  %v = arith.constant dense<> : tensor<0xf16>
  %s = sq.csr %p, %l, %v : tensor<9xi32>, tensor<0xi16>, tensor<0xf16> -> tensor<8x40xf16>
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
