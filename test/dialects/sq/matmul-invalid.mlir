// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @matmul_c1(%a: tensor<4xf32>, %b: tensor<4x8xf32>, %init: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error @+1 {{'sq.matmul' op needs three operands of one rank of at least 2, got 'tensor<4xf32>', 'tensor<4x8xf32>' and 'tensor<8x8xf32>'}}
  %c = sq.matmul ins(%a, %b : tensor<4xf32>, tensor<4x8xf32>) outs(%init : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %c : tensor<8x8xf32>
}

// -----

func.func @matmul_c2(%a: tensor<2x8x4xf32>, %b: tensor<3x4x8xf32>, %init: tensor<3x8x8xf32>) -> tensor<3x8x8xf32> {
  // expected-error @+1 {{'sq.matmul' op leading dimension 0 of 'tensor<2x8x4xf32>' is neither 1 nor that of 'tensor<3x8x8xf32>'}}
  %c = sq.matmul ins(%a, %b : tensor<2x8x4xf32>, tensor<3x4x8xf32>) outs(%init : tensor<3x8x8xf32>) -> tensor<3x8x8xf32>
  return %c : tensor<3x8x8xf32>
}

// -----

func.func @matmul_c3(%a: tensor<8x4xf32>, %b: tensor<5x8xf32>, %init: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error @+1 {{'sq.matmul' op cannot multiply 'tensor<8x4xf32>' by 'tensor<5x8xf32>' into 'tensor<8x8xf32>'}}
  %c = sq.matmul ins(%a, %b : tensor<8x4xf32>, tensor<5x8xf32>) outs(%init : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %c : tensor<8x8xf32>
}
