// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @lut_matmul_c1(%x: tensor<?x40xf32>, %c: tensor<8x5xi32>, %t: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.lut_matmul' op needs codes [n, 3 ceil(k / 32)] and a table [n, 8] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x5xi32>' and 'tensor<8x8xf16>'}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x5xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @lut_matmul_c1_entries(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x6xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.lut_matmul' op needs a table [n, 4], [n, 8] or [n, 16], got 'tensor<8x6xf16>'}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x6xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @lut_matmul_c2(%x: tensor<3x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %init: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{'sq.lut_matmul' op needs equal leading dimensions, got 'tensor<3x40xf32>' and 'tensor<2x8xf32>'}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<3x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @lut_matmul_c3(%x: tensor<?x40xf32>, %c: tensor<1x4xi32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %t = arith.constant dense<[[-1.0, 0.5, 0.25, 2.0]]> : tensor<1x4xf16>
  // expected-error @+1 {{'sq.lut_matmul' op needs tables that do not decrease, got 5.000000e-01 before 2.500000e-01 in row 0; sort the entries and number the codes anew}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x4xf16>) outs(%init : tensor<?x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @lut_matmul_c3_finite(%x: tensor<?x40xf32>, %c: tensor<1x4xi32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %t = arith.constant dense<[[-1.0, 0.5, 1.0, 0x7C00]]> : tensor<1x4xf16>
  // expected-error @+1 {{'sq.lut_matmul' op needs a table of finite entries, got INF at [0, 3]}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x4xf16>) outs(%init : tensor<?x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
