// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @cross_entropy_c1(%x: tensor<2x5x8xf32>, %l: tensor<2xi64>, %init: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'sq.cross_entropy' op needs labels with the leading dimensions of the logits 'tensor<2x5x8xf32>', got 'tensor<2xi64>'}}
  %y = sq.cross_entropy ins(%x, %l : tensor<2x5x8xf32>, tensor<2xi64>) outs(%init : tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @cross_entropy_c1_dim(%x: tensor<2x8xf32>, %l: tensor<3xi64>, %init: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'sq.cross_entropy' op needs labels with the leading dimensions of the logits 'tensor<2x8xf32>', got 'tensor<3xi64>'}}
  %y = sq.cross_entropy ins(%x, %l : tensor<2x8xf32>, tensor<3xi64>) outs(%init : tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @cross_entropy_c2(%x: tensor<2x8xf32>, %l: tensor<2xi64>, %init: tensor<2xf64>) -> tensor<2xf64> {
  // expected-error @+1 {{'sq.cross_entropy' op needs a loss per sample of 'tensor<2x8xf32>', got 'tensor<2xf64>'}}
  %y = sq.cross_entropy ins(%x, %l : tensor<2x8xf32>, tensor<2xi64>) outs(%init : tensor<2xf64>) -> tensor<2xf64>
  return %y : tensor<2xf64>
}
