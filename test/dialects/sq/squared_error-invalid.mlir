// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @squared_error_c1(%x: tensor<2x8xf32>, %r: tensor<2x9xf32>, %init: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'sq.squared_error' op needs x and reference of one shape of rank 2 or more, got 'tensor<2x8xf32>' and 'tensor<2x9xf32>'}}
  %y = sq.squared_error ins(%x, %r : tensor<2x8xf32>, tensor<2x9xf32>) outs(%init : tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @squared_error_c2(%x: tensor<2x8xf32>, %r: tensor<2x8xf32>, %init: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{'sq.squared_error' op needs a loss per sample of 'tensor<2x8xf32>', got 'tensor<3xf32>'}}
  %y = sq.squared_error ins(%x, %r : tensor<2x8xf32>, tensor<2x8xf32>) outs(%init : tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
