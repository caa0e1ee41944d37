// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_sigmoid_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_sigmoid' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_sigmoid ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_sigmoid_c2_x_bits(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_sigmoid' op has x_bits = 33 for integers of 32 bits; it must be 1 to 32}}
  %y = sq.int_sigmoid ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32, x_bits = 33 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_sigmoid_c3(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_sigmoid' op needs an exponential with exp_shift -31 to 31, ln2 4096 to 8192, exp_b above ln2 and below 2^14, and exp_b^2 + exp_c in [2^26, 2^29), got 1, 4000, 8663 and 39309835}}
  %y = sq.int_sigmoid ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4000 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_sigmoid_c4(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_sigmoid' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_sigmoid ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 63309835 : i64, multiplier = 2130706432 : i32, exponent = 63 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_sigmoid_c5(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_sigmoid' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.int_sigmoid ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32, rounding = "up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
