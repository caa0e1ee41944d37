// RUN: sq-opt %s --sq-lower-losses | FileCheck %s
// RUN: sq-opt %s --sq-lower-losses --sq-lower-losses | FileCheck %s

// Logits of an image of tokens become rows; a label below 0 does not count, one too large is NaN.
// CHECK-LABEL: @next_tokens
// CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0], [1, 2], [3]{{\]}} : tensor<?x2x3x9xf32> into tensor<?x6x9xf32>
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: math.log
// CHECK: arith.cmpi ult
// CHECK: tensor.extract
// CHECK: arith.cmpi sge
// CHECK-NOT: sq.cross_entropy
func.func @next_tokens(%x: tensor<?x2x3x9xf32>, %l: tensor<?x2x3xi64>, %init: tensor<?xf32>) -> tensor<?xf32> {
  %y = sq.cross_entropy ins(%x, %l : tensor<?x2x3x9xf32>, tensor<?x2x3xi64>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: @divergence
// CHECK-COUNT-2: math.log
// CHECK-NOT: sq.kl_divergence
func.func @divergence(%x: tensor<2x9xf64>, %r: tensor<2x9xf64>, %init: tensor<2xf64>) -> tensor<2xf64> {
  %y = sq.kl_divergence ins(%x, %r : tensor<2x9xf64>, tensor<2x9xf64>) outs(%init : tensor<2xf64>) -> tensor<2xf64>
  return %y : tensor<2xf64>
}

// CHECK-LABEL: @error
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK-NOT: sq.squared_error
func.func @error(%x: tensor<2x4x9xf32>, %r: tensor<2x4x9xf32>, %init: tensor<2xf32>) -> tensor<2xf32> {
  %y = sq.squared_error ins(%x, %r : tensor<2x4x9xf32>, tensor<2x4x9xf32>) outs(%init : tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
