// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_norm_rows_c1(%x: tensor<2x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<2x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<3x8xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_norm_rows_c1_static(%x: tensor<8x?xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<8x?xi8>) -> tensor<8x?xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op needs a last dimension that is static and positive, got 'tensor<8x?xi32>'}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<8x?xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<8x?xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<8x?xi8>
  return %y : tensor<8x?xi8>
}

// -----

func.func @int_norm_rows_c2(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op has bits = 9 for integers of 8 bits; it must be 1 to 8}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 22 : i64, bits = 9 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_norm_rows_c3(%x: tensor<?x8xi32>, %m: tensor<16xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op needs multipliers of 32 integers of 32 bits, got 'tensor<16xi32>'}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<16xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_norm_rows_c3_addends(%x: tensor<?x17xi32>, %m: tensor<48xi32>, %b: tensor<16xi64>, %init: tensor<?x17xi8>) -> tensor<?x17xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op needs addends of 32 integers of 64 bits, got 'tensor<16xi64>'}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x17xi32>, tensor<48xi32>, tensor<16xi64>) outs(%init : tensor<?x17xi8>) {centred, shift = 8 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 18 : i64} -> tensor<?x17xi8>
  return %y : tensor<?x17xi8>
}

// -----

func.func @int_norm_rows_c4(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {shift = 0 : i64, epsilon = 41 : i64, exponent = 63 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_norm_rows_c5(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op needs a shift of 0 to 16 and an epsilon of 0 to 2^61, got 17 and 41}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {centred, shift = 17 : i64, epsilon = 41 : i64, exponent = 55 : i32, x_bits = 12 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_norm_rows_c6(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_norm_rows' op adds up to 2^65 (8 squares of integers of 32 bits, 0 of them shifted in), and 2^61 is the most; requantize to fewer bits before it and say so in x_bits}}
  %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {shift = 0 : i64, epsilon = 41 : i64, exponent = 55 : i32} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
