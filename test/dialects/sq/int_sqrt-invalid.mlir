// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_sqrt_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi32>) -> tensor<3x8xi32> {
  // expected-error @+1 {{'sq.int_sqrt' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi32>'}}
  %y = sq.int_sqrt ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi32>) -> tensor<3x8xi32>
  return %y : tensor<3x8xi32>
}

// -----

func.func @int_sqrt_c1_type(%x: tensor<8xi32>, %init: tensor<8xi16>) -> tensor<8xi16> {
  // expected-error @+1 {{'sq.int_sqrt' op needs input and output of one type, got 'tensor<8xi32>' and 'tensor<8xi16>'}}
  %y = sq.int_sqrt ins(%x : tensor<8xi32>) outs(%init : tensor<8xi16>) -> tensor<8xi16>
  return %y : tensor<8xi16>
}
