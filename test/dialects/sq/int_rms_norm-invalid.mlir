// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_rms_norm_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_rms_norm ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_rms_norm_c1_static(%x: tensor<8x?xi32>, %init: tensor<8x?xi8>) -> tensor<8x?xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op needs a last dimension that is static and positive, got 'tensor<8x?xi32>'}}
  %y = sq.int_rms_norm ins(%x : tensor<8x?xi32>) outs(%init : tensor<8x?xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<8x?xi8>
  return %y : tensor<8x?xi8>
}

// -----

func.func @int_rms_norm_c2(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op has x_bits = 33 for integers of 32 bits; it must be 1 to 32}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 33 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_rms_norm_c3(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op has 2 addends; it must be one, or as many as dimension -1 of 'tensor<?x8xi32>' has, statically}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0, 1>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_rms_norm_c4(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 63 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_rms_norm_c5(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op needs a rounding of half_even, half_up or half_away, got 'up'}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64, rounding = "up"} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_rms_norm_c6(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op needs a shift of 0 to 16 and an epsilon of 0 to 2^61, got 0 and -1}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = -1 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_rms_norm_c7(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_rms_norm' op adds up to 2^65 (8 squares of integers of 32 bits, 0 of them shifted in), and 2^61 is the most; requantize to fewer bits before it and say so in x_bits}}
  %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
