// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_gelu_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_gelu ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_gelu_c2_x_bits(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op has x_bits = 33 for integers of 32 bits; it must be 1 to 32}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>, x_bits = 33 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_gelu_c3(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op has 2 highs; it must be one, or as many as dimension -1 of 'tensor<?x8xi32>' has, statically}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474, 1>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_gelu_c4(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 63>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_gelu_c4_shift(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op has a shift of 48; it must be 0 to 47}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 48>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_gelu_c5(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>, rounding = "up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_gelu_c6(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op needs a positive limit below 2^31, a high at least as large and a one of at least its square, got 25017, 25016 and 692520776}}
  %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 25016>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
