// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @softmax_c1(%x: tensor<2x8xf32>, %init: tensor<2x9xf32>) -> tensor<2x9xf32> {
  // expected-error @+1 {{'sq.softmax' op needs input and output of one shape, got 'tensor<2x8xf32>' and 'tensor<2x9xf32>'}}
  %y = sq.softmax ins(%x : tensor<2x8xf32>) outs(%init : tensor<2x9xf32>) -> tensor<2x9xf32>
  return %y : tensor<2x9xf32>
}

// -----

func.func @softmax_c1_scalar(%x: tensor<f32>, %init: tensor<f32>) -> tensor<f32> {
  // expected-error @+1 {{'sq.softmax' op needs input and output of one shape, got 'tensor<f32>' and 'tensor<f32>'}}
  %y = sq.softmax ins(%x : tensor<f32>) outs(%init : tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}
