// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @dense_and_sparse_matmul_c1(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.dense_and_sparse_matmul' op needs codes [n, 3 ceil(k / 32)] and a table [n, 8] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x8xi32>' and 'tensor<8x8xf16>'}}
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @dense_and_sparse_matmul_c2(%x: tensor<3x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.dense_and_sparse_matmul' op needs equal leading dimensions, got 'tensor<3x40xf32>' and 'tensor<2x8xf32>'}}
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<3x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%init : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @dense_and_sparse_matmul_c3(%x: tensor<?x40xf32>, %c: tensor<1x4xi32>, %s: tensor<1x40xf16>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %t = arith.constant dense<[[0.0, 2.0, 1.0, 3.0]]> : tensor<1x4xf16>
  // expected-error @+1 {{'sq.dense_and_sparse_matmul' op needs tables that do not decrease, got 2.000000e+00 before 1.000000e+00 in row 0; sort the entries and number the codes anew}}
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x4xf16>, tensor<1x40xf16>) outs(%init : tensor<?x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @dense_and_sparse_matmul_c4(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x41xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.dense_and_sparse_matmul' op needs a sparse weight [n, k] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x41xf16>'}}
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x41xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
