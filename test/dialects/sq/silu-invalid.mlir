// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @silu_c1(%x: tensor<2x8xf32>, %up: tensor<3x8xf32>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.silu' op needs inputs and output of one shape, got 'tensor<3x8xf32>' and 'tensor<2x8xf32>'}}
  %y = sq.silu ins(%x : tensor<2x8xf32>) up(%up : tensor<3x8xf32>) outs(%init : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
