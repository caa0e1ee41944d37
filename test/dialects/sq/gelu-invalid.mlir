// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @gelu_c1(%x: tensor<2x8xf32>, %init: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // expected-error @+1 {{'sq.gelu' op needs input and output of one shape, got 'tensor<2x8xf32>' and 'tensor<3x8xf32>'}}
  %y = sq.gelu ins(%x : tensor<2x8xf32>) outs(%init : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

func.func @gelu_c2(%x: tensor<2x8xf32>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.gelu' op needs a tolerance of at least 0, got -1.000000e+00}}
  %y = sq.gelu ins(%x : tensor<2x8xf32>) outs(%init : tensor<2x8xf32>) {tolerance = -1.0 : f32} -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
