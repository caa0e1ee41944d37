// RUN: sq-opt %s --sq-observe --split-input-file --verify-diagnostics | FileCheck %s
// RUN: sq-opt %s --sq-observe --sq-observe --split-input-file --verify-diagnostics | FileCheck %s

// Composites and what is elementwise next to them; named by the first node of a fused location, and
// in program order where names are equal. Of elementwise ops far from all of them only what is returned.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: -> (tensor<?x8xf32> {sq.dims = ["n", ""], sq.dtype = "f32", sq.name = "y"},
// CHECK-SAME: tensor<?x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "observed:MatMul"},
// CHECK-SAME: tensor<?x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "observed:Add"},
// CHECK-SAME: tensor<?x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "observed:Exp"},
// CHECK-SAME: tensor<?x8xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "observed:MatMul#2"})
// CHECK: %[[A:.*]] = sq.linear
// CHECK: %[[B:.*]] = linalg.add
// CHECK: linalg.exp
// CHECK: %[[Y:.*]] = linalg.exp
// CHECK: %[[C:.*]] = sq.linear
// CHECK: return %[[Y]], %[[A]], %[[B]], %[[Y]], %[[C]]
func.func @main(%x: tensor<?x8xf32> {sq.name = "x", sq.dims = ["n", ""], sq.dtype = "f32"},
                %w: tensor<8x8xf32> {sq.name = "w", sq.dims = ["", ""], sq.dtype = "f32"},
                %init: tensor<?x8xf32> {sq.name = "i", sq.dims = ["n", ""], sq.dtype = "f32"})
    -> (tensor<?x8xf32> {sq.name = "y", sq.dims = ["n", ""], sq.dtype = "f32"}) {
  %a = sq.linear ins(%x, %w : tensor<?x8xf32>, tensor<8x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32> loc(fused["MatMul", "Add"])
  %b = linalg.add ins(%a, %x : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32> loc("Add")
  %c = linalg.exp ins(%b : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32> loc("Exp")
  %y = linalg.exp ins(%c : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32> loc("Exp")
  %d = sq.linear ins(%x, %w : tensor<?x8xf32>, tensor<8x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32> loc("MatMul")
  return %y : tensor<?x8xf32>
}

// -----

// Masks and masked scores are no activations: they hold -inf.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: -> (tensor<2x2xf32> {sq.name = "y"},
// CHECK-SAME: sq.name = "observed:scores"},
// CHECK-SAME: sq.name = "observed:softmax"})
func.func @main(%q: tensor<2x4xf32>, %k: tensor<4x2xf32>, %mask: tensor<2x2xf32>, %init: tensor<2x2xf32>)
    -> (tensor<2x2xf32> {sq.name = "y"}) {
  %s = linalg.matmul ins(%q, %k : tensor<2x4xf32>, tensor<4x2xf32>) outs(%init : tensor<2x2xf32>) -> tensor<2x2xf32> loc("scores")
  %m = linalg.add ins(%s, %mask : tensor<2x2xf32>, tensor<2x2xf32>) outs(%init : tensor<2x2xf32>) -> tensor<2x2xf32> loc("masked")
  %p = sq.softmax ins(%m : tensor<2x2xf32>) outs(%init : tensor<2x2xf32>) -> tensor<2x2xf32> loc("softmax")
  return %p : tensor<2x2xf32>
}

// -----

// expected-error @below {{there are onnx nodes here; observe the graph that --sq-onnx-to-graph makes of them}}
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = onnx.Neg(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error @below {{the module has no function @main}}
module {
}
