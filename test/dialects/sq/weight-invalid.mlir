// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @result_type() -> f32 {
  // expected-error @+1 {{'sq.weight' op result #0 must be ranked tensor of any type values or memref of any type values, but got 'f32'}}
  %w = sq.weight dense<1.0> : tensor<4xf32> -> f32
  return %w : f32
}
