// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_context_c1(%x: tensor<2x8xi32>, %b: tensor<2x4xi8>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_context' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_context ins(%x, %b : tensor<2x8xi32>, tensor<2x4xi8>) outs(%init : tensor<3x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_context_c2(%x: tensor<2x8xi32>, %b: tensor<3x4xi8>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_context' op needs probabilities like 'tensor<2x8xi32>' but for the last dimension, which is at most 65793, got 'tensor<3x4xi8>'}}
  %y = sq.int_context ins(%x, %b : tensor<2x8xi32>, tensor<3x4xi8>) outs(%init : tensor<2x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_context_c2_long(%x: tensor<2x8xi32>, %b: tensor<2x65794xi8>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_context' op needs probabilities like 'tensor<2x8xi32>' but for the last dimension, which is at most 65793, got 'tensor<2x65794xi8>'}}
  %y = sq.int_context ins(%x, %b : tensor<2x8xi32>, tensor<2x65794xi8>) outs(%init : tensor<2x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_context_c3(%x: tensor<?x8xi32>, %b: tensor<?x4xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_context' op has bits = 9 for integers of 8 bits; it must be 1 to 8}}
  %y = sq.int_context ins(%x, %b : tensor<?x8xi32>, tensor<?x4xi8>) outs(%init : tensor<?x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32, bits = 9 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_context_c4(%x: tensor<?x8xi32>, %b: tensor<?x4xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_context' op has an exponent of 0; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_context ins(%x, %b : tensor<?x8xi32>, tensor<?x4xi8>) outs(%init : tensor<?x8xi8>) {multiplier = 1610612736 : i32, exponent = 0 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_context_c5(%x: tensor<?x8xi32>, %b: tensor<?x4xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_context' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.int_context ins(%x, %b : tensor<?x8xi32>, tensor<?x4xi8>) outs(%init : tensor<?x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32, rounding = "up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_context_c6(%x: tensor<?x8xi32>, %b: tensor<?x4xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_context' op has zero_point = 200, which is not a value of its tensor, -128 to 127}}
  %y = sq.int_context ins(%x, %b : tensor<?x8xi32>, tensor<?x4xi8>) outs(%init : tensor<?x8xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32, zero_point = 200 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
