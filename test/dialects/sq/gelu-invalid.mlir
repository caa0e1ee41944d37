// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @gelu_c1(%x: tensor<2x8xf32>, %init: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // expected-error @+1 {{'sq.gelu' op needs input and output of one shape, got 'tensor<2x8xf32>' and 'tensor<3x8xf32>'}}
  %y = sq.gelu ins(%x : tensor<2x8xf32>) outs(%init : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}
