// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @grouped_matmul_c1(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs codes of 2, 3 or 4 bits, got 5}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 5 : i64, group_size = 16 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c1_size(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs a group_size of 1 or more, got 0}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 0 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c1_zero(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs a zero_point from 0 to 15, got 16}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64, zero_point = 16 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c1_both(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %o: tensor<8x3xi8>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op has a zero_point of 8 and offsets; put it into these}}
  %y = sq.grouped_matmul ins(%x, %c, %s, %o : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>, tensor<8x3xi8>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64, zero_point = 8 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c2(%x: tensor<?x40xf32>, %c: tensor<8x7xi32>, %s: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs codes [n, 4 ceil(k / 32)] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x7xi32>'}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x7xi32>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c2_scales(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x2xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs scales and offsets [n, ceil(k / 16)] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x2xf16>'}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x2xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c2_offsets(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %o: tensor<7x3xi8>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs scales and offsets [n, ceil(k / 16)] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<7x3xi8>'}}
  %y = sq.grouped_matmul ins(%x, %c, %s, %o : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>, tensor<7x3xi8>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @grouped_matmul_c3(%x: tensor<3x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.grouped_matmul' op needs equal leading dimensions, got 'tensor<3x40xf32>' and 'tensor<2x8xf32>'}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<3x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%init : tensor<2x8xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @grouped_matmul_c4(%x: tensor<?x40xf32>, %c: tensor<1x8xi32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %s = arith.constant dense<[[1.0, 0x7C00, 2.0]]> : tensor<1x3xf16>
  // expected-error @+1 {{'sq.grouped_matmul' op needs finite scales and least values, got INF at [0, 1]}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x3xf16>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
