// RUN: sq-opt %s --sq-quantize=activations=dynamic --split-input-file --verify-diagnostics | FileCheck %s
// RUN: not sq-opt %s --sq-quantize=activations=f16 --split-input-file 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not sq-opt %s --sq-quantize="activations=dynamic rounding=up" --split-input-file 2>&1 | FileCheck %s --check-prefix=ROUNDING
// RUN: not sq-opt %s --sq-quantize --split-input-file 2>&1 | FileCheck %s --check-prefix=STATS

// NAME: error: there are no activations 'f16'; int8, dynamic
// ROUNDING: error: there is no way 'up' to round weights; gptq, nearest
// STATS: error: cannot read ''

// The scale of a row is its largest magnitude / 127; the product is one of bytes, and both scales and the bias follow.
// CHECK-LABEL: @linear
func.func @linear(%x: tensor<2x?x4xf32>, %init: tensor<2x?x2xf32>) -> tensor<2x?x2xf32> {
  %w = arith.constant dense<[[1.27, 0.0], [0.5, -2.54], [0.1, 0.2], [0.0, 0.0]]> : tensor<4x2xf32>
  %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK: %[[LARGEST:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%{{.*}} : tensor<2x?x4xf32>)
  // CHECK: math.absf
  // CHECK-NEXT: arith.maximumf
  // CHECK: %[[SCALES:.*]] = linalg.generic {{.*}} ins(%[[LARGEST]] : tensor<2x?xf32>)
  // CHECK: arith.mulf %{{.*}}, %{{.*}} : f32
  // CHECK: arith.divf
  // CHECK: %[[Q:.*]] = sq.quantize %{{.*}} : tensor<2x?x4xf32> -> tensor<2x?x4x!quant.uniform<u8:f32, 1.000000e+00:128>>
  // CHECK: %[[SUM:.*]] = sq.linear ins(%[[Q]], %{{.*}} : tensor<2x?x4x!quant.uniform<u8:f32, 1.000000e+00:128>>, tensor<4x2x!quant.uniform<i8<-127:127>:f32:1, {{.*}}) outs(%{{.*}} : tensor<2x?x2xf32>)
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[SUM]], %[[SCALES]], %{{.*}} : tensor<2x?x2xf32>, tensor<2x?xf32>, tensor<2xf32>)
  // CHECK: return %[[Y]]
  %y = sq.linear ins(%x, %w : tensor<2x?x4xf32>, tensor<4x2xf32>) bias(%b : tensor<2xf32>) outs(%init : tensor<2x?x2xf32>) -> tensor<2x?x2xf32>
  return %y : tensor<2x?x2xf32>
}

// -----

// A weight that is not constant has no bytes.
// CHECK-LABEL: @not_constant
func.func @not_constant(%x: tensor<?x4xf32>, %w: tensor<4x2xf32>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // CHECK: sq.linear ins(%{{.*}} : tensor<?x4xf32>, tensor<4x2xf32>)
  // expected-warning @below {{stays in float: its weight or bias is not constant, or not finite}}
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x2xf32>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
