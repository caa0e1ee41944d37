// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @csr_c1() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op needs row_ptr [n + 1] and as many columns as values for a matrix [n, k], got 'tensor<4xi32>', 'tensor<3xi16>' and 'tensor<3xf16>' for 'tensor<2x40xf16>'}}
  %w = sq.csr %p, %c, %v : tensor<4xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// -----

func.func @csr_c1_values() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<1.0> : tensor<2xf16>
  // expected-error @+1 {{'sq.csr' op needs row_ptr [n + 1] and as many columns as values for a matrix [n, k], got 'tensor<3xi32>', 'tensor<3xi16>' and 'tensor<2xf16>' for 'tensor<2x40xf16>'}}
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<2xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// -----

func.func @csr_c2() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op needs a row_ptr from 0 to the number of entries, 3, got 0 to 2}}
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// -----

func.func @csr_c2_order() -> tensor<3x40xf16> {
  %p = arith.constant dense<[0, 2, 1, 3]> : tensor<4xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op needs a row_ptr that does not decrease, got 2 before 1 at row 1}}
  %w = sq.csr %p, %c, %v : tensor<4xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<3x40xf16>
  return %w : tensor<3x40xf16>
}

// -----

func.func @csr_c3() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[7, 0, 40]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op has column 40 in row 1 of a matrix of 40 columns}}
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// -----

func.func @csr_c3_order() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[7, 5, 5]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op needs columns that ascend, got 5 before 5 in row 1}}
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// -----

func.func @csr_c4() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 0x7E00, 3.0]> : tensor<3xf16>
  // expected-error @+1 {{'sq.csr' op needs finite values, got nan at entry 1}}
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}
