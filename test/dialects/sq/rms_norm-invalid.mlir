// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @rms_norm_c1(%x: tensor<2x8xf32>, %s: tensor<8xf32>, %init: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // expected-error @+1 {{'sq.rms_norm' op needs input and output of one shape, got 'tensor<2x8xf32>' and 'tensor<3x8xf32>'}}
  %y = sq.rms_norm ins(%x, %s : tensor<2x8xf32>, tensor<8xf32>) outs(%init : tensor<3x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

func.func @rms_norm_c2(%x: tensor<?x8xf32>, %s: tensor<4xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.rms_norm' op needs a scale as long as the last dimension of 'tensor<?x8xf32>', got 'tensor<4xf32>'}}
  %y = sq.rms_norm ins(%x, %s : tensor<?x8xf32>, tensor<4xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
