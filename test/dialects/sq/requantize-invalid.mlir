// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @requantize_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.requantize' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.requantize ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @requantize_c2_x_bits(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has x_bits = 33 for integers of 32 bits; it must be 1 to 32}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>, x_bits = 33 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c2_bits(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has bits = 9 for integers of 8 bits; it must be 1 to 8}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>, bits = 9 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c3(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has 3 multipliers; it must be one, or as many as dimension -1 of 'tensor<?x8xi32>' has, statically}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1, 2, 3>, exponents = array<i32: 41>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c3_axis(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has 8 exponents; it must be one, or as many as dimension 0 of 'tensor<?x8xi32>' has, statically}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1>, exponents = array<i32: 1, 2, 3, 4, 5, 6, 7, 8>, axis = 0 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c4(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1>, exponents = array<i32: 63>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c4_low(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has an exponent of 0; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1>, exponents = array<i32: 0>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c5(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>, rounding = "up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c6_x(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has x_zero_point = 128, which is not a value of its tensor, -128 to 127}}
  %y = sq.requantize ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>, x_zero_point = 128 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @requantize_c6(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.requantize' op has zero_point = -1, which is not a value of its tensor, 0 to 15}}
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>, zero_point = -1 : i64, is_unsigned, bits = 4 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
