// RUN: sq-opt %s --split-input-file --sq-cache-states=required=true --verify-diagnostics

// Positions that the program counts itself: a later part would begin at 0 again.
// expected-error @+1 {{is not computed place by place}}
func.func @main(%ids: tensor<?x?xi64> {sq.name = "ids", sq.dtype = "i64", sq.dims = ["batch", "sequence"]}) -> (tensor<?x?x16xf32> {sq.name = "y", sq.dtype = "f32"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %table = arith.constant dense<0.5> : tensor<50x16xf32>
  %b = tensor.dim %ids, %c0 : tensor<?x?xi64>
  %t = tensor.dim %ids, %c1 : tensor<?x?xi64>
  %pe = tensor.empty(%t) : tensor<?xi64>
  %p = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%pe : tensor<?xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %n = arith.index_cast %i : index to i64
    linalg.yield %n : i64
  } -> tensor<?xi64>
  %e = tensor.empty(%b, %t) : tensor<?x?x16xf32>
  %x = sq.embedding ins(%ids, %p : tensor<?x?xi64>, tensor<?xi64>) tables(%table, %table : tensor<50x16xf32>, tensor<50x16xf32>) outs(%e : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %q = tensor.expand_shape %x [[0], [1], [2, 3]] output_shape [%b, %t, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %qe = tensor.empty(%b, %t) : tensor<?x?x2x8xf32>
  %a = sq.attention ins(%q, %q, %q : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%qe : tensor<?x?x2x8xf32>) {causal, scale = 0.25 : f32} -> tensor<?x?x2x8xf32>
  %y = tensor.collapse_shape %a [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// -----

// An attention to all places, also later ones.
// expected-error @+1 {{an attention is not causal}}
func.func @main(%ids: tensor<?x?xi64> {sq.name = "ids", sq.dtype = "i64", sq.dims = ["batch", "sequence"]}, %q: tensor<?x?x2x8xf32> {sq.name = "q", sq.dtype = "f32", sq.dims = ["batch", "sequence", "", ""]}) -> tensor<?x?x2x8xf32> {
  %a = sq.attention ins(%q, %q, %q : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%q : tensor<?x?x2x8xf32>) {scale = 0.25 : f32} -> tensor<?x?x2x8xf32>
  return %a : tensor<?x?x2x8xf32>
}
