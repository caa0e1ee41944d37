// RUN: sq-opt %s --sq-decode-codes --split-input-file --verify-diagnostics | FileCheck %s
// RUN: not sq-opt %s --sq-pack-codes --split-input-file 2>&1 | FileCheck %s --check-prefix=PACK
// PACK: needs static k and n, got 'tensor<?x?xf32>' and 'tensor<?x2xf32>'

// Row 0 has the codes 0, 1, 2, 3, 0, ...; row 1 3, 2, 1, 0, 0, ...
// CHECK-LABEL: @main
// CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}-1.000000e+00, 4.000000e+00, 5.000000e-01, 1.000000e+00, -1.000000e+00, {{.*}}], [1.000000e+01, 1.000000e+00, -1.000000e+00, -2.000000e+00, -2.000000e+00, {{.*}}, 1.400000e+01]]> : tensor<2x40xf32>
// CHECK: sq.linear ins(%{{.*}}, %[[W]] : tensor<?x40xf32>, tensor<2x40xf32>) outs({{.*}}) {transpose_weight}
func.func @main(%x: tensor<?x40xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x2xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %init = tensor.empty(%m) : tensor<?x2xf32>
  %c = arith.constant dense<[[0xE4, 0, 0, 0], [0x1B, 0, 0, 0]]> : tensor<2x4xi32>
  %t = arith.constant dense<[[-1.0, 0.0, 0.5, 1.0], [-2.0, -1.0, 1.0, 2.0]]> : tensor<2x4xf16>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %l = arith.constant dense<[1, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[4.0, 8.0, 16.0]> : tensor<3xf16>
  %s = sq.csr %p, %l, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<2x4xi32>, tensor<2x4xf16>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

func.func @argument(%x: tensor<?x40xf32>, %s: tensor<2x40xf16>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // expected-error @+1 {{'sq.csr_matmul' op needs a sparse weight that sq.csr makes of constants}}
  %y = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

func.func @unknown_columns(%x: tensor<?x?xf32>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %c = arith.constant dense<0> : tensor<2x4xi32>
  %t = arith.constant dense<0.0> : tensor<2x4xf16>
  // expected-error @+1 {{'sq.lut_matmul' op needs static k and n, got 'tensor<?x?xf32>' and 'tensor<?x2xf32>'}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x?xf32>, tensor<2x4xi32>, tensor<2x4xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
