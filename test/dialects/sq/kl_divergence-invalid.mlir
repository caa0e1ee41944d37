// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @kl_divergence_c1(%x: tensor<2x8xf32>, %r: tensor<2x9xf32>, %init: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'sq.kl_divergence' op needs logits and reference of one shape of rank 2 or more, got 'tensor<2x8xf32>' and 'tensor<2x9xf32>'}}
  %y = sq.kl_divergence ins(%x, %r : tensor<2x8xf32>, tensor<2x9xf32>) outs(%init : tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @kl_divergence_c2(%x: tensor<2x8xf32>, %r: tensor<2x8xf32>, %init: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{'sq.kl_divergence' op needs a loss per sample of 'tensor<2x8xf32>', got 'tensor<3xf32>'}}
  %y = sq.kl_divergence ins(%x, %r : tensor<2x8xf32>, tensor<2x8xf32>) outs(%init : tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
