// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @rotary_embedding_c1(%x: tensor<2x5x2x32xf32>, %c: tensor<1x5x16xf32>, %init: tensor<2x5x3x32xf32>) -> tensor<2x5x3x32xf32> {
  // expected-error @+1 {{'sq.rotary_embedding' op needs input and output of one shape [b, s, h, d], got 'tensor<2x5x2x32xf32>' and 'tensor<2x5x3x32xf32>'}}
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<2x5x2x32xf32>, tensor<1x5x16xf32>, tensor<1x5x16xf32>) outs(%init : tensor<2x5x3x32xf32>) -> tensor<2x5x3x32xf32>
  return %y : tensor<2x5x3x32xf32>
}

// -----

func.func @rotary_embedding_c2(%x: tensor<2x5x2x32xf32>, %c: tensor<1x4x16xf32>, %init: tensor<2x5x2x32xf32>) -> tensor<2x5x2x32xf32> {
  // expected-error @+1 {{'sq.rotary_embedding' op needs cos and sin [b or 1, s, a] for 'tensor<2x5x2x32xf32>', got 'tensor<1x4x16xf32>' and 'tensor<1x4x16xf32>'}}
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<2x5x2x32xf32>, tensor<1x4x16xf32>, tensor<1x4x16xf32>) outs(%init : tensor<2x5x2x32xf32>) -> tensor<2x5x2x32xf32>
  return %y : tensor<2x5x2x32xf32>
}

// -----

func.func @rotary_embedding_c3(%x: tensor<2x5x2x32xf32>, %c: tensor<1x5x8xf32>, %init: tensor<2x5x2x32xf32>) -> tensor<2x5x2x32xf32> {
  // expected-error @+1 {{'sq.rotary_embedding' op needs heads of an even static size, and as many angles or half as many; got 'tensor<2x5x2x32xf32>' and 'tensor<1x5x8xf32>'}}
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<2x5x2x32xf32>, tensor<1x5x8xf32>, tensor<1x5x8xf32>) outs(%init : tensor<2x5x2x32xf32>) -> tensor<2x5x2x32xf32>
  return %y : tensor<2x5x2x32xf32>
}
