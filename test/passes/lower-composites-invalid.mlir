// RUN: sq-opt %s --sq-lower-composites --split-input-file --verify-diagnostics

func.func @unknown_heads(%q: tensor<1x5x4x32xf32>, %kv: tensor<1x7x?x32xf32>, %init: tensor<1x5x4x32xf32>) -> tensor<1x5x4x32xf32> {
  // expected-error @+1 {{'sq.attention' op has an unknown number of heads; make the head dimension static}}
  %o = sq.attention ins(%q, %kv, %kv : tensor<1x5x4x32xf32>, tensor<1x7x?x32xf32>, tensor<1x7x?x32xf32>) outs(%init : tensor<1x5x4x32xf32>) {scale = 0.25 : f32} -> tensor<1x5x4x32xf32>
  return %o : tensor<1x5x4x32xf32>
}
