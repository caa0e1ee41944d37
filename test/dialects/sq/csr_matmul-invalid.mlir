// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @csr_matmul_c1(%x: tensor<?x40xf32>, %w: tensor<40x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.csr_matmul' op needs a sparse weight [n, k] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<40x8xf16>'}}
  %y = sq.csr_matmul ins(%x, %w : tensor<?x40xf32>, tensor<40x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @csr_matmul_c2(%x: tensor<3x40xf32>, %w: tensor<8x40xf16>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.csr_matmul' op needs equal leading dimensions, got 'tensor<3x40xf32>' and 'tensor<2x8xf32>'}}
  %y = sq.csr_matmul ins(%x, %w : tensor<3x40xf32>, tensor<8x40xf16>) outs(%init : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
