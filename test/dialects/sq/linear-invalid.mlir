// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @linear_c1(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.linear' op cannot multiply 'tensor<?x4xf32>' by the weight 'tensor<8x4xf32>' into 'tensor<?x8xf32>'}}
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<8x4xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c1_transposed(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.linear' op cannot multiply 'tensor<?x4xf32>' by the weight 'tensor<4x8xf32>' into 'tensor<?x8xf32>'}}
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%init : tensor<?x8xf32>) {transpose_weight} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c2(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.linear' op needs a bias as long as the last dimension of 'tensor<?x8xf32>', got 'tensor<4xf32>'}}
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<4xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c3(%x: tensor<2x4xf32>, %w: tensor<4x8xf32>, %init: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // expected-error @+1 {{'sq.linear' op needs equal leading dimensions, got 'tensor<2x4xf32>' and 'tensor<3x8xf32>'}}
  %y = sq.linear ins(%x, %w : tensor<2x4xf32>, tensor<4x8xf32>) outs(%init : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

func.func @linear_c4(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1>>, %w: tensor<4x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.linear' op needs x of one scale and a weight of one scale or one per column, got '!quant.uniform<u8:f32, 1.000000e-01>' and 'f32'}}
  %y = sq.linear ins(%x, %w : tensor<?x4x!quant.uniform<u8:f32, 0.1>>, tensor<4x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c4_scales_of_rows(%x: tensor<?x2x!quant.uniform<u8:f32, 0.1>>, %w: tensor<2x8x!quant.uniform<i8:f32:0, {0.1, 0.2}>>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{needs x of one scale and a weight of one scale or one per column}}
  %y = sq.linear ins(%x, %w : tensor<?x2x!quant.uniform<u8:f32, 0.1>>, tensor<2x8x!quant.uniform<i8:f32:0, {0.1, 0.2}>>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c5(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.linear' op needs floats, or with quantised operands i32, for the result and the bias alike, got 'tensor<?x8xi32>'}}
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%init : tensor<?x8xi32>) -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}
