// RUN: sq-opt %s --sq-lower-integer --split-input-file --verify-diagnostics

// 33 bits of a full unsigned input, and 31 of the multiplier: with the half, 65.
func.func @unsigned(%x: tensor<8xi32>, %init: tensor<8xi8>) -> tensor<8xi8> {
  // expected-error @+1 {{'sq.requantize' op cannot be computed in 64-bit integers: its sum can need 65 bits; declare fewer bits of its operands, or requantize them to a coarser scale before}}
  %y = sq.requantize ins(%x : tensor<8xi32>) outs(%init : tensor<8xi8>) {multipliers = array<i32: 2147483647>, exponents = array<i32: 62>, x_unsigned} -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

// The same of 31 bits is right.
func.func @declared(%x: tensor<8xi32>, %init: tensor<8xi8>) -> tensor<8xi8> {
  %y = sq.requantize ins(%x : tensor<8xi32>) outs(%init : tensor<8xi8>) {multipliers = array<i32: 2147483647>, exponents = array<i32: 62>, x_unsigned, x_bits = 31 : i64} -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

// One channel of three.
func.func @channel(%a: tensor<3xi32>, %b: tensor<3xi8>, %init: tensor<3xi32>) -> tensor<3xi32> {
  // expected-error @+1 {{'sq.requantized_add' op cannot be computed in 64-bit integers: its product can need 67 bits in channel 1; declare fewer bits}}
  %y = sq.requantized_add ins(%a, %b : tensor<3xi32>, tensor<3xi8>) outs(%init : tensor<3xi32>) {a_multipliers = array<i64: 5, 34359738368, 6>, b_multipliers = array<i64: 1>, exponents = array<i32: 31>} -> tensor<3xi32>
  return %y : tensor<3xi32>
}

// -----

func.func @gelu(%x: tensor<8xi32>, %init: tensor<8xi8>) -> tensor<8xi8> {
  // expected-error @+1 {{'sq.int_gelu' op cannot be computed in 64-bit integers: its product can need 82 bits}}
  %y = sq.int_gelu ins(%x : tensor<8xi32>) outs(%init : tensor<8xi8>) {limits = array<i64: 25017>, highs = array<i64: 2147483647>, ones = array<i64: 692520776>, shifts = array<i32: 11>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

func.func @buffers(%x: memref<8xi32>, %y: memref<8xi32>) {
  // expected-error @+1 {{'sq.int_sqrt' op is on memrefs; run --sq-lower-integer before bufferization}}
  sq.int_sqrt ins(%x : memref<8xi32>) outs(%y : memref<8xi32>)
  return
}
