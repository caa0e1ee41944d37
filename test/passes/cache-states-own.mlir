// RUN: sq-opt %s --split-input-file --sq-cache-states=required=true | FileCheck %s

// A program without a past: its keys and values become caches.
// CHECK-LABEL: func.func @main
// CHECK-SAME: states = [array<i64: -1, -1, 1, 2, 8>, array<i64: -1, -1, 1, 2, 8>], tokens = 0 : i64
// CHECK: sq.kv_append
// CHECK: sq.kv_append
// CHECK: sq.kv_attend
func.func @main(%ids: tensor<?x?xi64> {sq.name = "ids", sq.dtype = "i64", sq.dims = ["batch", "sequence"]}) -> (tensor<?x?x16xf32> {sq.name = "y", sq.dtype = "f32"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %table = arith.constant dense<0.5> : tensor<50x16xf32>
  %b = tensor.dim %ids, %c0 : tensor<?x?xi64>
  %t = tensor.dim %ids, %c1 : tensor<?x?xi64>
  %e = tensor.empty(%b, %t) : tensor<?x?x16xf32>
  %x = sq.embedding ins(%ids : tensor<?x?xi64>) tables(%table : tensor<50x16xf32>) outs(%e : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %q = tensor.expand_shape %x [[0], [1], [2, 3]] output_shape [%b, %t, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %qe = tensor.empty(%b, %t) : tensor<?x?x2x8xf32>
  %a = sq.attention ins(%q, %q, %q : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%qe : tensor<?x?x2x8xf32>) {causal, scale = 0.25 : f32} -> tensor<?x?x2x8xf32>
  %y = tensor.collapse_shape %a [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}
