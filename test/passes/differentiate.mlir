// RUN: sq-opt %s --sq-differentiate --canonicalize --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-differentiate="weight-arguments=true recompute=false" --canonicalize --split-input-file | FileCheck %s --check-prefix=ARGS
// RUN: sq-opt %s --sq-differentiate="loss=kl layers=second" --canonicalize --split-input-file | FileCheck %s --check-prefix=SECOND

// A program of two layers: the loss of each sample, and gradients in the order of the layers. The activation between them is
// computed again for the second one's.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[a-z0-9_]+]]: tensor<?x4xf32>
// CHECK-SAME: %[[L:[a-z0-9_]+]]: tensor<?xi64> {{{.*}}sq.dims = ["n"], sq.dtype = "i64", sq.name = "labels"})
// CHECK-SAME: -> (tensor<?xf32> {sq.dims = [""], sq.dtype = "f32", sq.name = "loss"},
// CHECK-SAME: tensor<4x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "gradient:first"},
// CHECK-SAME: tensor<3x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "gradient:second"})
// CHECK: %[[H:[a-z0-9_]+]] = sq.linear ins(%[[X]], %[[W:[a-z0-9_]+]] :
// CHECK: %[[A:[a-z0-9_]+]] = sq.gelu ins(%[[H]]
// CHECK: %[[Y:[a-z0-9_]+]] = sq.linear ins(%[[A]], %[[V:[a-z0-9_]+]] :
// CHECK: %[[LOSS:[a-z0-9_]+]] = sq.cross_entropy ins(%[[Y]], %[[L]] :
// CHECK: sq.softmax ins(%[[Y]]
// CHECK: %[[DY:[a-z0-9_]+]] = linalg.generic
// CHECK: %[[AGAIN:[a-z0-9_]+]] = sq.recompute %[[H]]
// CHECK: %[[A2:[a-z0-9_]+]] = sq.gelu ins(%[[AGAIN]]
// CHECK: %[[DA:[a-z0-9_]+]] = sq.linear ins(%{{.*}}, %[[V]] : tensor<?x3xf32>, tensor<3x8xf32>)
// CHECK: %[[DV:[a-z0-9_]+]] = sq.matmul ins(%{{.*}}, %[[A2]] :
// CHECK: math.erf
// CHECK: %[[DW:[a-z0-9_]+]] = sq.matmul
// CHECK: return %[[LOSS]], %[[DW]], %[[DV]]

// Weights that are inputs are products of two run-time tensors; what they were is said on the function.
// ARGS-LABEL: func.func @main(
// ARGS-SAME: tensor<4x8xf32> {{{.*}}sq.name = "weight:first"}
// ARGS-SAME: tensor<3x8xf32> {{{.*}}sq.name = "weight:second"}
// ARGS-SAME: value = dense<1.000000e+00> : tensor<4x8xf32>
// ARGS-NOT: sq.linear
// ARGS-NOT: sq.recompute

// Nothing flows further back than it must.
// SECOND-LABEL: func.func @main(
// SECOND-SAME: sq.name = "reference"}
// SECOND-SAME: -> (tensor<?xf32> {sq.dims = [""], sq.dtype = "f32", sq.name = "loss"}, tensor<3x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "gradient:second"})
// SECOND: sq.kl_divergence
// SECOND-COUNT-1: sq.matmul
// SECOND-NOT: sq.matmul
func.func @main(%x: tensor<?x4xf32> {sq.name = "x", sq.dims = ["n", ""], sq.dtype = "f32"})
    -> (tensor<?x3xf32> {sq.name = "y", sq.dims = ["n", ""], sq.dtype = "f32"}) {
  %w = arith.constant dense<1.0> : tensor<4x8xf32>
  %v = arith.constant dense<2.0> : tensor<3x8xf32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %f = tensor.empty(%n) : tensor<?x3xf32>
  %h = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32> loc("first")
  %a = sq.gelu ins(%h : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32> loc("act")
  %y = sq.linear ins(%a, %v : tensor<?x8xf32>, tensor<3x8xf32>) outs(%f : tensor<?x3xf32>) {transpose_weight} -> tensor<?x3xf32> loc("second")
  return %y : tensor<?x3xf32>
}
