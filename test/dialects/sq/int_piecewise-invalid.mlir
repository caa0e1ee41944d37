// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_piecewise_c1(%x: tensor<2x8xi16>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op needs input and output of one shape, got 'tensor<2x8xi16>' and 'tensor<3x8xi8>'}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<3x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 4 : i64} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_piecewise_c2_x(%x: tensor<2x8xi8>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op needs an input of 16 or 32 bits, got 'tensor<2x8xi8>' (sq.lookup takes 8 bits)}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi8>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 4 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_piecewise_c2(%x: tensor<2x8xi16>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op has bits = 9 for integers of 8 bits; it must be 1 to 8}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 4 : i64, bits = 9 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_piecewise_c3(%x: tensor<2x8xi16>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op has 2 slopes; it must be 32, one for each segment}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 2>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 4 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_piecewise_c4(%x: tensor<2x8xi16>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op has a slope of 1 and a curve of 32768; both must have 16 bits}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768>, shift = 4 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_piecewise_c5(%x: tensor<2x8xi16>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op has a shift of 0; it must be 1 to 30}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 0 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}

// -----

func.func @int_piecewise_c6(%x: tensor<2x8xi16>, %init: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // expected-error @+1 {{'sq.int_piecewise' op has a segment (2147483647, 1, 0) whose sums can leave 32 bits}}
  %y = sq.int_piecewise ins(%x : tensor<2x8xi16>) outs(%init : tensor<2x8xi8>) {bases = array<i32: 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2147483647>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, shift = 4 : i64} -> tensor<2x8xi8>
  return %y : tensor<2x8xi8>
}
