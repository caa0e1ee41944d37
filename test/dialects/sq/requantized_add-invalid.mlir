// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @requantized_add_c1(%x: tensor<2x8xi32>, %b: tensor<3x8xi8>, %init: tensor<2x8xi32>) -> tensor<2x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op needs operands that broadcast to 'tensor<2x8xi32>', got 'tensor<3x8xi8>'}}
  %y = sq.requantized_add ins(%x, %b : tensor<2x8xi32>, tensor<3x8xi8>) outs(%init : tensor<2x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>} -> tensor<2x8xi32>
  return %y : tensor<2x8xi32>
}

// -----

func.func @requantized_add_c2(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op has b_bits = 9 for integers of 8 bits; it must be 1 to 8}}
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, b_bits = 9 : i64} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// -----

func.func @requantized_add_c3(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op has 2 b_multipliers; it must be one, or as many as dimension -1 of 'tensor<?x8xi32>' has, statically}}
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1>, b_multipliers = array<i64: 1, 2>, exponents = array<i32: 31>} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// -----

func.func @requantized_add_c4(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op has an exponent of 0; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1>, b_multipliers = array<i64: 1>, exponents = array<i32: 0>} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// -----

func.func @requantized_add_c5(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, rounding = "up"} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// -----

func.func @requantized_add_c6(%x: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.requantized_add' op has b_zero_point = 200, which is not a value of its tensor, -128 to 127}}
  %y = sq.requantized_add ins(%x, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, b_zero_point = 200 : i64} -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}
