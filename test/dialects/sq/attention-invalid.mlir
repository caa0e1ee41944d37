// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @attention_c1(%q: tensor<1x5x2x32xf32>, %kv: tensor<1x7x3x32xf32>, %init: tensor<1x5x2x32xf32>) -> tensor<1x5x2x32xf32> {
  // expected-error @+1 {{'sq.attention' op needs q and outs [b, s, h, d], k and v [b, t, g, d] with g dividing h, got 'tensor<1x5x2x32xf32>', 'tensor<1x5x2x32xf32>', 'tensor<1x7x3x32xf32>' and 'tensor<1x7x3x32xf32>'}}
  %o = sq.attention ins(%q, %kv, %kv : tensor<1x5x2x32xf32>, tensor<1x7x3x32xf32>, tensor<1x7x3x32xf32>) outs(%init : tensor<1x5x2x32xf32>) {scale = 0.25 : f32} -> tensor<1x5x2x32xf32>
  return %o : tensor<1x5x2x32xf32>
}

// -----

func.func @attention_c2(%q: tensor<1x5x2x32xf32>, %kv: tensor<1x7x2x32xf32>, %m: tensor<1x1x5x1xf32>, %init: tensor<1x5x2x32xf32>) -> tensor<1x5x2x32xf32> {
  // expected-error @+1 {{'sq.attention' op needs a mask [b, h, s, t] (each but t may be 1), got 'tensor<1x1x5x1xf32>'}}
  %o = sq.attention ins(%q, %kv, %kv : tensor<1x5x2x32xf32>, tensor<1x7x2x32xf32>, tensor<1x7x2x32xf32>) mask(%m : tensor<1x1x5x1xf32>) outs(%init : tensor<1x5x2x32xf32>) {scale = 0.25 : f32} -> tensor<1x5x2x32xf32>
  return %o : tensor<1x5x2x32xf32>
}
