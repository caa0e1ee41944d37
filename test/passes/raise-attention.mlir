// RUN: sq-opt %s --sq-raise-attention --canonicalize | FileCheck %s
// RUN: sq-opt %s --sq-raise-attention --sq-raise-attention --canonicalize | FileCheck %s

// Scaled dot-product attention between [b, s, h, d] tensors, as exporters leave
// it: transpositions, two products, softmax, factors and an additive mask.

#id = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#keys = affine_map<(d0, d1, d2, d3) -> (d0, 0, 0, d3)>
#rows = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
#last = affine_map<(d0, d1, d2, d3) -> (d3)>
#query = affine_map<(d0, d1, d2, d3) -> (0, 0, d2, 0)>

// CHECK-LABEL: @plain
// CHECK-SAME: (%[[Q:.*]]: tensor<2x5x4x8xf32>, %[[K:.*]]: tensor<2x7x4x8xf32>, %[[V:.*]]: tensor<2x7x4x8xf32>)
// CHECK-NOT: sq.matmul
// CHECK-NOT: sq.softmax
// CHECK: %[[INIT:.*]] = tensor.empty() : tensor<2x5x4x8xf32>
// CHECK: %[[O:.*]] = sq.attention ins(%[[Q]], %[[K]], %[[V]] : {{.*}}) outs(%[[INIT]] : tensor<2x5x4x8xf32>) {scale = 1.000000e+00 : f32}
// CHECK-NOT: linalg.transpose
// CHECK: return %[[O]]
func.func @plain(%q: tensor<2x5x4x8xf32>, %k: tensor<2x7x4x8xf32>, %v: tensor<2x7x4x8xf32>) -> tensor<2x5x4x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x7xf32>
  %ev = tensor.empty() : tensor<2x4x7x8xf32>
  %es = tensor.empty() : tensor<2x4x5x7xf32>
  %eo = tensor.empty() : tensor<2x5x4x8xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k : tensor<2x7x4x8xf32>) outs(%ek : tensor<2x4x8x7xf32>) permutation = [0, 2, 3, 1]
  %vt = linalg.transpose ins(%v : tensor<2x7x4x8xf32>) outs(%ev : tensor<2x4x7x8xf32>) permutation = [0, 2, 1, 3]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x7xf32>) outs(%es : tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x7xf32>) outs(%es : tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %o = sq.matmul ins(%p, %vt : tensor<2x4x5x7xf32>, tensor<2x4x7x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %ot = linalg.transpose ins(%o : tensor<2x4x5x8xf32>) outs(%eo : tensor<2x5x4x8xf32>) permutation = [0, 2, 1, 3]
  return %ot : tensor<2x5x4x8xf32>
}

// The result stays in its place, [b, h, s, d], where nothing transposes it back;
// the key may be transposed in two steps.
// CHECK-LABEL: @two_step_key
// CHECK-SAME: (%[[Q:.*]]: tensor<2x5x4x8xf32>, %[[K:.*]]: tensor<2x7x4x8xf32>)
// CHECK: %[[O:.*]] = sq.attention ins(%[[Q]], %[[K]], %[[K]] :
// CHECK: %[[T:.*]] = linalg.transpose ins(%[[O]] : tensor<2x5x4x8xf32>) outs({{.*}} : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
// CHECK: return %[[T]]
func.func @two_step_key(%q: tensor<2x5x4x8xf32>, %k: tensor<2x7x4x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x7xf32>
  %ev = tensor.empty() : tensor<2x4x7x8xf32>
  %es = tensor.empty() : tensor<2x4x5x7xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt0 = linalg.transpose ins(%k : tensor<2x7x4x8xf32>) outs(%ev : tensor<2x4x7x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%kt0 : tensor<2x4x7x8xf32>) outs(%ek : tensor<2x4x8x7xf32>) permutation = [0, 1, 3, 2]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x7xf32>) outs(%es : tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x7xf32>) outs(%es : tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %o = sq.matmul ins(%p, %kt0 : tensor<2x4x5x7xf32>, tensor<2x4x7x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// Factors on q (0.5), k (1/4) and the scores (3) are one scale; those before
// the mask's addition do not touch the mask.
// CHECK-LABEL: @scaled_masked
// CHECK-SAME: (%[[Q:.*]]: tensor<?x?x4x8xf32>, %[[K:.*]]: tensor<?x?x4x8xf32>, %[[M:.*]]: tensor<?x1x1x?xf32>
// CHECK-NOT: linalg.generic
// CHECK-NOT: sq.matmul
// CHECK: sq.attention ins(%[[Q]], %[[K]], %[[K]] : {{.*}}) mask(%[[M]] : tensor<?x1x1x?xf32>) outs({{.*}}) {scale = 3.750000e-01 : f32}
// CHECK-NOT: sq.matmul
// CHECK: return
func.func @scaled_masked(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x4x8xf32>, %m: tensor<?x1x1x?xf32>, %b: index, %n: index, %t: index) -> tensor<?x4x?x8xf32> {
  %half = arith.constant 0.5 : f32
  %four = arith.constant 4.0 : f32
  %three = arith.constant 3.0 : f32
  %eq = tensor.empty(%b, %n) : tensor<?x4x?x8xf32>
  %eq0 = tensor.empty(%b, %n) : tensor<?x?x4x8xf32>
  %ek = tensor.empty(%b, %t) : tensor<?x4x8x?xf32>
  %ev = tensor.empty(%b, %t) : tensor<?x4x?x8xf32>
  %es = tensor.empty(%b, %n, %t) : tensor<?x4x?x?xf32>
  %qs = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%q : tensor<?x?x4x8xf32>) outs(%eq0 : tensor<?x?x4x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.mulf %half, %i : f32
    linalg.yield %r : f32
  } -> tensor<?x?x4x8xf32>
  %qt = linalg.transpose ins(%qs : tensor<?x?x4x8xf32>) outs(%eq : tensor<?x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k : tensor<?x?x4x8xf32>) outs(%ek : tensor<?x4x8x?xf32>) permutation = [0, 2, 3, 1]
  %ks = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%kt : tensor<?x4x8x?xf32>) outs(%ek : tensor<?x4x8x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.divf %i, %four : f32
    linalg.yield %r : f32
  } -> tensor<?x4x8x?xf32>
  %vt = linalg.transpose ins(%k : tensor<?x?x4x8xf32>) outs(%ev : tensor<?x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %s = sq.matmul ins(%qt, %ks : tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>) outs(%es : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %ss = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s : tensor<?x4x?x?xf32>) outs(%es : tensor<?x4x?x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.mulf %i, %three : f32
    linalg.yield %r : f32
  } -> tensor<?x4x?x?xf32>
  %sm = linalg.generic {indexing_maps = [#id, #keys, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%ss, %m : tensor<?x4x?x?xf32>, tensor<?x1x1x?xf32>) outs(%es : tensor<?x4x?x?xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<?x4x?x?xf32>
  %p = sq.softmax ins(%sm : tensor<?x4x?x?xf32>) outs(%es : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %o = sq.matmul ins(%p, %vt : tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) outs(%eq : tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %o : tensor<?x4x?x8xf32>
}

// A mask of rank 2 (causal) is added from the left; it becomes [1, 1, s, t].
// CHECK-LABEL: @mask_of_rank_2
// CHECK-SAME: (%[[Q:.*]]: tensor<2x5x4x8xf32>, %[[M:.*]]: tensor<5x5xf32>)
// CHECK: %[[M4:.*]] = tensor.expand_shape %[[M]] {{\[}}[0, 1, 2], [3]] output_shape [1, 1, 5, 5] : tensor<5x5xf32> into tensor<1x1x5x5xf32>
// CHECK: sq.attention ins(%[[Q]], %[[Q]], %[[Q]] : {{.*}}) mask(%[[M4]] : tensor<1x1x5x5xf32>)
func.func @mask_of_rank_2(%q: tensor<2x5x4x8xf32>, %m: tensor<5x5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#rows, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%m, %s : tensor<5x5xf32>, tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// CHECK-LABEL: @mask_of_rank_1
// CHECK: %[[M4:.*]] = tensor.expand_shape %{{.*}} {{\[}}[0, 1, 2, 3]] output_shape [1, 1, 1, 5]
// CHECK: sq.attention {{.*}} mask(%[[M4]] : tensor<1x1x1x5xf32>)
func.func @mask_of_rank_1(%q: tensor<2x5x4x8xf32>, %m: tensor<5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// Scores that are also a result stay; the attention does not depend on them.
// CHECK-LABEL: @scores_used_twice
// CHECK-DAG: sq.softmax
// CHECK-DAG: sq.attention
func.func @scores_used_twice(%q: tensor<2x5x4x8xf32>) -> (tensor<2x4x5x8xf32>, tensor<2x4x5x5xf32>) {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o, %p : tensor<2x4x5x8xf32>, tensor<2x4x5x5xf32>
}

// The scores are used as they are.
// CHECK-LABEL: @no_softmax
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @no_softmax(%q: tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%s, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// A factor behind the mask's addition scales the mask as well.
// CHECK-LABEL: @scaled_mask
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @scaled_mask(%q: tensor<2x5x4x8xf32>, %m: tensor<5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %ss = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %o_: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.mulf %i, %c : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%ss : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// A factor on the value is none of the scores.
// CHECK-LABEL: @scaled_value
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @scaled_value(%q: tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %vs = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%qt : tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) {
  ^bb0(%i: f32, %o_: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.mulf %i, %c : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x8xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %vs : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// The value is [b, h, t, d] already and is transposed.
// CHECK-LABEL: @value_not_transposed
// CHECK-SAME: (%[[Q:.*]]: tensor<2x5x4x8xf32>, %[[V:.*]]: tensor<2x4x5x8xf32>)
// CHECK-NOT: sq.matmul
// CHECK: %[[T:.*]] = linalg.transpose ins(%[[V]] : tensor<2x4x5x8xf32>) outs({{.*}} : tensor<2x5x4x8xf32>) permutation = [0, 2, 1, 3]
// CHECK: sq.attention ins(%[[Q]], %[[Q]], %[[T]] :
// CHECK-NOT: sq.matmul
func.func @value_not_transposed(%q: tensor<2x5x4x8xf32>, %v: tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %v : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// Two masks are added to each other first, no larger than they are.
// CHECK-LABEL: @two_masks
// CHECK-SAME: %[[M:[a-z0-9]*]]: tensor<5xf32>
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[M]], %[[M]] : tensor<5xf32>, tensor<5xf32>) outs({{.*}} : tensor<1x1x1x5xf32>)
// CHECK: sq.attention {{.*}} mask(%[[SUM]] : tensor<1x1x1x5xf32>)
func.func @two_masks(%q: tensor<2x5x4x8xf32>, %m: tensor<5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %s1 = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %s2 = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s1, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%s2 : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// A mask [1, 1, s, 1] is made to run over the keys.
// CHECK-LABEL: @mask_along_queries
// CHECK-SAME: %[[M:[a-z0-9]*]]: tensor<1x1x5x1xf32>
// CHECK: %[[L:.*]] = linalg.generic {{.*}} ins(%[[M]] : tensor<1x1x5x1xf32>) outs({{.*}} : tensor<1x1x5x5xf32>)
// CHECK: sq.attention {{.*}} mask(%[[L]] : tensor<1x1x5x5xf32>)
func.func @mask_along_queries(%q: tensor<2x5x4x8xf32>, %m: tensor<1x1x5x1xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#id, #query, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<1x1x5x1xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// Not an addition.
// CHECK-LABEL: @subtracted_mask
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @subtracted_mask(%q: tensor<2x5x4x8xf32>, %m: tensor<5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.subf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// c / scores is no factor.
// CHECK-LABEL: @divided_into_scores
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @divided_into_scores(%q: tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %ss = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %o_: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.divf %c, %i : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%ss : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// The result is written into an argument; its sizes have no tensor.empty.
// CHECK-LABEL: @result_without_sizes
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @result_without_sizes(%q: tensor<2x5x4x8xf32>, %init: tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%init : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// The addition names the mask but does not read it.
// CHECK-LABEL: @scores_added_to_themselves
// CHECK-NOT: sq.attention
// CHECK: sq.matmul
// CHECK: sq.matmul
// CHECK: return
func.func @scores_added_to_themselves(%q: tensor<2x5x4x8xf32>, %m: tensor<5xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x4x8x5xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%ek : tensor<2x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %sm = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %m : tensor<2x4x5x5xf32>, tensor<5xf32>) outs(%es : tensor<2x4x5x5xf32>) {
  ^bb0(%i: f32, %j: f32, %o_: f32):
    %r = arith.addf %i, %i : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%sm : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// One head of k and v is broadcast to those of q: multi-query attention.
// CHECK-LABEL: @shared_key_head
// CHECK: sq.attention ins(%{{.*}}, %[[K:.*]], %[[K]] : tensor<2x5x4x8xf32>, tensor<2x5x1x8xf32>, tensor<2x5x1x8xf32>)
func.func @shared_key_head(%q: tensor<2x5x4x8xf32>, %k: tensor<2x5x1x8xf32>) -> tensor<2x4x5x8xf32> {
  %eq = tensor.empty() : tensor<2x4x5x8xf32>
  %ek = tensor.empty() : tensor<2x1x8x5xf32>
  %ev = tensor.empty() : tensor<2x1x5x8xf32>
  %es = tensor.empty() : tensor<2x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k : tensor<2x5x1x8xf32>) outs(%ek : tensor<2x1x8x5xf32>) permutation = [0, 2, 3, 1]
  %vt = linalg.transpose ins(%k : tensor<2x5x1x8xf32>) outs(%ev : tensor<2x1x5x8xf32>) permutation = [0, 2, 1, 3]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf32>, tensor<2x1x8x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf32>) outs(%es : tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = sq.matmul ins(%p, %vt : tensor<2x4x5x5xf32>, tensor<2x1x5x8xf32>) outs(%eq : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// The same along the batch, whose extent is known at run time only: with the
// keys of one batch for all, a kernel would read past their end.
// CHECK-LABEL: @shared_key_batch
// CHECK-NOT: sq.attention
// CHECK: sq.softmax
func.func @shared_key_batch(%q: tensor<?x5x4x8xf32>, %k: tensor<1x5x4x8xf32>, %b: index) -> tensor<?x4x5x8xf32> {
  %eq = tensor.empty(%b) : tensor<?x4x5x8xf32>
  %ek = tensor.empty() : tensor<1x4x8x5xf32>
  %ev = tensor.empty() : tensor<1x4x5x8xf32>
  %es = tensor.empty(%b) : tensor<?x4x5x5xf32>
  %qt = linalg.transpose ins(%q : tensor<?x5x4x8xf32>) outs(%eq : tensor<?x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k : tensor<1x5x4x8xf32>) outs(%ek : tensor<1x4x8x5xf32>) permutation = [0, 2, 3, 1]
  %vt = linalg.transpose ins(%k : tensor<1x5x4x8xf32>) outs(%ev : tensor<1x4x5x8xf32>) permutation = [0, 2, 1, 3]
  %s = sq.matmul ins(%qt, %kt : tensor<?x4x5x8xf32>, tensor<1x4x8x5xf32>) outs(%es : tensor<?x4x5x5xf32>) -> tensor<?x4x5x5xf32>
  %p = sq.softmax ins(%s : tensor<?x4x5x5xf32>) outs(%es : tensor<?x4x5x5xf32>) -> tensor<?x4x5x5xf32>
  %o = sq.matmul ins(%p, %vt : tensor<?x4x5x5xf32>, tensor<1x4x5x8xf32>) outs(%eq : tensor<?x4x5x8xf32>) -> tensor<?x4x5x8xf32>
  return %o : tensor<?x4x5x8xf32>
}

// f64 has no attention kernel.
// CHECK-LABEL: @f64
// CHECK-NOT: sq.attention
// CHECK: sq.softmax
func.func @f64(%q: tensor<2x5x4x8xf64>) -> tensor<2x4x5x8xf64> {
  %eq = tensor.empty() : tensor<2x4x5x8xf64>
  %ek = tensor.empty() : tensor<2x4x8x5xf64>
  %es = tensor.empty() : tensor<2x4x5x5xf64>
  %qt = linalg.transpose ins(%q : tensor<2x5x4x8xf64>) outs(%eq : tensor<2x4x5x8xf64>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%q : tensor<2x5x4x8xf64>) outs(%ek : tensor<2x4x8x5xf64>) permutation = [0, 2, 3, 1]
  %s = sq.matmul ins(%qt, %kt : tensor<2x4x5x8xf64>, tensor<2x4x8x5xf64>) outs(%es : tensor<2x4x5x5xf64>) -> tensor<2x4x5x5xf64>
  %p = sq.softmax ins(%s : tensor<2x4x5x5xf64>) outs(%es : tensor<2x4x5x5xf64>) -> tensor<2x4x5x5xf64>
  %o = sq.matmul ins(%p, %qt : tensor<2x4x5x5xf64>, tensor<2x4x5x8xf64>) outs(%eq : tensor<2x4x5x8xf64>) -> tensor<2x4x5x8xf64>
  return %o : tensor<2x4x5x8xf64>
}
