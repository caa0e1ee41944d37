// RUN: sq-opt %s --sq-raise-composites --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-raise-composites --sq-raise-composites --split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
#row = affine_map<(d0, d1) -> (d0)>

// CHECK-LABEL: @bias
// CHECK-SAME: %[[B:[a-z0-9]*]]: tensor<8xf32>
// CHECK: %[[Y:.*]] = sq.linear ins({{.*}}) bias(%[[B]] : tensor<8xf32>) outs({{.*}}) {transpose_weight}
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @bias(%x: tensor<8x4xf32>, %w: tensor<8x4xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %e = tensor.empty() : tensor<8x8xf32>
  %p = sq.linear ins(%x, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%e : tensor<8x8xf32>) {transpose_weight} -> tensor<8x8xf32>
  %y = linalg.generic {indexing_maps = [#column, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%b, %p : tensor<8xf32>, tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %j, %i : f32
    linalg.yield %r : f32
  } -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// Over the rows, it is no bias.
// CHECK-LABEL: @bias_of_rows
// CHECK: sq.linear
// CHECK-NOT: bias
// CHECK: linalg.generic
func.func @bias_of_rows(%x: tensor<8x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %e = tensor.empty() : tensor<8x8xf32>
  %p = sq.linear ins(%x, %w : tensor<8x4xf32>, tensor<4x8xf32>) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// The product is used without the bias too.
// CHECK-LABEL: @product_used_twice
// CHECK: sq.linear
// CHECK-NOT: bias
// CHECK: linalg.generic
func.func @product_used_twice(%x: tensor<8x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>) {
  %e = tensor.empty() : tensor<8x8xf32>
  %p = sq.linear ins(%x, %w : tensor<8x4xf32>, tensor<4x8xf32>) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<8x8xf32>
  return %p, %y : tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0, 0)>

// CHECK-LABEL: @swiglu
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[U:.*]]: tensor<?x8xf32>, %[[E:.*]]: tensor<?x8xf32>)
// CHECK: %[[Y:.*]] = sq.silu ins(%[[X]] : tensor<?x8xf32>) up(%[[U]] : tensor<?x8xf32>) outs(%[[E]] : tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @swiglu(%x: tensor<?x8xf32>, %up: tensor<?x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = sq.silu ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%up, %s : tensor<?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.mulf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// One factor per row is no gate.
// CHECK-LABEL: @scaled_rows
// CHECK: sq.silu
// CHECK-NOT: up(
// CHECK: linalg.generic
func.func @scaled_rows(%x: tensor<?x8xf32>, %up: tensor<?x1xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = sq.silu ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%s, %up : tensor<?x8xf32>, tensor<?x1xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.mulf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#one = affine_map<(d0, d1, d2) -> (0, d1, d2)>
#swap = affine_map<(d0, d1, d2) -> (d1, d0, d2)>

// CHECK-LABEL: @embeddings
// CHECK-SAME: (%[[I:.*]]: tensor<?x5xi64>, %[[J:.*]]: tensor<1x5xi64>, %[[T:.*]]: tensor<9x8xf32>, %[[U:.*]]: tensor<7x8xf32>
// CHECK: %[[Y:.*]] = sq.embedding ins(%[[I]], %[[J]] : tensor<?x5xi64>, tensor<1x5xi64>) tables(%[[T]], %[[U]] : tensor<9x8xf32>, tensor<7x8xf32>)
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @embeddings(%i: tensor<?x5xi64>, %j: tensor<1x5xi64>, %t: tensor<9x8xf32>, %u: tensor<7x8xf32>, %e: tensor<?x5x8xf32>) -> tensor<?x5x8xf32> {
  %f = tensor.empty() : tensor<1x5x8xf32>
  %a = sq.embedding ins(%i : tensor<?x5xi64>) tables(%t : tensor<9x8xf32>) outs(%e : tensor<?x5x8xf32>) -> tensor<?x5x8xf32>
  %b = sq.embedding ins(%j : tensor<1x5xi64>) tables(%u : tensor<7x8xf32>) outs(%f : tensor<1x5x8xf32>) -> tensor<1x5x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #one, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%a, %b : tensor<?x5x8xf32>, tensor<1x5x8xf32>) outs(%e : tensor<?x5x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<?x5x8xf32>
  return %y : tensor<?x5x8xf32>
}

// CHECK-LABEL: @transposed_embedding
// CHECK: sq.embedding
// CHECK: sq.embedding
// CHECK: linalg.generic
func.func @transposed_embedding(%i: tensor<5x5xi64>, %t: tensor<9x8xf32>, %u: tensor<7x8xf32>, %e: tensor<5x5x8xf32>) -> tensor<5x5x8xf32> {
  %a = sq.embedding ins(%i : tensor<5x5xi64>) tables(%t : tensor<9x8xf32>) outs(%e : tensor<5x5x8xf32>) -> tensor<5x5x8xf32>
  %b = sq.embedding ins(%i : tensor<5x5xi64>) tables(%u : tensor<7x8xf32>) outs(%e : tensor<5x5x8xf32>) -> tensor<5x5x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%a, %b : tensor<5x5x8xf32>, tensor<5x5x8xf32>) outs(%e : tensor<5x5x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<5x5x8xf32>
  return %y : tensor<5x5x8xf32>
}
