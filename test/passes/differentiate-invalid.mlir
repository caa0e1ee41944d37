// RUN: sq-opt %s --sq-differentiate --split-input-file --verify-diagnostics

func.func @main(%x: tensor<2x4xf32>, %i: tensor<3x1xindex>) -> (tensor<3x4xf32> {sq.name = "y"}) {
  %w = arith.constant dense<1.0> : tensor<4x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  %h = sq.linear ins(%x, %w : tensor<2x4xf32>, tensor<4x4xf32>) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  // expected-error @+1 {{'tensor.gather' op has no derivative in sq, and lies between weights and the loss}}
  %y = tensor.gather %h[%i] gather_dims([0]) : (tensor<2x4xf32>, tensor<3x1xindex>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

func.func @main(%x: tensor<2x4xf32>) -> (tensor<2x4xf32> {sq.name = "y"}) {
  %w = arith.constant dense<1.0> : tensor<4x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  %h = sq.linear ins(%x, %w : tensor<2x4xf32>, tensor<4x4xf32>) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %one = arith.constant dense<1.0> : tensor<2x4xf32>
  // expected-error @+1 {{'linalg.generic' op cannot be differentiated: it reduces by something other than a sum, a product or a choice}}
  %y = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%h : tensor<2x4xf32>) outs(%one : tensor<2x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.mulf %out, %out : f32
    %1 = arith.addf %in, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// expected-error @+1 {{'y' is 'tensor<2xf32>'; a loss needs a result of rank 2 or more, samples first}}
func.func @main(%x: tensor<2x4xf32>) -> (tensor<2xf32> {sq.name = "y"}) {
  %w = arith.constant dense<1.0> : tensor<4x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  %h = sq.linear ins(%x, %w : tensor<2x4xf32>, tensor<4x4xf32>) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %y = tensor.extract_slice %h[0, 0] [2, 1] [1, 1] : tensor<2x4xf32> to tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// expected-error @+1 {{the program has no linear layer with a constant weight in floating point}}
func.func @main(%x: tensor<2x4xf32>) -> (tensor<2x4xf32> {sq.name = "y"}) {
  return %x : tensor<2x4xf32>
}
