// RUN: sq-opt %s --sq-differentiate="checkpoints=true" --canonicalize | FileCheck %s
// RUN: sq-opt %s --sq-differentiate --canonicalize | FileCheck %s --check-prefix=PLAIN
// RUN: sq-opt %s --sq-differentiate="products=true" --canonicalize | FileCheck %s --check-prefix=PRODUCTS

// A block with a residual connection. Its input is all that is read behind it, by two ops: what lies between that and the
// block's end is made of it again. What comes behind the last such value is there when the backward pass begins.
// CHECK-LABEL: func.func @main(
// CHECK: %[[H:[a-z0-9_]+]] = sq.linear ins(%{{[a-z0-9_]+}}, %[[IN:[a-z0-9_]+]] :
// CHECK: %[[A:[a-z0-9_]+]] = sq.gelu ins(%[[H]] :
// CHECK: %[[M:[a-z0-9_]+]] = sq.linear ins(%[[A]], %[[UP:[a-z0-9_]+]] :
// CHECK: %[[G:[a-z0-9_]+]] = sq.gelu ins(%[[M]] :
// CHECK: sq.linear ins(%[[G]], %[[DOWN:[a-z0-9_]+]] :
// CHECK: sq.cross_entropy
// CHECK: %[[AGAIN:[a-z0-9_]+]] = sq.recompute %[[H]]
// CHECK: %[[A2:[a-z0-9_]+]] = sq.gelu ins(%[[AGAIN]] :
// CHECK: %[[M2:[a-z0-9_]+]] = sq.linear ins(%[[A2]], %[[UP]] :
// CHECK: sq.gelu ins(%[[M2]] :
// CHECK-NOT: sq.recompute %[[M]]
// CHECK: return

// PLAIN-LABEL: func.func @main(
// PLAIN: %[[H:[a-z0-9_]+]] = sq.linear
// PLAIN: %[[M:[a-z0-9_]+]] = sq.linear
// PLAIN: sq.recompute %[[M]]
// PLAIN: return

// Products of the Hessian: a vector for each weight, and no gradients.
// PRODUCTS-LABEL: func.func @main(
// PRODUCTS-SAME: tensor<4x4xf32> {{{.*}}sq.name = "vector:in"}
// PRODUCTS-SAME: sq.name = "vector:head"}) -> (tensor<?xf32> {{{.*}}sq.name = "loss"}, tensor<4x4xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "product:in"}
// PRODUCTS-SAME: sq.name = "product:head"})
// PRODUCTS-NOT: sq.name = "gradient:
func.func @main(%x: tensor<?x4xf32> {sq.name = "x", sq.dims = ["n", ""], sq.dtype = "f32"})
    -> (tensor<?x4xf32> {sq.name = "y", sq.dims = ["n", ""], sq.dtype = "f32"}) {
  %in = arith.constant dense<1.0> : tensor<4x4xf32>
  %up = arith.constant dense<2.0> : tensor<4x8xf32>
  %down = arith.constant dense<3.0> : tensor<8x4xf32>
  %head = arith.constant dense<4.0> : tensor<4x4xf32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %f = tensor.empty(%n) : tensor<?x8xf32>
  %h = sq.linear ins(%x, %in : tensor<?x4xf32>, tensor<4x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32> loc("in")
  %a = sq.gelu ins(%h : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %m = sq.linear ins(%a, %up : tensor<?x4xf32>, tensor<4x8xf32>) outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32> loc("up")
  %g = sq.gelu ins(%m : tensor<?x8xf32>) outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32>
  %d = sq.linear ins(%g, %down : tensor<?x8xf32>, tensor<8x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32> loc("down")
  %c = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%h, %d : tensor<?x4xf32>, tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x4xf32>
  %r = sq.gelu ins(%c : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %t = sq.silu ins(%r : tensor<?x4xf32>) up(%c : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = sq.linear ins(%t, %head : tensor<?x4xf32>, tensor<4x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32> loc("head")
  return %y : tensor<?x4xf32>
}
