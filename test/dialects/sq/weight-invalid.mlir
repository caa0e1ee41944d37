// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @result_type() -> f32 {
  // expected-error @+1 {{'sq.weight' op result #0 must be ranked tensor of any type values or memref of any type values, but got 'f32'}}
  %w = sq.weight dense<1.0> : tensor<4xf32> -> f32
  return %w : f32
}

// -----

func.func @bits() -> tensor<1x16x64xi8> {
  // expected-error @+1 {{'sq.weight' op is stored in 2 to 7 bits as bytes only, got 8 bits for 'tensor<1x16x64xi8>'}}
  %w = sq.weight dense<1> : tensor<4x8xi8> {pack = 16 : i64, bits = 8 : i64} -> tensor<1x16x64xi8>
  return %w : tensor<1x16x64xi8>
}
